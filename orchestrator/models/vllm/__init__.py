"""vLLM: servers that run, and servers that are launched, shared and stopped."""

from archloom.orchestrator.models.vllm._client import VLLMClient
from archloom.orchestrator.models.vllm._launched import LaunchedVLLMClient
from archloom.orchestrator.models.vllm._metrics import ServerLoad, ServerMetrics, Watch

__all__ = [
    "LaunchedVLLMClient",
    "ServerLoad",
    "ServerMetrics",
    "VLLMClient",
    "Watch",
]

"""Every other provider, through litellm."""

from archloom.orchestrator.models.litellm._client import LiteLLMClient

__all__ = [
    "LiteLLMClient",
]

"""Language-model clients, and the sample store that lets nothing be paid for twice."""

from archloom.orchestrator.models._address import Address, Question, stream_number
from archloom.orchestrator.models._client import Client, InProcessClient, Progress, WatchedClient
from archloom.orchestrator.models._costs import CostModel, Kinetics, kinetics
from archloom.orchestrator.models._limits import Limiter
from archloom.orchestrator.models._open import every_variable, open_client
from archloom.orchestrator.models._race import Race
from archloom.orchestrator.models._sampler import Sampler, Samplers
from archloom.orchestrator.models._scripted import ReplyFunction, ScriptedClient
from archloom.orchestrator.models._surroundings import StoreUse, Surroundings
from archloom.orchestrator.models.litellm import LiteLLMClient
from archloom.orchestrator.models.llamacpp import LlamaCppClient, ModelCard, installed, model_cards, models_folder, pull
from archloom.orchestrator.models.openai import OpenAIClient
from archloom.orchestrator.models.simulated import SimulatedClient
from archloom.orchestrator.models.store import (
    Added,
    Entry,
    Exported,
    Flaw,
    MemoryStore,
    Pruned,
    SampleStore,
    SQLiteStore,
    StoreStats,
    export_samples,
    import_samples,
    prune_store,
    verify_store,
)
from archloom.orchestrator.models.vllm import LaunchedVLLMClient, ServerLoad, ServerMetrics, VLLMClient, Watch

__all__ = [
    "Added",
    "Address",
    "Client",
    "CostModel",
    "Entry",
    "Exported",
    "Flaw",
    "InProcessClient",
    "Kinetics",
    "LaunchedVLLMClient",
    "Limiter",
    "LiteLLMClient",
    "LlamaCppClient",
    "MemoryStore",
    "ModelCard",
    "OpenAIClient",
    "Progress",
    "Pruned",
    "Question",
    "Race",
    "ReplyFunction",
    "SQLiteStore",
    "SampleStore",
    "Sampler",
    "Samplers",
    "ScriptedClient",
    "ServerLoad",
    "ServerMetrics",
    "SimulatedClient",
    "StoreStats",
    "StoreUse",
    "Surroundings",
    "VLLMClient",
    "Watch",
    "WatchedClient",
    "every_variable",
    "export_samples",
    "import_samples",
    "installed",
    "kinetics",
    "model_cards",
    "models_folder",
    "open_client",
    "prune_store",
    "pull",
    "stream_number",
    "verify_store",
]

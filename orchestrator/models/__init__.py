"""Language-model clients, and the sample store that lets nothing be paid for twice."""

from archloom.orchestrator.models._address import Address, request_key, stream_number
from archloom.orchestrator.models._client import Client, Completion
from archloom.orchestrator.models._llamacpp import LlamaCppClient
from archloom.orchestrator.models._open import open_client
from archloom.orchestrator.models._openai import OpenAIClient
from archloom.orchestrator.models._sampler import Drawn, Sampler, Samplers
from archloom.orchestrator.models._scripted import ReplyFunction, ScriptedClient
from archloom.orchestrator.models._simulated import SimulatedClient
from archloom.orchestrator.models._store import MemoryStore, SampleStore, SQLiteStore, StoreStats
from archloom.orchestrator.models._weights import ModelCard, installed, model_cards, models_folder, pull

__all__ = [
    "Address",
    "Client",
    "Completion",
    "Drawn",
    "LlamaCppClient",
    "MemoryStore",
    "ModelCard",
    "OpenAIClient",
    "ReplyFunction",
    "SQLiteStore",
    "SampleStore",
    "Sampler",
    "Samplers",
    "ScriptedClient",
    "SimulatedClient",
    "StoreStats",
    "installed",
    "model_cards",
    "models_folder",
    "open_client",
    "pull",
    "request_key",
    "stream_number",
]

"""Language-model clients, and the sample store that lets nothing be paid for twice."""

from archloom.orchestrator.models._address import Address, request_key, stream_number
from archloom.orchestrator.models._client import Client, Completion
from archloom.orchestrator.models._open import open_client
from archloom.orchestrator.models._sampler import Drawn, Sampler, Samplers
from archloom.orchestrator.models._store import MemoryStore, SampleStore, SQLiteStore, StoreStats
from archloom.orchestrator.models._weights import ModelCard, installed, model_cards, pull

__all__ = [
    "Address",
    "Client",
    "Completion",
    "Drawn",
    "MemoryStore",
    "ModelCard",
    "SQLiteStore",
    "SampleStore",
    "Sampler",
    "Samplers",
    "StoreStats",
    "installed",
    "model_cards",
    "open_client",
    "pull",
    "request_key",
    "stream_number",
]

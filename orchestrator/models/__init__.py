"""Language-model clients, and the sample store that lets nothing be paid for twice."""

from archloom.orchestrator.models._address import Address, request_key, stream_number
from archloom.orchestrator.models._client import Client, Completion
from archloom.orchestrator.models._open import open_client
from archloom.orchestrator.models._sampler import Drawn, Sampler, Samplers
from archloom.orchestrator.models._store import MemoryStore, SampleStore, SQLiteStore, StoreStats

__all__ = [
    "Address",
    "Client",
    "Completion",
    "Drawn",
    "MemoryStore",
    "SQLiteStore",
    "SampleStore",
    "Sampler",
    "Samplers",
    "StoreStats",
    "open_client",
    "request_key",
    "stream_number",
]

"""The sample store: its protocol, the one in memory, the one in SQLite, and its upkeep."""

from archloom.orchestrator.models.store._archive import Exported, export_samples, import_samples
from archloom.orchestrator.models.store._protocol import Added, Entry, MemoryStore, SampleStore, StoreStats
from archloom.orchestrator.models.store._sqlite import SQLiteStore
from archloom.orchestrator.models.store._upkeep import Flaw, Pruned, prune_store, verify_store

__all__ = [
    "Added",
    "Entry",
    "Exported",
    "Flaw",
    "MemoryStore",
    "Pruned",
    "SQLiteStore",
    "SampleStore",
    "StoreStats",
    "export_samples",
    "import_samples",
    "prune_store",
    "verify_store",
]

"""The embedded engine: llama.cpp in a child process, and the registry of its weights."""

from archloom.orchestrator.models.llamacpp._client import LlamaCppClient
from archloom.orchestrator.models.llamacpp._weights import ModelCard, installed, model_cards, models_folder, pull

__all__ = [
    "LlamaCppClient",
    "ModelCard",
    "installed",
    "model_cards",
    "models_folder",
    "pull",
]

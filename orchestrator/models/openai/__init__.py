"""Any OpenAI-compatible endpoint, straight over aiohttp and orjson."""

from archloom.orchestrator.models.openai._client import OpenAIClient

__all__ = [
    "OpenAIClient",
]

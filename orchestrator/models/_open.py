"""From what a document says about a model to the client that speaks to it."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping

from archloom.graphs import (
    LiteLLMModel,
    LlamaCppModel,
    ModelSpec,
    OpenAIModel,
    ScriptedModel,
    SimulatedModel,
    VLLMModel,
)
from archloom.orchestrator.models._client import Client
from archloom.orchestrator.models._scripted import ScriptedClient
from archloom.orchestrator.models.litellm._client import LiteLLMClient
from archloom.orchestrator.models.llamacpp._client import LlamaCppClient
from archloom.orchestrator.models.openai._client import OpenAIClient
from archloom.orchestrator.models.simulated._client import SimulatedClient
from archloom.orchestrator.models.vllm._client import VLLMClient
from archloom.orchestrator.models.vllm._launched import LaunchedVLLMClient


def open_client(spec: ModelSpec, *, environ: Mapping[str, str]) -> Client:
    """The client of this model's provider; nothing is started or sent before it is entered.

    Args:
        spec: A model of a document.
        environ: Where ``${NAME}`` and the folder of weights are looked up.

    Raises:
        UsageError: the model cannot be used as written, for example because a variable is not set.
    """
    match spec:
        case OpenAIModel():
            return OpenAIClient(spec, environ=environ)
        case VLLMModel(base_url=None):
            return LaunchedVLLMClient(spec, environ=environ)
        case VLLMModel():
            return VLLMClient(spec, environ=environ)
        case LlamaCppModel():
            return LlamaCppClient(spec, environ=environ)
        case LiteLLMModel():
            return LiteLLMClient(spec, environ=environ)
        case SimulatedModel():
            return SimulatedClient(spec)
        case ScriptedModel():
            return ScriptedClient(spec)


class _Every(UserDict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""

    def __contains__(self, name: object) -> bool:
        return True


def every_variable(environ: Mapping[str, str]) -> Mapping[str, str]:
    """An environment in which every name has a value: a replay opens nothing, so it needs no key."""
    return _Every(environ)

"""From what a document says about a model to the client that speaks to it."""

from __future__ import annotations

from collections.abc import Mapping

from archloom.graphs import LlamaCppModel, ModelSpec, OpenAIModel, ScriptedModel, SimulatedModel
from archloom.orchestrator.models._client import Client
from archloom.orchestrator.models._llamacpp import LlamaCppClient
from archloom.orchestrator.models._openai import OpenAIClient
from archloom.orchestrator.models._scripted import ScriptedClient
from archloom.orchestrator.models._simulated import SimulatedClient


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
        case LlamaCppModel():
            return LlamaCppClient(spec, environ=environ)
        case SimulatedModel():
            return SimulatedClient(spec)
        case ScriptedModel():
            return ScriptedClient(spec)

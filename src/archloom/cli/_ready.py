"""What is looked at before a command makes a folder or a store."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archloom.graphs import Document
    from archloom.orchestrator.models import StoreUse


def check_models(documents: Iterable[Document], use: StoreUse = "reuse") -> None:
    """Finds models that cannot be used as written; nothing is started, and weights are only needed for a call.

    A replay opens no model, so no key needs to be there.

    Raises:
        UsageError: a variable is not set, or a name is in no registry.
        ModelUnavailableError: a file is missing.
    """
    from pydantic import TypeAdapter

    from archloom.graphs import ModelSpec
    from archloom.orchestrator.models import every_variable, open_client

    environ = every_variable(os.environ) if use == "replay" else os.environ
    models: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)
    for document in documents:
        declared = document.data["models"]
        assert isinstance(declared, dict), "a document is checked when it is read"
        specs = {name: models.validate_python(spec) for name, spec in declared.items()}
        asked = dict.fromkeys(each for name in _used(document) for each in (name, *specs[name].fallback))
        for name in asked:
            open_client(specs[name], environ=environ).identity  # noqa: B018 - it may raise


def _used(document: Document) -> Iterator[str]:
    """Names of the models that a node asks, or may ask once the choices are made."""
    from archloom.graphs import graphs_in

    nodes = (spec for graph in graphs_in(document.data) for spec in graph.nodes.values())
    written = [spec.get("model") for spec in nodes if isinstance(spec, dict)]
    offered = [option for hole in document.holes if hole.path[-1] == "model" for option in hole.options]
    free = document.search.topology.models if document.search.topology else ()
    yield from (name for name in (*written, *offered, *free) if isinstance(name, str))

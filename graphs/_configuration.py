"""A configuration: a workflow without open choices, ready to run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from archloom.graphs._models import ModelSpec
from archloom.graphs._yaml import dump
from archloom.nodes import Budget, Node
from archloom.tools import AnswerFormat

_OPERATIONAL: Mapping[str, Any] = {
    **dict.fromkeys(("base_url", "api_key", "headers", "n", "stream", "stall_s"), True),
    **dict.fromkeys(("timeout_s", "deadline_s", "retries", "fallback", "threads", "sleep"), True),
    **dict.fromkeys(("max_concurrency", "adaptive", "requests_per_minute", "tokens_per_minute"), True),
    "launch": {
        *("python", "env", "ready_s", "max_model_len", "max_num_seqs", "gpu_memory_utilization"),
        *("tensor_parallel_size", "prefix_caching", "speculative"),
    },
}
"""Fields of a model that say how it is reached, not what it answers. Fallbacks count by what they are."""


@dataclass(frozen=True)
class Configuration:
    """Models, nodes and edges of one workflow.

    Attributes:
        name: Name for people; not part of the identity.
        models: The models that nodes refer to.
        nodes: Node specs by name.
        output: The node whose first candidate is the workflow's answer.
        budget: Hard limits per task.
        answer: How the final answer is read out of a text.
        doc: What it is for.
    """

    name: str
    models: Mapping[str, ModelSpec]
    nodes: Mapping[str, Node]
    output: str
    budget: Budget = field(default_factory=Budget)
    answer: AnswerFormat = "text"
    doc: str = ""

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node names in canonical order: by longest path from the start, then by what the node is.

        It depends on the graph alone, not on the order of writing; names only order nodes that are equal and
        used for the same.
        """
        return tuple(
            sorted(self.nodes, key=lambda name: (self.depth[name], self.signatures[name], self._uses[name], name))
        )

    @cached_property
    def signatures(self) -> Mapping[str, str]:
        """A digest of each node: its spec, its model, and the digests of its predecessors; names do not count."""
        found: dict[str, str] = {}

        def visit(name: str) -> str:
            if name not in found:
                node = self.nodes[name]
                spec = node.model_dump(mode="json", exclude={"after"})
                if "model" in spec:
                    spec["model"] = [_answering(self.models[model]) for model in self.chain(spec["model"])]
                found[name] = _digest([spec, [visit(parent) for parent in node.after]])
            return found[name]

        for name in self.nodes:
            visit(name)
        return found

    @cached_property
    def _uses(self) -> Mapping[str, str]:
        """A digest of what becomes of each node's candidates; tells equal nodes apart without their names."""
        readers: dict[str, list[tuple[int, str]]] = {name: [] for name in self.nodes}
        for reader, node in self.nodes.items():
            for place, parent in enumerate(node.after):
                readers[parent].append((place, reader))
        found: dict[str, str] = {}

        def visit(name: str) -> str:
            if name not in found:
                uses = sorted([self.signatures[reader], place, visit(reader)] for place, reader in readers[name])
                found[name] = _digest([name == self.output, uses])
            return found[name]

        for name in self.nodes:
            visit(name)
        return found

    @cached_property
    def depth(self) -> Mapping[str, int]:
        """Edges on the longest path from a node without predecessors."""
        depths: dict[str, int] = {}

        def visit(name: str) -> int:
            if name not in depths:
                depths[name] = 1 + max((visit(parent) for parent in self.nodes[name].after), default=-1)
            return depths[name]

        for name in self.nodes:
            visit(name)
        return depths

    @cached_property
    def id(self) -> str:
        """Short hash of all that decides what it answers; other names for nodes or models do not change it."""
        place = {name: number for number, name in enumerate(self.order)}
        nodes = [[self.signatures[name], [place[parent] for parent in self.nodes[name].after]] for name in self.order]
        return _digest([nodes, place[self.output], self.budget.model_dump(mode="json"), self.answer])[:12]

    def chain(self, model: str) -> tuple[str, ...]:
        """The model and those that stand in for it, in turn."""
        return (model, *self.models[model].fallback)

    @property
    def used_models(self) -> tuple[str, ...]:
        """Names of the models that some node may ask, in canonical order of first use, each with its fallbacks."""
        asked = (getattr(self.nodes[name], "model", None) for name in self.order)
        return tuple(dict.fromkeys(name for model in asked if model is not None for name in self.chain(model)))

    def to_data(self) -> dict[str, Any]:
        """The document's data: what differs from the defaults, in reading order."""
        data: dict[str, Any] = {"archloom": 1, "name": self.name}
        if self.doc:
            data["doc"] = self.doc
        if self.answer != "text":
            data["answer"] = self.answer
        data["models"] = {name: _written(self.models[name], "provider", "model") for name in self.used_models}
        if limits := _written(self.budget):
            data["budget"] = limits
        data["nodes"] = {
            name: _written(self.nodes[name], "type", "model", "samples", "temperature") for name in self.order
        }
        data["output"] = self.output
        return data

    def to_yaml(self, *, comment: str = "") -> str:
        """The workflow file; ``comment`` is put before it, line by line."""
        lines = [f"# {line}".rstrip() for line in comment.splitlines()]
        return "\n".join([*lines, dump(self.to_data())])


def _answering(model: ModelSpec) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude=_OPERATIONAL)


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _written(spec: Any, *always: str) -> dict[str, Any]:
    """What a person would write: the fields that differ from their defaults, and those named."""
    values = spec.model_dump(mode="json", exclude_defaults=True)
    full = spec.model_dump(mode="json")
    names = [*always, *(name for name in values if name not in (*always, "after"))]
    out = {name: full[name] for name in [*names, "after"] if name in full and (name in names or name in values)}
    for name in ("after", "stop"):
        if isinstance(out.get(name), list) and len(out[name]) == 1:
            out[name] = out[name][0]
    return out

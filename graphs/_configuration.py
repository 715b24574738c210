"""A configuration: a workflow without open choices, ready to run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson

from archloom.graphs._inside import Input
from archloom.graphs._models import ModelSpec
from archloom.graphs._yaml import dump
from archloom.nodes import INPUT, Body, Budget, Composite, Node, default_after
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
                if isinstance(node, Composite):
                    for part in node.parts:
                        _put(spec, part.path, self.bodies[name][part.label].shape)
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
    def shape(self) -> list[Any]:
        """What its nodes are and how they are joined, without their names, and which of them is the output."""
        place = {name: number for number, name in enumerate(self.order)}
        nodes = [[self.signatures[name], [place[parent] for parent in self.nodes[name].after]] for name in self.order]
        return [nodes, place[self.output]]

    @cached_property
    def id(self) -> str:
        """Short hash of all that decides what it answers; other names for nodes or models do not change it."""
        return _digest([*self.shape, self.budget.model_dump(mode="json"), self.answer])[:12]

    @cached_property
    def bodies(self) -> Mapping[str, Mapping[str, Configuration]]:
        """The bodies of each composite node as workflows of their own, by node and label.

        What is handed to a body comes in at a node ``input``, where the body uses it.
        """
        return {
            name: {part.label: self._inside(f"{name}[{part.label}]", part.body) for part in node.parts}
            for name, node in self.nodes.items()
            if isinstance(node, Composite)
        }

    def _inside(self, name: str, body: Body) -> Configuration:
        used = any(INPUT in node.after for node in body.nodes.values())
        nodes: dict[str, Node] = {INPUT: Input(), **body.nodes} if used else dict(body.nodes)
        return Configuration(name, self.models, nodes, body.output, answer=self.answer)

    @cached_property
    def all_nodes(self) -> Mapping[str, Node]:
        """The nodes, and after each composite node those of its bodies, in canonical order.

        Inner nodes are named like those of a run, with ``*`` for its number: ``refine[*].review``.
        """
        found: dict[str, Node] = {}
        for name in self.order:
            if name != INPUT or not isinstance(self.nodes[name], Input):
                found[name] = self.nodes[name]
            for label, body in self.bodies.get(name, {}).items():
                found |= {f"{name}[{label}].{inner}": node for inner, node in body.all_nodes.items()}
        return found

    @cached_property
    def places(self) -> Mapping[str, str]:
        """Names in :attr:`all_nodes` by the place of the node in a document: ``nodes.refine.body.nodes.review``."""
        found: dict[str, str] = {}
        for name, node in self.nodes.items():
            if not isinstance(node, Input):
                found[f"nodes.{name}"] = name
            for part in node.parts if isinstance(node, Composite) else ():
                at = ".".join(("nodes", name, *part.path))
                inside = self.bodies[name][part.label].places.items()
                found |= {f"{at}.{place}": f"{name}[{part.label}].{inner}" for place, inner in inside}
        return found

    def chain(self, model: str) -> tuple[str, ...]:
        """The model and those that stand in for it, in turn."""
        return (model, *self.models[model].fallback)

    @property
    def used_models(self) -> tuple[str, ...]:
        """Names of the models that some node may ask, in canonical order of first use, each with its fallbacks."""
        asked = (getattr(node, "model", None) for node in self.all_nodes.values())
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
        data["nodes"] = {name: self._node(name) for name in self.order}
        data["output"] = self.output
        return data

    def _node(self, name: str) -> dict[str, Any]:
        node = self.nodes[name]
        data = _written(node, "type", "model", "samples", "temperature")
        for part in node.parts if isinstance(node, Composite) else ():
            body = self.bodies[name][part.label]
            _put(data, part.path, {"nodes": body._inner_nodes(), "output": body.output})
        return data

    def _inner_nodes(self) -> dict[str, Any]:
        """The nodes of a body, as they are written there."""
        out = {}
        for name, node in self.nodes.items():
            if not isinstance(node, Input):
                data = {key: value for key, value in self._node(name).items() if key != "after"}
                if node.after != default_after(node):
                    data["after"] = node.after[0] if len(node.after) == 1 else list(node.after)
                out[name] = data
        return {name: out[name] for name in self.order if name in out}

    def to_yaml(self, *, comment: str = "") -> str:
        """The workflow file; ``comment`` is put before it, line by line."""
        lines = [f"# {line}".rstrip() for line in comment.splitlines()]
        return "\n".join([*lines, dump(self.to_data())])


def _answering(model: ModelSpec) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude=_OPERATIONAL)


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _put(data: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        data = data[part]
    data[path[-1]] = value


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

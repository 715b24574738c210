"""Archon's configurations: layers of components in JSON (Saad-Falcon et al., 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import cast

from archloom.graphs._document import Document
from archloom.graphs._yaml import Json, Path, dump
from archloom.graphs.importers._archon_models import Models
from archloom.graphs.importers._archon_nodes import NOBODY, Spec, node_of
from archloom.graphs.importers._archon_rules import TYPES, check_rules
from archloom.graphs.importers._reading import Part, Reading, Remark
from archloom.tools import suggest


@dataclass(frozen=True)
class Imported:
    """A configuration as a workflow.

    Attributes:
        document: The checked workflow.
        yaml: Its file, with a comment that says where it comes from.
        remarks: What was not taken over as it was written, in reading order.
    """

    document: Document
    yaml: str
    remarks: tuple[Remark, ...]


def import_archon(text: str, *, source: str = "<archon>") -> Imported:
    """The workflow that an Archon configuration describes.

    Each component becomes a node, each layer the nodes that come after those of the layer before it, each pair
    of ``model`` and ``model_type`` a model. Fields that Archon itself does not read, and those that mean something
    that archloom does otherwise, are named in the remarks.

    Args:
        text: The JSON file.
        source: Its name, for messages.

    Raises:
        DocumentError: it is no Archon configuration, or its layers break a construction rule; all problems at once.
    """
    reading = Reading(text, source)
    top, layers = _layers(reading)
    check_rules([[str(part.data["type"]) for part in layer] for layer in layers], reading)
    graph = _Graph()
    for number, layer in enumerate(layers, 1):
        graph.add(number, layer)
    reading.stop_if_wrong()
    if graph.tests and not any(each["type"] == "unit_test_evaluator" for each in graph.nodes.values()):
        reading.remark(("layers",), "the tests are shown to the generators, and no unit_test_evaluator judges by them.")
    file = FilePath(source).name
    name = str(top.take("name") or "archon")
    data: dict[str, object] = {
        "archloom": 1,
        "name": name,
        "doc": f"Archon's configuration {name!r} (Saad-Falcon et al., Archon, 2024), imported from {file}.",
        "models": graph.models.specs,
        "nodes": graph.nodes,
        "output": graph.current[0],
    }
    remarks = tuple(sorted(reading.remarks, key=lambda each: (each.line, each.column)))
    said = "".join(f"\n{remark.path}: {remark.message}" for remark in remarks)
    comment = "".join(f"# {line}\n" for line in f"archloom import archon {file}{said}".splitlines())
    yaml = comment + dump(data)
    return Imported(Document.parse(yaml, source=source), yaml, remarks)


def _layers(reading: Reading) -> tuple[Part, list[list[Part]]]:
    """The components of each layer; an older form has them under ``models``."""
    if not isinstance(reading.data, dict):
        reading.wrong((), "an Archon configuration is an object with 'name' and 'layers'.")
        reading.stop_if_wrong()
    top = Part(reading, (), cast("dict[str, Json]", reading.data))
    if top.has("custom"):
        top.remark("custom", "has no counterpart: components of one's own are archloom plug-ins.")
    out = []
    layers = top.take("layers")
    if not isinstance(layers, list) or not layers:
        reading.wrong(("layers",) if "layers" in top.data else (), "'layers' must be a list of layers.")
        layers = []
    for at, layer in enumerate(layers):
        path: Path = ("layers", at)
        if isinstance(layer, dict):
            old = Part(reading, path, layer)
            layer, path = old.take("models"), (*path, "models")
            old.report_rest({"branches": NOBODY}, frozenset({"models"}))
        out.append(_components(reading, path, layer))
    top.take("name")
    top.report_rest({}, frozenset({"name", "layers", "custom"}))
    reading.stop_if_wrong()
    return top, out


def _components(reading: Reading, path: Path, layer: Json) -> list[Part]:
    if not isinstance(layer, list) or not layer:
        reading.wrong(path, "a layer must be a list of components.")
        return []
    parts = []
    for at, component in enumerate(layer):
        place = (*path, at)
        if not isinstance(component, dict):
            reading.wrong(place, "a component must be an object with 'type' and 'model'.")
            continue
        part = Part(reading, place, component)
        kind = part.text("type")
        if kind and kind not in TYPES:
            hint = suggest(kind, TYPES) or "A component of somebody's own is Python code: write it as a plug-in."
            reading.wrong((*place, "type"), f"there is no component {kind!r}.", hint)
        parts.append(part)
    return parts


@dataclass
class _Graph:
    """The nodes so far.

    Attributes:
        current: The nodes whose candidates the next layer works on.
        tests: The node whose tests count.
        criticised: The current candidates have critiques; a fuser's new answers have none.
    """

    models: Models = field(default_factory=Models)
    nodes: dict[str, Spec] = field(default_factory=dict)
    current: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    criticised: bool = False

    def add(self, number: int, layer: Sequence[Part]) -> None:
        """Adds a layer, and moves on."""
        kind = str(layer[0].data["type"])
        names = []
        for at, part in enumerate(layer, 1):
            name = f"{kind}_{number}" if len(layer) == 1 else f"{kind}_{number}_{at}"
            node = node_of(part, self.models, criticised=self.criticised)
            if after := self._after(kind):
                node["after"] = after[0] if len(after) == 1 else list(after)
            self.nodes[name] = node
            names.append(name)
        if kind == "unit_test_generator":
            self.tests = tuple(names)
        else:
            self.current = tuple(names)
            self.criticised = kind == "critic" or (self.criticised and kind not in ("generator", "fuser"))

    def _after(self, kind: str) -> tuple[str, ...]:
        match kind:
            case "unit_test_generator":
                return ()
            case "generator":
                return self.tests
            case "unit_test_evaluator":
                return (*self.tests, *self.current)
            case _:
                return self.current

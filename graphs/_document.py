"""The workflow document: YAML with positions, checked as a whole, with or without holes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TypeAlias, cast

from pydantic import TypeAdapter

from archloom.graphs._checker import Checker
from archloom.graphs._configuration import Configuration
from archloom.graphs._construction import check_construction
from archloom.graphs._filling import built, filled, mapping, without_dead_ends
from archloom.graphs._holes import Hole
from archloom.graphs._models import ModelSpec
from archloom.graphs._override import apply_override
from archloom.graphs._search_spec import SearchSpec
from archloom.graphs._yaml import Json, dotted, load
from archloom.graphs.errors import DocumentError, InvalidConfigurationError, Problem
from archloom.nodes import Budget
from archloom.tools import AnswerFormat

Assignment: TypeAlias = Mapping[str, object]
"""A chosen option for each hole, by :attr:`Hole.name`."""

_model_adapter: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)


@dataclass(frozen=True)
class Document:
    """A checked workflow document.

    Attributes:
        source: File name, for messages.
        data: Its data after library graphs were put in; holes still open.
        holes: Its open choices in reading order; empty for a workflow that can run.
        search: The ``search:`` block.
        folder: Folder that relative paths in it start from.
    """

    source: str
    data: dict[str, Json]
    holes: tuple[Hole, ...]
    search: SearchSpec
    folder: FilePath = field(default_factory=FilePath)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, overrides: Sequence[str] = ()) -> Document:
        """Reads and checks a file.

        Args:
            path: The file.
            overrides: Entries to replace before checking, each written ``nodes.draft.samples=4``.

        Raises:
            DocumentError: it cannot be read, or anything in it is wrong; all problems at once.
        """
        file = FilePath(path)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8 text"
            raise DocumentError([Problem("E010", "", f"cannot be read: {why}.", source=str(file))]) from exc
        return cls.parse(text, source=str(file), folder=file.parent, overrides=overrides)

    @classmethod
    def parse(
        cls,
        text: str,
        *,
        source: str = "<document>",
        folder: FilePath | None = None,
        overrides: Sequence[str] = (),
    ) -> Document:
        """Checks a document given as text.

        Raises:
            DocumentError: anything in it is wrong; all problems at once.
        """
        located = load(text, source)
        for override in overrides:
            apply_override(located, override)
        checked = Checker(located, source).check()
        return cls(source, checked.data, checked.holes, checked.search, folder or FilePath())

    @property
    def name(self) -> str:
        """Its name, by default that of the file."""
        return str(self.data.get("name") or FilePath(self.source).stem)

    def configure(self, assignment: Assignment | None = None) -> Configuration:
        """The workflow with these choices made.

        Args:
            assignment: An option for every hole.

        Raises:
            InvalidConfigurationError: an option is missing or not offered, or the construction rules forbid
                this combination.
        """
        chosen = dict(assignment or {})
        for hole in self.holes:
            if hole.name not in chosen:
                raise InvalidConfigurationError(f"{self.source}: {hole.name} is still open.")
            if chosen[hole.name] not in hole.options:
                raise InvalidConfigurationError(f"{self.source}: {hole.name} does not offer {chosen[hole.name]!r}.")
        data = filled(self.data, self.holes, chosen)
        models = {name: _model_adapter.validate_python(spec) for name, spec in mapping(data["models"]).items()}
        nodes, output = built(data)
        broken = check_construction(nodes, models, output, all_lead_to_output=False)
        if broken:
            first = broken[0]
            raise InvalidConfigurationError(f"{self.source}: {dotted(first.path)}: {first.message}", hint=first.hint)
        if without_dead_ends(data):
            nodes, output = built(data)
        return Configuration(
            name=self.name,
            models=models,
            nodes=nodes,
            output=output,
            budget=Budget.model_validate(data.get("budget") or {}),
            answer=cast(AnswerFormat, data.get("answer") or "text"),
            doc=str(data.get("doc") or ""),
        )

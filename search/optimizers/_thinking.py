"""Optimizers that ask a model: how they come to its words, and how its words are read."""

from __future__ import annotations

import json
from typing import Annotated, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from archloom.nodes import Sampling, Spec
from archloom.search._of_document import DocumentSpace
from archloom.search._space import Space
from archloom.search.errors import OptimizerOptionsError

R = TypeVar("R", bound="Reply")


class Consult(Protocol):
    """Asks a model of the document; what it costs is charged to the search."""

    async def __call__(self, model: str, question: str, sampling: Sampling) -> str | None:
        """The model's reply, or ``None`` where the call failed.

        Raises:
            SearchBudgetError: the search's budget has no room for the call.
        """


@runtime_checkable
class Thinker(Protocol):
    """An optimizer that may ask a model between two questions for cells.

    ``ask`` stays synchronous and works without ``think``: what no model has said is decided by numbers.
    """

    async def think(self, consult: Consult) -> None:
        """Called before each ``ask``."""


@runtime_checkable
class Publisher(Protocol):
    """An optimizer whose publication ends otherwise than with a recommendation."""

    def published(self) -> dict[str, JsonValue]:
        """What it would have returned; goes into the run log."""


class ThinkingOptions(Spec):
    """Options of optimizers that can ask a model."""

    model: str | None = None
    """Entry of ``models`` that writes proposals; left out, numbers alone decide."""
    max_tokens: Annotated[int, Field(ge=16)] = 2048
    """Completion tokens of each of its replies."""

    @property
    def sampling(self) -> Sampling:
        """The parameters of its requests."""
        return Sampling(temperature=0.7, max_tokens=self.max_tokens)


class Reply(BaseModel):
    """Base of what a model is asked to write: a JSON object with these fields and no others."""

    model_config = ConfigDict(extra="forbid", strict=True)


def check_model(space: Space, model: str | None) -> None:
    """Passes when the space's document has this model.

    Raises:
        OptimizerOptionsError: it has not.
    """
    if model is None:
        return
    models = space.document.data["models"] if isinstance(space, DocumentSpace) else {}
    assert isinstance(models, dict), "a document is checked when it is read"
    if model not in models:
        known = f"It has {', '.join(map(repr, models))}." if models else "This space comes of no document."
        raise OptimizerOptionsError(f"The optimizer's model {model!r} is no model of the document.", hint=known)


def parse(reply: str | None, kind: type[R]) -> R | None:
    """The JSON object in a reply, or ``None`` where there is none or it is not exactly of this kind."""
    if reply is None or (start := reply.find("{")) < 0:
        return None
    try:
        data, _ = json.JSONDecoder().raw_decode(reply, start)
        return kind.model_validate(data)
    except (ValueError, RecursionError, ValidationError):
        return None


def as_json(value: object) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False)

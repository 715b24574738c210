"""Pydantic's errors in the words of a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError

from archloom.graphs._yaml import Path
from archloom.tools import suggest


def pydantic_problems(exc: ValidationError, cls: type | None) -> Iterator[tuple[str, Path, str, str | None]]:
    """Code, path inside the value, message and hint of each error.

    Args:
        cls: The class that was validated against, for suggestions; ``None`` for a discriminated union whose
            tag is unknown.
    """
    for error in exc.errors(include_url=False):
        path = _without_tags(error["loc"])
        kind = error["type"]
        if kind == "extra_forbidden":
            known = _fields_at(cls, path[:-1])
            yield "E012", path, "unknown field.", suggest(str(path[-1]), known)
        elif kind == "missing":
            yield "E014", path[:-1], f"{str(path[-1])!r} is missing.", ""
        elif kind in {"union_tag_invalid", "union_tag_not_found"}:
            context = error.get("ctx", {})
            expected = [tag.strip(" '") for tag in str(context.get("expected_tags", "")).split(",") if tag.strip()]
            key = str(context.get("discriminator", "'provider'")).strip("'")
            if kind == "union_tag_not_found":
                yield "E014", path, f"{key!r} is missing.", suggest("", expected)
            else:
                tag = str(context.get("tag"))
                yield "E013", (*path, key), f"there is no {key} {tag!r}.", suggest(tag, expected)
        else:
            message = error["msg"].removeprefix("Value error, ")
            value = "" if kind == "value_error" else f"; it is {error['input']!r:.60}"
            yield "E013", path, f"{message[:1].lower()}{message[1:]}{value}.", ""


def _without_tags(loc: tuple[int | str, ...]) -> Path:
    """Pydantic puts the tag of a union into the location; a document has no such level."""
    tags = {"openai", "llamacpp", "simulated", "scripted", "vllm", "litellm"}
    return loc[1:] if loc and loc[0] in tags else loc


def _fields_at(cls: type | None, path: Path) -> list[str]:
    """Names of the fields of the model at this path inside the class."""
    for part in path:
        field = getattr(cls, "model_fields", {}).get(part)
        cls = next(_models(field.annotation), None) if field else None
    return list(getattr(cls, "model_fields", {}))


def _models(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)

"""Specs of generated task sets: ``PREFIX:NAME?key=value&key=value``."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from archloom.tasks.errors import TaskError


def parse_spec(rest: str) -> tuple[str, dict[str, str]]:
    """Name and parameters of what follows the prefix.

    Raises:
        TaskError: the parameters are not ``key=value`` pairs, or one is given twice.
    """
    name, _, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as exc:
        raise TaskError(
            f"parameters of {name!r} are not key=value pairs joined by '&': {query!r}.",
            hint=f"For example {name}?size=80&seed=7.",
        ) from exc
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise TaskError(f"a parameter of {name!r} is given twice: {query!r}")
    return name, parameters


def format_spec(prefix: str, name: str, parameters: Mapping[str, object]) -> str:
    """The one spelling of a spec: parameters in alphabetical order."""
    return f"{prefix}:{name}?{urlencode(sorted(parameters.items()), safe=',')}"

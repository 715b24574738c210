"""Overrides: ``--set nodes.draft.samples=4`` replaces an entry before the document is checked."""

from __future__ import annotations

from archloom.graphs._yaml import Json, Located, load
from archloom.tools.errors import UsageError


def apply_override(located: Located, override: str) -> None:
    """Puts the value at the path; the value is read as YAML, and what it makes is checked like the rest.

    Raises:
        UsageError: it is not ``PATH=VALUE``, or the path leads through something that is no mapping.
    """
    path, separator, text = override.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise UsageError(f"--set {override!r}: write PATH=VALUE, such as nodes.draft.samples=4.")
    value = load(text, "--set")
    for problem in value.problems:
        raise UsageError(f"--set {override!r}: {problem.message}.")
    place: Json = located.data
    for number, key in enumerate(keys):
        if not isinstance(place, dict):
            raise UsageError(f"--set {override!r}: {'.'.join(keys[:number])} has no entries.")
        if number == len(keys) - 1:
            place[key] = value.data
        else:
            place = place.setdefault(key, {})

"""Registries: what there is by name, ours and what plug-ins bring through an entry point group."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")
_log = logging.getLogger(__name__)


class Registry(Generic[T]):
    """Things by name.

    Plug-ins are loaded on the first look, by importing what their entry points name; a plug-in registers itself
    when it is imported. One that does not load is warned about and hurts nobody else.

    Args:
        group: Entry point group of the plug-ins.
        what: What is registered, for messages, such as ``node type``.
    """

    def __init__(self, group: str, what: str) -> None:
        self._group, self._what = group, what
        self._known: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str, thing: T) -> None:
        """Adds a thing.

        Raises:
            ValueError: another thing has this name.
        """
        if self._known.setdefault(name, thing) is not thing:
            raise ValueError(f"{self._what} {name!r} is registered twice: {self._known[name]} and {thing}")

    def decorator(self, name: str) -> Callable[[S], S]:
        """Registers the class or function below it, and leaves it as it is."""

        def add(thing: S) -> S:
            self.register(name, thing)  # type: ignore[arg-type]  # the rooms give this their own, narrower type
            return thing

        return add

    def all(self) -> dict[str, T]:
        """All things by name, in alphabetical order."""
        if not self._loaded:
            self._loaded = True
            for point in entry_points(group=self._group):
                try:
                    point.load()
                except Exception as exc:  # noqa: BLE001 - a broken plug-in must hurt nobody else
                    _log.warning("%s plug-in %s of %s does not load: %s", self._what, point.name, point.dist, exc)
        return dict(sorted(self._known.items()))

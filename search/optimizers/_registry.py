"""Optimizers by name: ours and those that plug-ins bring through the entry point group ``archloom.search``."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

from pydantic import ValidationError

from archloom.graphs import Objective
from archloom.search._space import Space
from archloom.search.errors import OptimizerOptionsError, UnknownOptimizerError
from archloom.search.optimizers._base import Optimizer, OptimizerType

O = TypeVar("O", bound=OptimizerType)  # noqa: E741
_types: dict[str, OptimizerType] = {}
_log = logging.getLogger(__name__)


def register_optimizer(name: str) -> Callable[[O], O]:
    """Makes an optimizer class available under a name. Plug-ins name theirs ``package/name``."""

    def add(cls: O) -> O:
        if name in _types and _types[name] is not cls:
            raise ValueError(f"optimizer {name!r} is registered twice: {_types[name]} and {cls}")
        _types[name] = cls
        return cls

    return add


@cache
def _load_plugins() -> None:
    for point in entry_points(group="archloom.search"):
        try:
            point.load()
        except Exception as exc:  # noqa: BLE001 - a broken plug-in must hurt nobody else
            _log.warning("search plug-in %s of %s does not load: %s", point.name, point.dist, exc)


def optimizer_types() -> dict[str, OptimizerType]:
    """All optimizer classes by name, in alphabetical order."""
    _load_plugins()
    return dict(sorted(_types.items()))


def make_optimizer(
    name: str,
    space: Space,
    task_ids: Sequence[str],
    objective: Objective,
    *,
    seed: int = 0,
    options: Mapping[str, object] | None = None,
) -> Optimizer:
    """Makes an optimizer by name.

    Args:
        name: ``race``, ``random``, ``tpe``, or a plug-in's.
        space: What it may choose from.
        task_ids: The tasks of the search in one random order, common to all configurations.
        objective: What it looks for.
        seed: Of all its random choices.
        options: Its options by name.

    Raises:
        UnknownOptimizerError: there is none of this name.
        OptimizerOptionsError: an unknown option, or a value it does not take.
    """
    types = optimizer_types()
    if name not in types:
        near = get_close_matches(name, types, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are {', '.join(map(repr, types))}."
        raise UnknownOptimizerError(f"There is no optimizer {name!r}.", hint=hint)
    cls = types[name]
    try:
        chosen = cls.Options.model_validate(dict(options or {}))
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
        fields = ", ".join(map(repr, cls.Options.model_fields)) or "none"
        raise OptimizerOptionsError(f"Options of optimizer {name!r}: {wrong}.", hint=f"It has {fields}.") from exc
    return cls(space, task_ids, objective, seed=seed, options=chosen)

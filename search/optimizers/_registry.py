"""Optimizers by name: ours and those that plug-ins bring through the entry point group ``archloom.search``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeVar

from pydantic import ValidationError

from archloom.graphs import Objective
from archloom.search._space import Space
from archloom.search.errors import OptimizerOptionsError, UnknownOptimizerError
from archloom.search.optimizers._base import Optimizer, OptimizerType
from archloom.tools import Registry

O = TypeVar("O", bound=OptimizerType)  # noqa: E741
_optimizers: Registry[OptimizerType] = Registry("archloom.search", "optimizer")


def register_optimizer(name: str) -> Callable[[O], O]:
    """Makes an optimizer class available under a name. Plug-ins name theirs ``package/name``."""
    return _optimizers.decorator(name)


def optimizer_types() -> dict[str, OptimizerType]:
    """All optimizer classes by name, in alphabetical order."""
    return _optimizers.all()


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
        name: One of :func:`optimizer_types`, such as ``race``.
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

"""``mcts``: AFlow's search over edits of workflows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, JsonValue

from archloom.graphs import InvalidConfigurationError, Objective
from archloom.nodes import Spec
from archloom.search._objective import Array, excess
from archloom.search._space import Point, Space
from archloom.search._topology import TopologySpace
from archloom.search.optimizers._history import FullEvaluations
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._thinking import Consult, Reply, ThinkingOptions, as_json, check_model, parse


class MCTSOptions(ThinkingOptions):
    """Options of ``mcts``."""

    top: Annotated[int, Field(ge=1)] = 4
    """The best configurations, from which parents are chosen."""
    explore: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of the choice that is uniform over them; the rest is by score."""
    sharpness: Annotated[float, Field(ge=0)] = 20.0
    """Factor on scores from 0 to 1 in the softmax over parents; AFlow's 0.2 on scores from 0 to 100."""


class _Edited(Reply):
    """A parent after one edit."""

    edit: str
    configuration: JsonValue


@register_optimizer("mcts")
class MCTS(FullEvaluations):
    """Full evaluations of one edit after the other, each of one of the best configurations (AFlow, Zhang et al., 2024).

    A parent is drawn from the top four with probability ``0.3 / n + 0.7 * softmax(20 * score)``. The optimizer's model
    is shown the parent, its score and the edits that were tried on it with what they brought, and writes the next one.
    A reply that does not parse, is no configuration of the space or was tried before, and no model at all, means a
    random single edit that was not tried. The root is the workflow as written where the space has it, else any.
    """

    Options: ClassVar[type[Spec]] = MCTSOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        super().__init__(space, task_ids, objective, seed=seed)
        self._options = MCTSOptions.model_validate(options.model_dump())
        check_model(space, self._options.model)
        self._written: Point | None = None

    async def think(self, consult: Consult) -> None:
        """Has the model edit the parent that is next."""
        model, options = self._options.model, self._options
        begun = any(self._open_tasks(self.space.point(config)) for config in self.cells.configs)
        if model is None or begun or not self.cells.configs:
            return
        parent = self._parent(self._rng())
        edited = parse(await consult(model, self._about(parent), options.sampling), _Edited)
        try:
            self._written = self.space.read(edited.configuration) if edited else None
        except InvalidConfigurationError:
            self._written = None

    def _next(self) -> Point | None:
        rng, written = self._rng(), self._written
        self._written = None
        if not self._asked:
            root = self.space.written if isinstance(self.space, TopologySpace) else None
            return root or self._unseen(rng)
        if written is not None and self._is_new(written):
            return written
        if not self.cells.configs:
            return self._unseen(rng)
        return self._edited(self._parent(rng), rng)

    def _is_new(self, point: Point) -> bool:
        return self.space.key(point) not in self._asked

    def _parent(self, rng: np.random.Generator) -> Point:
        """One of the best, mostly the better ones."""
        configs = self.cells.configs
        scores = self._scores(configs)
        top = np.argsort(-scores, kind="stable")[: self._options.top]
        weights = np.exp(self._options.sharpness * (scores[top] - scores[top].max()))
        explore = self._options.explore
        chances = explore / len(top) + (1 - explore) * weights / weights.sum()
        return self.space.point(configs[int(rng.choice(top, p=chances / chances.sum()))])

    def _scores(self, configs: Sequence[str]) -> Array:
        """Mean scores, less by how far the costs exceed their limits."""
        means = self.cells.means(configs)
        return np.asarray(means["score"] - excess(self.objective, means))

    def _edited(self, parent: Point, rng: np.random.Generator) -> Point | None:
        """A random edit of a parent that was not tried; where there is none left, any new configuration."""
        near = [point for point in self.space.neighbours(parent) if self._is_new(point)]
        return near[int(rng.integers(len(near)))] if near else self._unseen(rng)

    def _about(self, parent: Point) -> str:
        tried = [self.space.point(config) for config in self.cells.configs]
        near = {self.space.key(point) for point in self.space.neighbours(parent)}
        [score, *others] = self._scores([self.space.key(point) for point in (parent, *tried)])
        log = [
            f"{as_json(self.space.words(point))} score {other:.3f} ({other - score:+.3f})"
            for point, other in zip(tried, others, strict=True)
            if self.space.key(point) in near
        ]
        return "\n".join(
            [
                "You improve a workflow of language models by one small edit at a time.",
                f"The workflow, score {score:.3f}:\n{as_json(self.space.words(parent))}",
                *(["Edits of it that were tried, and what they brought:", *log] if log else ()),
                "Options: " + as_json(self.space.offers()),
                "Write the workflow after one edit that was not tried, in the form above.",
                'Reply with JSON only: {"edit": "what changes and why", "configuration": {...}}',
            ]
        )

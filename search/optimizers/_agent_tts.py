"""``agent_tts``: AgentTTS's rounds of experience and proposals, under a compute budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, JsonValue

from archloom.graphs import InvalidConfigurationError, Objective
from archloom.nodes import Spec
from archloom.search._objective import best_rows
from archloom.search._space import Point, Space
from archloom.search.optimizers._compute import Compute
from archloom.search.optimizers._history import FullEvaluations
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._thinking import Consult, Reply, ThinkingOptions, as_json, check_model, parse

_POOL = 200
_SHOWN = 30


class AgentTTSOptions(ThinkingOptions):
    """Options of ``agent_tts``."""

    budget: Annotated[float, Field(gt=0)] | None = None
    """Compute of one configuration on one task, in calls of the smallest model; left out, there is no limit."""
    tokens_in: Annotated[int, Field(ge=1)] = 200
    """Mean prompt tokens of a task, for the compute of a call."""
    tokens_out: Annotated[int, Field(ge=1)] = 250
    """Mean completion tokens of a call, for the same."""
    startup: Annotated[int, Field(ge=1)] = 4
    """First configurations; with a budget those that come nearest to using it up."""
    proposals: Annotated[int, Field(ge=1)] = 10
    """Configurations that the model proposes in a round."""


class _Proposals(Reply):
    """What to evaluate next."""

    configurations: list[JsonValue]


@register_optimizer("agent_tts")
class AgentTTS(FullEvaluations):
    """Full evaluations of what a model proposes from its experience (AgentTTS, Wang et al., 2025).

    It begins with configurations that spend the budget. In each round the optimizer's model first writes down what the
    archive of all evaluations teaches, then proposes ten configurations; those over the budget, tried before or not of
    the space are dropped, the rest is evaluated. Where nothing is left, and without a model, the next configuration is
    a small change of one of the best.
    """

    Options: ClassVar[type[Spec]] = AgentTTSOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        super().__init__(space, task_ids, objective, seed=seed)
        self._options = chosen = AgentTTSOptions.model_validate(options.model_dump())
        check_model(space, chosen.model)
        self._compute: Compute | None = None
        if chosen.budget is not None:
            self._compute = Compute(space, tokens_in=chosen.tokens_in, tokens_out=chosen.tokens_out)
        self._proposed: list[Point] = []
        self._round_at = chosen.startup

    async def think(self, consult: Consult) -> None:
        """Has the model write its experience, and then a round of proposals."""
        model, options = self._options.model, self._options
        evaluated = [config for config in self._asked if not self._open_tasks(self.space.point(config))]
        idle = len(evaluated) == len(self._asked) and not self._proposed and len(evaluated) >= self._round_at
        if model is None or not idle or not self.cells.configs:
            return
        self._round_at = len(evaluated) + options.proposals  # also where the model says nothing of use
        experience = await consult(model, self._about_archive(), options.sampling)
        reply = parse(await consult(model, self._about_proposals(experience or ""), options.sampling), _Proposals)
        self._proposed = list(dict.fromkeys(self._sensible(reply))) if reply else []

    def _next(self) -> Point | None:
        rng = self._rng()
        if len(self._asked) < self._options.startup:
            return self._first(rng)
        while self._proposed:
            if self._is_new(point := self._proposed.pop(0)):
                return point
        return self._changed(rng)

    def _is_new(self, point: Point) -> bool:
        return self.space.key(point) not in self._asked

    def _fits(self, point: Point) -> bool:
        budget = self._options.budget
        return self._compute is None or budget is None or self._compute.of(point) <= budget

    def _first(self, rng: np.random.Generator) -> Point | None:
        """A new configuration that uses the budget up as far as can be; without a budget a random one."""
        if self._compute is None:
            return self._unseen(rng)
        drawn = dict.fromkeys(self.space.sample(rng) for _ in range(_POOL))
        open_ = [point for point in drawn if self._is_new(point) and self._fits(point)]
        return max(open_, key=self._compute.of) if open_ else self._affordable(rng)

    def _changed(self, rng: np.random.Generator) -> Point | None:
        """A small change of one of the best configurations that keeps the budget."""
        if configs := self.cells.configs:
            rows = best_rows(self.objective, self.cells.means(configs))
            for turn in range(_POOL):
                point = self.space.mutate(self.space.point(configs[rows[turn % len(rows)]]), rng)
                if self._is_new(point) and self._fits(point):
                    return point
        return self._affordable(rng)

    def _affordable(self, rng: np.random.Generator) -> Point | None:
        """Any new configuration within the budget."""
        if self._compute is None:
            return self._unseen(rng)
        every = self.space.points() if self.space.listable else [self.space.sample(rng) for _ in range(_POOL)]
        left = [point for point in every if self._is_new(point) and self._fits(point)]
        return left[int(rng.integers(len(left)))] if left else None

    def _sensible(self, reply: _Proposals) -> Iterator[Point]:
        for words in reply.configurations[: self._options.proposals]:
            try:
                point = self.space.read(words)
            except InvalidConfigurationError:
                continue
            if self._is_new(point) and self._fits(point):
                yield point

    def _about_archive(self) -> str:
        return "\n".join(
            [
                "A workflow of language models is tuned. What was evaluated so far, the best first:",
                *self._archive(),
                "Write in a few sentences what this teaches: which models, how many samples, which parts matter, "
                "and what was not tried yet.",
            ]
        )

    def _about_proposals(self, experience: str) -> str:
        budget = self._options.budget
        most = f"A configuration may use the compute of at most {budget} calls of the smallest model."
        return "\n".join(
            [
                "A workflow of language models is tuned. What was evaluated so far, the best first:",
                *self._archive(),
                f"Experience: {experience.strip()}",
                *([most] if budget is not None else ()),
                "Options: " + as_json(self.space.offers()),
                f"Propose {self._options.proposals} configurations that were not evaluated, in the form above.",
                'Reply with JSON only: {"configurations": [{...}, ...]}',
            ]
        )

    def _archive(self) -> list[str]:
        """The best evaluations, a line each."""
        configs = self.cells.configs
        means = self.cells.means(configs)
        order = np.argsort(-means["score"], kind="stable")[:_SHOWN]
        return [
            f"{as_json(self.space.words(self.space.point(configs[row])))} score {float(means['score'][row]):.3f}, "
            f"{float(means['tokens'][row]):.0f} tokens"
            for row in order
        ]

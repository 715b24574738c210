"""``agent_reinforce``: policy search that starts from pilots and takes its gradients from a model's feedback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, JsonValue

from archloom.graphs import InvalidConfigurationError, Objective
from archloom.nodes import Spec
from archloom.search._space import Point, Space
from archloom.search._topology import TopologySpace
from archloom.search.errors import OptimizerOptionsError
from archloom.search.optimizers._base import Observation
from archloom.search.optimizers._compute import Compute
from archloom.search.optimizers._pilots import Pilots, within
from archloom.search.optimizers._policy import Policy, Trial
from archloom.search.optimizers._registry import register_optimizer
from archloom.search.optimizers._reinforce import PolicySearch, ReinforceOptions
from archloom.search.optimizers._thinking import Consult, Reply, ThinkingOptions, as_json, check_model, parse

_SHOWN = 40
"""The most multisets that a model is shown."""
_REMEMBERED = 3
"""Rounds that a model is shown."""
_INSIGHTS = (
    "What is known of such graphs:",
    "1. Which mix of models is best depends on the tasks; many weak models often do worse than a few strong ones.",
    "2. Width and depth each have an optimum; beyond it, more hurts.",
    "3. The two depend on each other: the wider a graph, the smaller its best depth.",
)
_ROLES = "Generators answer, or improve on the answers they read; fusers condense what they read into new answers."


class AgentReinforceOptions(ReinforceOptions, ThinkingOptions):
    """Options of ``agent_reinforce``."""

    budget: Annotated[float, Field(gt=0)] | None = None
    """Compute of one graph on one task, in calls of the smallest model; in a topology by default one call of the
    dearest model, or one call per node of the smallest, whichever is more."""
    tokens_in: Annotated[int, Field(ge=1)] = 200
    """Mean prompt tokens of a task, for the compute of a call."""
    tokens_out: Annotated[int, Field(ge=1)] = 250
    """Mean completion tokens of a call, for the same."""
    start: Literal["pilots", "random"] | None = None
    """Begin with pilots of what the budget buys, or knowing nothing; by default pilots where the topology is free."""
    pilots: Annotated[int, Field(ge=1)] = 4
    """Mixes of models that are piloted, each also without its weakest member."""
    insights: bool = True
    """Tell the model what is known of such graphs."""
    numeric: bool = False
    """Move the policy by REINFORCE alone; the model then only chooses what to pilot."""
    edges_only: bool = False
    """Move only edges; roles and models stay as likely as the start made them."""


class _Picks(Reply):
    """Which mixes to pilot."""

    pick: Annotated[list[int], Field(min_length=1)]


class _Feedback(Reply):
    """The next graph, and chances that are to change."""

    graph: JsonValue
    chances: dict[str, list[Annotated[float, Field(ge=0, le=1)]]]


class _Nudge(NamedTuple):
    """Feedback that makes sense in this space."""

    next: Point | None
    chances: dict[int, list[float]]


@register_optimizer("agent_reinforce")
class AgentReinforce(PolicySearch):
    """REINFORCE whose steps a model writes (Generalizing Test-time Compute-optimal Scaling as an Optimizable Graph).

    In a free topology it first observes each model by itself, enumerates the mixes of models that use up a compute
    budget, and pilots a few of them, each also without its weakest member; the best pilot shapes the first policy. Then
    it draws graphs, takes the smallest nodes out of those over the budget, and after each step shows the model the last
    graphs, their scores and the chances; the model writes the next graph and new chances. A reply that does not parse,
    and no model at all, means a step of ``reinforce`` instead. Spaces without a topology begin at once.

    Unlike the published code it recommends the configuration with the best evidence and not the last graph, and what
    its model reads and writes is charged to the search.
    """

    Options: ClassVar[type[Spec]] = AgentReinforceOptions

    def __init__(
        self, space: Space, task_ids: Sequence[str], objective: Objective, *, seed: int, options: Spec
    ) -> None:
        chosen = AgentReinforceOptions.model_validate(options.model_dump())
        super().__init__(space, task_ids, objective, seed=seed, options=chosen)
        check_model(space, chosen.model)
        if chosen.start == "pilots" and not isinstance(space, TopologySpace):
            raise OptimizerOptionsError(
                "'start: pilots' needs a free topology.", hint="Write 'search: {topology: ...}', or 'start: random'."
            )
        self._options = chosen
        self._picks: tuple[int, ...] | None = None
        self._nudges: dict[int, _Nudge | None] = {}
        self._budget = chosen.budget
        self._pilots: Pilots | None = None
        if chosen.budget is not None or isinstance(space, TopologySpace):
            self._compute = Compute(space, tokens_in=chosen.tokens_in, tokens_out=chosen.tokens_out)
        if isinstance(space, TopologySpace):
            prices = [self._compute.of_call(model) for model in space.topology.models]
            self._budget = chosen.budget or max(max(prices), space.topology.max_nodes * min(prices))
            if chosen.start != "random":
                self._pilots = Pilots(space, self._compute, budget=self._budget, count=chosen.pilots)

    async def think(self, consult: Consult) -> None:
        """Asks the model which mixes to pilot, and for feedback on each whole step."""
        model, options = self._options.model, self._options
        if model is None:
            return
        if self._pilots and self._picks is None and not self._unpiloted(self._singles):
            picked = parse(await consult(model, self._about_mixes(self._pilots), options.sampling), _Picks)
            self._picks = tuple(picked.pick) if picked else ()
        steps = len(list(self._steps(self._trials())))
        if options.numeric or not steps or steps in self._nudges:
            return
        feedback = parse(await consult(model, self._about_steps(), options.sampling), _Feedback)
        self._nudges[steps] = self._sensible(feedback) if feedback else None

    def ask(self) -> list[Observation]:
        """The first tasks of each pilot, then those of the graphs of a step."""
        for stage in (self._singles, self._piloted):
            if waiting := self._unpiloted(stage):
                return [self._want(point, self._first_tasks(point)) for point in waiting]
        return super().ask()

    def _draws(self, rng: np.random.Generator) -> Iterator[Point]:
        """The graph that the model wrote last, then graphs drawn from the policy and brought within the budget."""
        nudge = self._nudges.get(len(list(self._steps(self._trials()))))
        if nudge and nudge.next is not None:
            yield nudge.next
        for point in super()._draws(rng):
            yield self._affordable(point)

    def _affordable(self, point: Point) -> Point:
        if self._budget is None or self._compute.of(point) <= self._budget:
            return point
        if isinstance(self.space, TopologySpace):
            graph = within(self.space.grammar(point), self._compute, self.space.graph(point), self._budget)
            if graph is not None:
                return self.space.normal(self.space.point_of(graph, point))
        return min((point, *self.space.neighbours(point)), key=self._compute.of)

    @property
    def _singles(self) -> tuple[Point, ...]:
        return tuple(self._pilots.singles.values()) if self._pilots else ()

    @property
    def _piloted(self) -> tuple[Point, ...]:
        """The mixes to pilot; none before each model was tried by itself."""
        if self._pilots is None or self._unpiloted(self._singles):
            return ()
        return self._pilots.chosen(self._accuracy(self._pilots), self._picks or ())

    def _accuracy(self, pilots: Pilots) -> dict[str, float]:
        """Mean score of each model by itself on the first tasks."""
        return {model: self._first_mean(point) for model, point in pilots.singles.items()}

    def _first_mean(self, point: Point) -> float:
        first = self.cells.matrix("score", [self.space.key(point)])[0, : self._tasks]
        return float(np.nanmean(first)) if not np.isnan(first).all() else 0.0

    def _first_tasks(self, point: Point) -> list[str]:
        """What was not asked yet of the tasks that all pilots are observed on."""
        first = self.cells.task_ids[: self._tasks]
        return [task for task in self._open_tasks(point) if task in first]

    def _unpiloted(self, points: Sequence[Point]) -> list[Point]:
        return [point for point in points if self._first_tasks(point)]

    def _trials(self) -> Iterator[Trial]:
        """What the policy drew: all but the pilots' first tasks."""
        pilots = {*self._singles, *self._piloted}
        for trial in super()._trials():
            if trial.point in pilots:
                pilots.remove(trial.point)
            else:
                yield trial

    def _policy(self) -> Policy:
        return self._after(None)

    def _after(self, steps: int | None) -> Policy:
        """The policy after so many steps, or after all."""
        edges = [number for number, axis in enumerate(self.space.axes) if ".after" in axis.name]
        policy = Policy(self.space, learning_rate=self._rate, learns=edges if self._options.edges_only else None)
        if self._pilots:
            policy.start(self._pilots.logits(max((*self._singles, *self._piloted), key=self._first_mean)))
        for number, (trials, baseline) in enumerate(islice(self._steps(self._trials()), steps), 1):
            nudge = self._nudges.get(number)
            if nudge is None:
                policy.learn(trials, baseline)
            else:
                policy.believe(nudge.chances)
        return policy

    def _sensible(self, reply: _Feedback) -> _Nudge | None:
        """The feedback in this space's terms; ``None`` where it speaks of anything else."""
        axes = {axis.name: number for number, axis in enumerate(self.space.axes)}
        try:
            following = self.space.read(reply.graph)
            chances = {axes[name]: own for name, own in reply.chances.items()}
        except (InvalidConfigurationError, KeyError):
            return None
        if any(len(own) != len(self.space.axes[axis].options) or not sum(own) for axis, own in chances.items()):
            return None
        fits = self._budget is None or self._compute.of(following) <= self._budget
        return _Nudge(following if fits else None, chances)

    def _about_mixes(self, pilots: Pilots) -> str:
        accuracy = ", ".join(f"{name} {value:.2f}" for name, value in self._accuracy(pilots).items())
        mixes = "\n".join(f"{n}. {', '.join(mix)}" for n, mix in islice(enumerate(pilots.mixes, 1), _SHOWN))
        return "\n".join(
            [
                "Several language models are to answer tasks together. Each of these mixes uses up the same compute.",
                f"Accuracy of each model by itself on the same {self._tasks} tasks: {accuracy}.",
                *(_INSIGHTS[:2] if self._options.insights else ()),
                f"Mixes:\n{mixes}",
                f"Which {self._options.pilots} should be tried? Reply with JSON only: " + '{"pick": [number, ...]}',
            ]
        )

    def _about_steps(self) -> str:
        steps = list(self._steps(self._trials()))
        rounds = steps[-_REMEMBERED:]
        shown = [f"Round {number - len(rounds)}:\n{self._told(trials)}" for number, (trials, _) in enumerate(rounds)]
        table = as_json(self._after(len(steps) - 1).named())
        return "\n".join(
            [
                "You improve a graph of language models that answers tasks. A node reads the nodes it comes 'after'.",
                _ROLES,
                *(_INSIGHTS if self._options.insights else ()),
                "The last rounds, the latest last:",
                *shown,
                f"Graphs are drawn from these chances, one list per choice, an entry per option:\n{table}",
                "What there is: " + as_json(self.space.offers()),
                "Options of the choices: " + as_json({axis.name: list(axis.options) for axis in self.space.axes}),
                "Write the graph to try next, in the form above, and the chances that should change, moved a little.",
                'Reply with JSON only: {"graph": {...}, "chances": {"name of a choice": [probability, ...]}}',
            ]
        )

    def _told(self, trials: Sequence[Trial]) -> str:
        """A step as the model sees it."""
        lines = []
        for point, reward in trials:
            means = self.cells.means([self.space.key(point)])
            costs = f"{float(means['tokens'][0]):.0f} tokens, {float(means['latency_s'][0]):.2f} s"
            lines.append(f"{as_json(self.space.words(point))} reward {reward:.3f}, {costs}")
        return "\n".join(lines)

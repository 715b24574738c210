"""Ideas: observations about a task, in small sets, each of which is a way to go about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidate, Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._parse_lists import parse_tests
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task

_HEADING = "Observations:"


@register("ideas")
class Ideas(AskingNode):
    """Collects observations about the task and gives every small set of them, the empty one included.

    A layer of PlanSearch (Wang et al., Planning in Natural Language Improves LLM Search for Code Generation, 2024):
    answers that go by different ideas differ more than samples at a high temperature. Each set is a candidate of kind
    ``plan``; a ``map`` with ``each: candidate`` has a generator answer by each. After another node of this type it asks
    for more observations beside those of each set, and extends that by small sets of them. A list that stays
    unreadable adds nothing, and its branch ends there. Of more than ``most`` different sets some are drawn at random,
    the same in every replay. Cost: one call, or one a set that it is given, each up to ``1 + reasks`` times.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"plan"})
    gives: ClassVar[frozenset[Kind]] = frozenset({"plan"})
    needs_input: ClassVar[bool] = False
    template: ClassVar[str] = "ideas"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "observations", "plan"})

    type: Literal["ideas"] = "ideas"
    """Gives small sets of observations about the task."""
    observations: Annotated[int, Field(ge=1, le=32)] = 10
    """The most observations that are asked for at once, and kept."""
    size: Annotated[int, Field(ge=1, le=4)] = 2
    """Observations in a set, at most."""
    most: Annotated[int, Field(ge=1, le=4096)] = 64
    """The most sets passed on."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.9
    """Sampling temperature."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation about the task, or one a set."""
        prompt, count = self.built_in(), self.observations
        plans = [one.text for one in given] or [""]
        return tuple(Request(self.messages(task, prompt, observations=count, plan=plan)) for plan in plans)

    def longest(self, given: Candidates) -> Candidates:
        """As many sets as are passed on; the new observations of one all stand in one reply."""
        [reply] = self.placeholders(1)
        before = max((one.text for one in given), key=len, default="")
        return (replace(reply, text=f"{_HEADING}\n{before}\n{reply.text}", kind="plan"),) * self.most

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks about all sets at once, and draws from those that come of them."""
        replies = await self.read(
            ctx,
            self.requests(task, given),
            lambda sample: parse_tests(sample.text, self.observations, complete=sample.finish != "length"),
        )
        parents = given or (None,)
        found: dict[str, tuple[str, ...]] = {}
        for parent, lists in zip(parents, replies, strict=True):
            for text in self._extended(parent.text if parent else "", lists[0] if lists else ()):
                found.setdefault(text, (parent.id,) if parent else ())
        chosen = list(found) if len(found) <= self.most else ctx.rng.sample(list(found), self.most)
        return tuple(
            Candidate(f"{ctx.node}#{number}", text, kind="plan", parents=found[text])
            for number, text in enumerate(chosen)
        )

    def _extended(self, plan: str, observations: Sequence[str]) -> list[str]:
        sets = (each for size in range(self.size + 1) for each in combinations(observations, size))
        return [_with(plan, each) for each in sets]


def _with(plan: str, observations: Sequence[str]) -> str:
    if not observations:
        return plan
    return "\n".join((plan or _HEADING, *(f"- {each}" for each in observations)))

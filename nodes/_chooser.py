"""Chooser: has a model pick one candidate by criteria that it writes for the task."""

from __future__ import annotations

from typing import ClassVar, Literal

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._parse_choice import parse_choice
from archloom.nodes._registry import register
from archloom.nodes._sample import Request
from archloom.nodes._task import Task


@register("chooser")
class Chooser(AskingNode):
    """Shows a model all candidates at once; it writes a checklist for this task and names the one that meets it best.

    Checklisted one-pass selection (CHOPs; Khairi et al., When Life Gives You Samples, 2025), for answers that cannot
    be voted on. The candidates are shown in an order drawn at random, the same in every replay. A reply that names
    none of them is asked for again up to ``reasks`` times; after that all candidates pass on as they came, so put the
    one that is to be fallen back on (a greedy one) first. Cost: one call, up to ``1 + reasks``, of all texts.
    """

    template: ClassVar[str] = "chooser"

    type: Literal["chooser"] = "chooser"
    """Picks one candidate."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation over all candidates; none when there is nothing to choose."""
        if len(given) < 2:
            return ()
        return (Request(self.messages(task, self.built_in(), candidates=given)),)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks and picks."""
        shown = tuple(ctx.rng.sample(given, len(given)))
        requests = self.requests(task, shown)
        if not requests:
            return given
        [choices] = await self.read(ctx, requests, lambda sample: parse_choice(sample.text, len(shown)))
        return (shown[choices[0]],) if choices else given

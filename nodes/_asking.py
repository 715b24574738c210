"""Asking for something that has to parse, and asking again when it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, TypeVar

from pydantic import Field

from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode
from archloom.nodes._parse import Unparsed
from archloom.nodes._sample import Request, Sample, succeeded
from archloom.nodes.errors import BudgetReachedError

T = TypeVar("T")
_REASK_TEMPERATURE = 0.3


class AskingNode(ModelNode):
    """A node that reads something out of each reply: a ranking, a verdict, a list of tests.

    A reply that does not parse is asked for again, up to ``reasks`` times. What is unreadable even then stays
    without a result (``on_unparsed: pass``) or ends the node (``fail``); nothing is ever put in its place.
    """

    reasks: Annotated[int, Field(ge=0, le=8)] = 1
    """How often an unreadable reply is asked for again, at a temperature of at least 0.3: at 0 it would come again."""

    @property
    def attempts(self) -> int:
        """The first try and the re-asks."""
        return 1 + self.reasks

    async def read(
        self, ctx: Context, requests: Sequence[Request], parse: Callable[[Sample], T | Unparsed]
    ) -> list[list[T]]:
        """What the replies to these requests say: one list for each request, in the order of its samples.

        All requests are sent at once, and all re-asks of a round are. A re-ask draws one new sample for the one
        that was unreadable, at an index that nothing else uses. Calls that failed are not asked for again (the
        transport has done that) and are missing, like replies that stayed unreadable.

        Raises:
            TooFewSamplesError: fewer calls than ``min_success`` came back in the first round.
            UnparsedError: a reply stayed unreadable and the policy is ``fail``.
        """
        found: list[dict[int, T]] = [{} for _ in requests]
        unread: dict[tuple[int, int], tuple[str, str]] = {}

        def keep(slot: tuple[int, int], sample: Sample) -> None:
            result = parse(sample)
            if isinstance(result, Unparsed):
                unread[slot] = sample.text, result.why
            else:
                unread.pop(slot, None)
                found[slot[0]][slot[1]] = result

        replies = await self.ask(ctx, requests)
        self.enough([reply for asked in replies for reply in asked], ctx)
        for place, asked in enumerate(replies):
            for sample in succeeded(asked):
                keep((place, sample.index - requests[place].start), sample)
        for attempt in range(1, self.attempts):
            if not unread:
                break
            slots = list(unread)
            for slot, sample in await self._again(ctx, requests, slots, attempt):
                keep(slot, sample)
        for reply, why in unread.values():
            self.unparsed(ctx, reply, why)
        return [[results[number] for number in sorted(results)] for results in found]

    async def _again(
        self, ctx: Context, requests: Sequence[Request], slots: Sequence[tuple[int, int]], attempt: int
    ) -> list[tuple[tuple[int, int], Sample]]:
        """One new sample for each of these; none when the budget has no room for them."""
        sampling = self.sampling_for(ctx.task)
        warmer = replace(sampling, temperature=max(sampling.temperature, _REASK_TEMPERATURE))
        again = []
        for place, number in slots:
            asked = requests[place]
            again.append(Request(asked.messages, start=asked.start + attempt * asked.n + number))
        try:
            replies = await ctx.sample(self.model, again, sampling=warmer)
        except BudgetReachedError:
            return []
        return [(slot, sample) for slot, asked in zip(slots, replies, strict=True) for sample in succeeded(asked)]

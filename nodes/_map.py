"""Map: runs a graph on each of several candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._composite import INPUT, Body, BodyRun, Bound, Composite, Part, dominating
from archloom.nodes._context import Context
from archloom.nodes._node import with_question
from archloom.nodes._registry import register
from archloom.nodes._task import Task

_SPLIT = "split"


@register("map")
class Map(Composite):
    """Runs its body once for each candidate, side by side, and joins what the runs give in the order of these.

    The candidates are those of ``split``, a graph that is run first, or without it those that the node is given:
    subtasks, or drafts that are each to be worked on alone. With ``each: question`` the text of the candidate is
    the question of its run, in place of the task's; with ``each: candidate`` the run is asked the task and given
    the candidate. ``join: concat`` makes one candidate of the first of each run, with an answer where the whole
    text states one; a run that fails is then a failure of the node. With ``join: all`` the others go on without
    it, and the log says ``failed_element``. Runs of equal questions draw different samples, by their place.
    With ``in_turn`` it works on one candidate after the other, each run with the first candidate of every run before it
    in view: steps that build on each other.
    Cost: that of ``split`` and of the body ``most`` times, at most.
    """

    bodies_at: ClassVar[tuple[tuple[str, ...], ...]] = ((_SPLIT,), ("body",))

    type: Literal["map"] = "map"
    """Runs a graph on each of several candidates."""
    each: Literal["question", "candidate"] = "question"
    """What a candidate is to its run: the question, or what it is given."""
    join: Literal["all", "concat"] = "all"
    """Give all candidates of all runs, or one that is made of the first of each."""
    in_turn: bool = False
    """Run on one candidate after the other and give each run, before all else, the first candidates of those before
    it; side by side when left out."""
    most: Annotated[int, Field(ge=1, le=256)] = 8
    """The most runs; candidates beyond these are left out, and the log says ``left_out``."""
    split: Body | None = None
    """The graph that gives the candidates; left out, they are those that the node is given."""
    body: Body
    """The graph that is run on each."""

    @property
    def works_on_input(self) -> bool:
        """Without a graph that gives the candidates they must come from outside."""
        return self.split is None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The split, and the body for each candidate."""
        split = () if self.split is None else (Part(_SPLIT, (_SPLIT,), self.split, gives=False),)
        source = INPUT if self.split is None else _SPLIT
        given = (*(("*",) if self.in_turn else ()), *((source,) if self.each == "candidate" else ()))
        return *split, Part("*", ("body",), self.body, times=self.most, fewest=1, given=given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Runs the body on all candidates."""
        elements = given
        if self.split is not None:
            parted = await ctx.run_body(self.parts[0], given)
            if parted.error is not None:
                raise parted.error
            elements = parted.candidates
        if len(elements) > self.most:
            ctx.note("left_out", candidates=len(elements) - self.most)
        elements = elements[: self.most]
        if self.in_turn:
            return self._joined(await self._one_by_one(task, elements, ctx), ctx)
        runs = [self._run_on(task, element) for element in elements]
        return self._joined(await ctx.run_bodies(self.parts[-1], runs), ctx)

    async def _one_by_one(self, task: Task, elements: Candidates, ctx: Context) -> list[BodyRun]:
        runs: list[BodyRun] = []
        for number, element in enumerate(elements):
            handed, about = self._run_on(task, element, _firsts(run.candidates for run in runs))
            runs.append(await ctx.run_body(self.parts[-1], handed, turn=number, task=about))
        return runs

    def _run_on(self, task: Task, element: Candidate, earlier: Candidates = ()) -> tuple[Candidates, Task]:
        """What a run is given, and what it is asked."""
        if self.each == "candidate":
            return (*earlier, element), task
        return earlier, replace(task, messages=with_question(task.messages, element.text))

    def worst(self, task: Task, given: Candidates, bound: Bound) -> Candidates:
        """The split, and ``most`` runs on the longest candidate."""
        elements = given if self.split is None else bound(self.parts[0], given)
        longest = dominating(elements)[: self.most] or (Candidate("longest#0", ""),)
        runs: list[Candidates] = []
        for element in longest:
            earlier = _firsts(map(dominating, runs)) if self.in_turn else ()
            runs.append(bound(self.parts[-1], *self._run_on(task, element, earlier)))
        if self.join == "all":
            return tuple(candidate for run in runs for candidate in run)
        text = "\n\n".join(dominating(run)[0].text for run in runs if run)
        return (Candidate("longest#0", text, answer="x"),)

    def _joined(self, runs: Sequence[BodyRun], ctx: Context) -> Candidates:
        failed = [run for run in runs if run.error is not None]
        for number, run in enumerate(runs, 1):
            if run.error is not None:
                ctx.note("failed_element", element=number, error=run.error.failed, message=run.error.message)
        if failed and failed[0].error is not None and (self.join == "concat" or len(failed) == len(runs)):
            raise failed[0].error
        if self.join == "all":
            return tuple(candidate for run in runs for candidate in run.candidates)
        firsts = [run.candidates[0] for run in runs]
        text = "\n\n".join(first.text for first in firsts)
        whole = Candidate(
            id=f"{ctx.node}#0",
            text=text,
            answer=ctx.answer(text),
            parents=tuple(first.id for first in firsts),
            tokens=sum(first.tokens for first in firsts),
            complete=all(first.complete for first in firsts),
        )
        return (whole,)


def _firsts(runs: Iterable[Candidates]) -> Candidates:
    return tuple(run[0] for run in runs if run)

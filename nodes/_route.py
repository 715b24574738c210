"""Route: runs one of several graphs, by what the task is like."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from archloom.nodes._candidate import Candidates
from archloom.nodes._composite import INPUT, Body, Bound, Composite, Part, dominating
from archloom.nodes._context import Context
from archloom.nodes._registry import register
from archloom.nodes._rule import Rule
from archloom.nodes._task import Task
from archloom.nodes.errors import NodeError

_PROBE = "probe"


class _Choice(NamedTuple):
    """The branch to take, what it is given, and samples that are an answer by themselves."""

    branch: str
    given: Candidates
    probed: Candidates = ()


@register("route")
class Route(Composite):
    """Runs one of its branches and gives what that gives; the others cost nothing.

    ``by: rule`` takes the branch of the first rule that holds. ``by: classifier`` runs ``probe`` and takes the
    branch that its answer names (a ``classifier`` node asks for that). ``by: agreement`` runs ``probe``, some
    cheap samples, and takes the first branch when the share of the most frequent answer is at least ``threshold``
    and the second one otherwise; the samples are given to the branch, after the node's input. Compute-optimal
    scaling (Snell et al., 2024) with the agreement of few samples for a task's difficulty. Where nothing decides,
    or the probe fails, ``default`` is taken; without it the node fails. The log says which branch was taken.
    Cost: that of the probe and of one branch.
    """

    bodies_at: ClassVar[tuple[tuple[str, ...], ...]] = (("probe",), ("branches", "*"))

    type: Literal["route"] = "route"
    """Runs one of several graphs."""
    by: Literal["rule", "classifier", "agreement"]
    """What decides: rules over the task, a class that a model names, or how far samples agree."""
    rules: tuple[Rule, ...] = ()
    """Rules, the first that holds counts."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Share of the samples of the probe that must agree for the first branch to be taken."""
    default: str | None = None
    """The branch when nothing decides."""
    probe: Body | None = None
    """The graph that is run to decide."""
    branches: Annotated[dict[str, Body], Field(min_length=1)]
    """The graphs of which one is run, by name; with ``by: agreement`` the easy case first."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        named = [*(rule.take for rule in self.rules), *([] if self.default is None else [self.default])]
        if unknown := [name for name in named if name not in self.branches]:
            raise ValueError(f"there is no branch {unknown[0]!r}; there are {', '.join(self.branches)}")
        if _PROBE in self.branches:
            raise ValueError(f"no branch can be called {_PROBE!r}")
        if (self.by == "rule") != bool(self.rules):
            raise ValueError("'rules' are what 'by: rule' goes by: write both or neither")
        if (self.by == "rule") != (self.probe is None):
            raise ValueError("'by: classifier' and 'by: agreement' run a 'probe', and 'by: rule' runs none")
        if self.by == "agreement" and len(self.branches) != 2:
            raise ValueError("'by: agreement' decides between two branches: the easy case and the hard one")
        return self

    @property
    def parts(self) -> tuple[Part, ...]:
        """The probe, and the branches of which one runs."""
        given = (INPUT, _PROBE) if self.by == "agreement" else (INPUT,)
        probe = () if self.probe is None else (Part(_PROBE, (_PROBE,), self.probe, gives=False),)
        return *probe, *(
            Part(name, ("branches", name), body, alternative=True, given=given) for name, body in self.branches.items()
        )

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Decides, and runs the branch."""
        choice = await self._choice(task, given, ctx)
        [part] = [part for part in self.parts if part.label == choice.branch]
        done = await ctx.run_body(part, choice.given)
        if done.error is None:
            return done.candidates
        if done.truncated and choice.probed:
            return choice.probed  # the best there is: the budget had no room for the branch
        raise done.error

    def worst(self, task: Task, given: Candidates, bound: Bound) -> Candidates:
        """The probe and each branch; the engine counts the dearest of these."""
        del task
        probed: Candidates = ()
        gives = []
        for part in self.parts:
            if part.label == _PROBE:
                probed = bound(part, given)
            else:
                gives.append(bound(part, (*given, *probed) if _PROBE in part.given else given))
        return dominating(*gives, *([probed] if self.by == "agreement" else []))

    async def _choice(self, task: Task, given: Candidates, ctx: Context) -> _Choice:
        if self.by == "rule":
            taken = next((rule.take for rule in self.rules if rule.holds(task)), None)
            return self._taken(taken, _Choice("", given), ctx)
        probe = await ctx.run_body(self.parts[0], given)
        if probe.error is not None and self.default is None:
            raise probe.error
        if self.by == "classifier":
            answer = probe.candidates[0].answer if probe.candidates else None
            return self._taken(answer if answer in self.branches else None, _Choice("", given), ctx)
        together = _Choice("", (*given, *probe.candidates), probe.candidates)
        if not probe.candidates:
            return self._taken(None, together, ctx)
        share = _agreement(probe.candidates)
        easy, hard = self.branches
        return self._taken(easy if share >= self.threshold - 1e-9 else hard, together, ctx, share=round(share, 6))

    def _taken(self, branch: str | None, choice: _Choice, ctx: Context, **fields: object) -> _Choice:
        """Notes the branch, or the default where nothing decided.

        Raises:
            NodeError: nothing decided, and there is no default.
        """
        if branch is None and self.default is None:
            raise NodeError(f"nodes.{ctx.node}: nothing says which of {', '.join(self.branches)} to take.")
        ctx.note("route", branch=branch or self.default, by=self.by if branch else "default", **fields)
        return choice._replace(branch=branch or str(self.default))


def _agreement(candidates: Candidates) -> float:
    """Share of the most frequent answer; candidates without one agree with nobody."""
    counts = Counter(candidate.group for candidate in candidates if candidate.group is not None)
    return max(counts.values(), default=0) / len(candidates)

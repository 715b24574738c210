"""Where a graph runs: as a workflow, or inside a node of one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from archloom.graphs import Configuration
from archloom.nodes import Budget, Candidates, Task
from archloom.orchestrator._estimate import worst_case
from archloom.orchestrator._ledger import Ledger
from archloom.orchestrator.models import Samplers


@dataclass(frozen=True)
class Scope:
    """Where a graph runs: as a workflow, or inside a node of one.

    Attributes:
        run: What names of its nodes begin with in the run log, such as ``refine[2].``.
        path: The same in the document, for all runs alike: ``refine[*].``.
        turn: Which run of this body it is for the task, over all loops around it.
        given: Candidates that are handed to it.
        ledgers: Accounts of all that it is in.
        start_s: Recorded time at which it starts, from the start of the task.
        deadline_s: Recorded time at which the first budget around it ends.
        in_turn: Its nodes run one after the other, because a budget might not suffice.
        seed: What tells random numbers of its nodes from those of other runs and graphs.
    """

    ledgers: tuple[Ledger, ...]
    in_turn: bool
    run: str = ""
    path: str = ""
    turn: int = 0
    given: Candidates = ()
    start_s: float = 0.0
    deadline_s: float = math.inf
    seed: tuple[str, ...] = ()


def whole(configuration: Configuration, samplers: Samplers, task: Task) -> Scope:
    """The scope of a workflow as a whole."""
    budget = configuration.budget
    # With enough for the worst case, no budget can end before all nodes have had all they may want.
    enough = not limits_use(budget) or worst_case(configuration, samplers, task).fits(budget)
    deadline_s = math.inf if budget.time_s is None else budget.time_s
    return Scope((Ledger(budget),), in_turn=not enough, deadline_s=deadline_s)


def limits_use(budget: Budget) -> bool:
    """Whether it can end by what calls use, and not by time alone."""
    return budget.calls is not None or budget.tokens is not None or budget.cost_usd is not None

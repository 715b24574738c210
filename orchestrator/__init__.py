"""Runs things: the engine, budgets, the run log, evaluation, the report; ``models/`` speaks to the models."""

from archloom.orchestrator._baselines import best_of_n, first_generator, self_consistency, single_call
from archloom.orchestrator._cell import FAILED_SCORE, FAILURE_RULE, Cell, cells_file
from archloom.orchestrator._endings import describe_endings
from archloom.orchestrator._estimate import NodeEstimate, estimate, worst_case
from archloom.orchestrator._evaluate import Evaluator, matched_samples
from archloom.orchestrator._explanation import Explanation, Judgement, LoggedRun, Step, logged_runs
from archloom.orchestrator._ledger import Ledger, Usage
from archloom.orchestrator._log import (
    AnyEvent,
    CellObserved,
    Decided,
    NodeRan,
    RunLog,
    ServerSeen,
    Started,
    Stopped,
    event_schema,
    library_versions,
    read_events,
)
from archloom.orchestrator._outcome import NodeOutcome, Note, RunResult
from archloom.orchestrator._plan import PlannedNode, plan
from archloom.orchestrator._workflow import ModelPool, Workflow, configuration_of

__all__ = [
    "AnyEvent",
    "Cell",
    "CellObserved",
    "Decided",
    "Evaluator",
    "Explanation",
    "FAILED_SCORE",
    "FAILURE_RULE",
    "Judgement",
    "Ledger",
    "LoggedRun",
    "ModelPool",
    "NodeEstimate",
    "NodeOutcome",
    "NodeRan",
    "Note",
    "PlannedNode",
    "RunLog",
    "RunResult",
    "ServerSeen",
    "Started",
    "Step",
    "Stopped",
    "Usage",
    "Workflow",
    "best_of_n",
    "cells_file",
    "configuration_of",
    "describe_endings",
    "estimate",
    "event_schema",
    "first_generator",
    "library_versions",
    "logged_runs",
    "matched_samples",
    "plan",
    "read_events",
    "self_consistency",
    "single_call",
    "worst_case",
]

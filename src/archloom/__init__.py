"""archloom weaves language models into collaboration graphs, and searches for the graph that buys the most.

A node maps a set of candidates to a set of candidates. A workflow is a DAG of nodes. A search space is a workflow
with holes.

Example:
    >>> from archloom import Workflow
    >>> result = Workflow.load("check-then-fuse.yaml").run("What is 7 times 8?")
    >>> result.text, result.usage.tokens

Rooms, each importing only those below it::

    archloom.cli                  the command line
    archloom.search               space, cells, optimizers, statistics, front
    archloom.orchestrator         engine, budgets, run log, evaluation, report; models and the sample store
    archloom.graphs   .tasks      the workflow document and its DAG; task sets and scorers
    archloom.nodes                node types and their prompts; task, candidate, context
    archloom.tools                sandbox, calculator, answers; the base of all errors

Errors, one tree::

    ArchloomError
    ├── UsageError                exit 2: bad usage or document
    │   ├── DocumentError         every problem of a workflow file, with line and column
    │   ├── InvalidConfigurationError, OpenChoicesError
    │   ├── EmptySpaceError, UnknownOptimizerError, OptimizerOptionsError
    │   └── TableError            a published table cannot be read
    ├── TaskError                 exit 2: a task set cannot be loaded
    │   └── UnknownTaskSetError, TaskFileError, TooFewTasksError
    ├── NodeError                 a node could not do its work; the cell is recorded as failed
    │   ├── TooFewSamplesError, NoCandidatesError, UnparsedError, PromptError, BodyFailedError
    │   └── BudgetReachedError    a task's budget has no room for another call
    ├── ModelCallError            one request failed, with its class
    ├── ModelUnavailableError     a model cannot be used at all
    │   └── ChecksumError         weights are not the bytes the registry names
    ├── ReplayMissError           exit 2: a replay needs a sample that the store does not hold
    ├── StoreError                the sample store cannot be read or written
    ├── RunLogError               exit 2: a run folder holds something else
    ├── SearchBudgetError         exit 3: the budget of the whole search is used up
    ├── SearchError               a search cannot go on
    │   ├── NoEvidenceError, SpaceTooLargeError
    │   └── UnknownConfigurationError, UnknownTaskError
    └── ToolError                 a tool could not do its work
        └── SandboxUnavailableError
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archloom.tools.errors import ArchloomError

if TYPE_CHECKING:
    from archloom.graphs import Configuration, Document
    from archloom.nodes import Candidate, Node, Task
    from archloom.orchestrator import ModelPool, RunResult, Workflow

__all__ = [
    "ArchloomError",
    "Candidate",
    "Configuration",
    "Document",
    "ModelPool",
    "Node",
    "RunResult",
    "Task",
    "Workflow",
]

_HOMES = {
    "Candidate": "archloom.nodes",
    "Configuration": "archloom.graphs",
    "Document": "archloom.graphs",
    "ModelPool": "archloom.orchestrator",
    "Node": "archloom.nodes",
    "RunResult": "archloom.orchestrator",
    "Task": "archloom.nodes",
    "Workflow": "archloom.orchestrator",
}


def __getattr__(name: str) -> object:
    """Loads a public name on first use, so that `import archloom` and `archloom --help` stay quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'archloom' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

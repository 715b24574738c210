"""Node types: each maps a set of candidates to a set of candidates.

Here live the words that everything above speaks in (task, candidate, node, context) and the built-in nodes,
one small file each, with their prompts in ``prompts/``.
"""

from archloom.nodes._candidate import Candidate, Candidates, Executed, Kind
from archloom.nodes._check import Check
from archloom.nodes._context import Context
from archloom.nodes._critic import Critic
from archloom.nodes._fuser import Fuser
from archloom.nodes._generator import Generator
from archloom.nodes._node import Budget, ModelNode, Names, Node, OutputFormatSpec, Spec, written
from archloom.nodes._parse import Unparsed, parse_ranking, parse_verdict
from archloom.nodes._prompts import PromptError, check_template
from archloom.nodes._ranker import Ranker
from archloom.nodes._registry import node_types, register
from archloom.nodes._sample import (
    Capability,
    Completion,
    FailedSample,
    FinishReason,
    OutputFormat,
    Replies,
    Request,
    Sample,
    Sampling,
    TokenLogprob,
    succeeded,
)
from archloom.nodes._task import Message, Messages, Task
from archloom.nodes._verifier import Verifier
from archloom.nodes._vote import Vote
from archloom.nodes.errors import (
    BudgetReachedError,
    NoCandidatesError,
    NodeError,
    TooFewSamplesError,
    UnparsedError,
)

__all__ = [
    "Budget",
    "BudgetReachedError",
    "Candidate",
    "Candidates",
    "Capability",
    "Check",
    "Completion",
    "Context",
    "Critic",
    "Executed",
    "FailedSample",
    "FinishReason",
    "Fuser",
    "Generator",
    "Kind",
    "Message",
    "Messages",
    "ModelNode",
    "Names",
    "NoCandidatesError",
    "Node",
    "NodeError",
    "OutputFormat",
    "OutputFormatSpec",
    "PromptError",
    "Ranker",
    "Replies",
    "Request",
    "Sample",
    "Sampling",
    "Spec",
    "Task",
    "TokenLogprob",
    "TooFewSamplesError",
    "Unparsed",
    "UnparsedError",
    "Verifier",
    "Vote",
    "check_template",
    "node_types",
    "parse_ranking",
    "parse_verdict",
    "register",
    "succeeded",
    "written",
]

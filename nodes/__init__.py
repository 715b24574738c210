"""Node types: each maps a set of candidates to a set of candidates.

Here live the words that everything above speaks in (task, candidate, node, context) and the built-in nodes,
one small file each, with their prompts in ``prompts/``.
"""

from archloom.nodes._abstain import Abstain
from archloom.nodes._best import Best
from archloom.nodes._candidate import Candidate, Candidates, Executed, Kind
from archloom.nodes._check import Check
from archloom.nodes._chooser import Chooser
from archloom.nodes._classifier import Classifier
from archloom.nodes._composite import INPUT, Body, BodyRun, Bound, Composite, Part, default_after, dominating
from archloom.nodes._context import Context
from archloom.nodes._continuer import Continuer
from archloom.nodes._critic import Critic
from archloom.nodes._cross_check import CrossCheck
from archloom.nodes._fuser import Fuser
from archloom.nodes._generator import Generator
from archloom.nodes._grader import Grader
from archloom.nodes._ideas import Ideas
from archloom.nodes._map import Map
from archloom.nodes._node import Budget, ModelNode, Names, Node, OutputFormatSpec, Spec, written
from archloom.nodes._parse import Preference, Unparsed, parse_preference, parse_verdict
from archloom.nodes._parse_lists import parse_asserts, parse_critiques, parse_results, parse_tests
from archloom.nodes._parse_ranking import parse_ranking
from archloom.nodes._prompts import PromptError, check_template
from archloom.nodes._prune import Prune
from archloom.nodes._ranker import Ranker
from archloom.nodes._registry import node_types, register
from archloom.nodes._repeat import Repeat
from archloom.nodes._route import Route
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
from archloom.nodes._splitter import Splitter
from archloom.nodes._sql_execute import SqlExecute
from archloom.nodes._sql_generator import SqlGenerator
from archloom.nodes._sql_link import SchemaLink
from archloom.nodes._sql_repair import SqlRepair
from archloom.nodes._stopping import Stopping
from archloom.nodes._task import Message, Messages, Task
from archloom.nodes._tries import Difficulty, tries_worth
from archloom.nodes._unit_test_runner import UnitTestRunner
from archloom.nodes._unit_tests import UnitTestEvaluator, UnitTestGenerator
from archloom.nodes._verifier import Verifier
from archloom.nodes._vote import Vote
from archloom.nodes.errors import (
    BodyFailedError,
    BudgetReachedError,
    NoCandidatesError,
    NodeError,
    TooFewSamplesError,
    UnparsedError,
)

__all__ = [
    "Abstain",
    "Best",
    "Body",
    "BodyFailedError",
    "BodyRun",
    "Bound",
    "Budget",
    "BudgetReachedError",
    "Candidate",
    "Candidates",
    "Capability",
    "Check",
    "Chooser",
    "Classifier",
    "Completion",
    "Composite",
    "Context",
    "Continuer",
    "Critic",
    "CrossCheck",
    "Difficulty",
    "Executed",
    "FailedSample",
    "FinishReason",
    "Fuser",
    "Generator",
    "Grader",
    "INPUT",
    "Ideas",
    "Kind",
    "Map",
    "Message",
    "Messages",
    "ModelNode",
    "Names",
    "NoCandidatesError",
    "Node",
    "NodeError",
    "OutputFormat",
    "OutputFormatSpec",
    "Part",
    "Preference",
    "PromptError",
    "Prune",
    "Ranker",
    "Repeat",
    "Replies",
    "Request",
    "Route",
    "Sample",
    "Sampling",
    "SchemaLink",
    "Spec",
    "Splitter",
    "SqlExecute",
    "SqlGenerator",
    "SqlRepair",
    "Stopping",
    "Task",
    "TokenLogprob",
    "TooFewSamplesError",
    "UnitTestEvaluator",
    "UnitTestGenerator",
    "UnitTestRunner",
    "Unparsed",
    "UnparsedError",
    "Verifier",
    "Vote",
    "check_template",
    "default_after",
    "dominating",
    "node_types",
    "parse_asserts",
    "parse_critiques",
    "parse_preference",
    "parse_ranking",
    "parse_results",
    "parse_tests",
    "parse_verdict",
    "register",
    "succeeded",
    "tries_worth",
    "written",
]

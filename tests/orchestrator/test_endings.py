"""How calls ended is counted from the node to the report."""

from __future__ import annotations

from archloom.graphs import Document
from archloom.nodes import Completion
from archloom.orchestrator import Cell, ModelPool, NodeOutcome, Workflow, describe_endings
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models import MemoryStore
from archloom.testing._replies import Call, FunctionClient

TEXT = """
archloom: 1
models: {m: {provider: scripted, retries: 0}}
nodes: {draft: {type: generator, model: m, samples: 5, max_tokens: 3}}
output: draft
"""


async def reply(call: Call) -> str | Completion:
    match call.seed % 5:
        case 0:
            raise ModelCallError("no", failure="server")
        case 1:
            return "one two three four"
        case 2:
            return Completion("", "empty", 1, 1, 0.0)
    return "fine"


class ByIndex(FunctionClient):
    seeds_by_index = True


async def test_endings_are_counted_from_the_node_to_the_cell() -> None:
    async with ModelPool(MemoryStore(), client=lambda spec: ByIndex(reply)) as pool:
        result = await Workflow(Document.parse(TEXT).configure(), pool=pool).arun("x")
    assert result.nodes[0].endings == {"server": 1, "length": 1, "empty": 1, "stop": 2}
    assert NodeOutcome.from_json(result.nodes[0].to_json()) == result.nodes[0]
    cell = Cell.of(result, 1.0)
    assert cell.endings == {"server": 1, "length": 1, "empty": 1}
    assert describe_endings([cell, cell]) == (
        "of 10 calls 20.0 % without a word, 20.0 % cut by max_tokens, 20.0 % failed (server)"
    )


def test_nothing_is_said_where_all_calls_ended_by_themselves() -> None:
    assert describe_endings([Cell("c", "t", 1.0, 1, 0.0, 0.1, 3)]) is None

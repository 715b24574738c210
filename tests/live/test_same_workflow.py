"""One workflow file on every kind of model: only the model's entry changes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from archloom.graphs import Document
from archloom.orchestrator import ModelPool, Usage, Workflow
from archloom.orchestrator.models import MemoryStore, SQLiteStore
from archloom.testing import LoopbackServer

WORKFLOW = """\
archloom: 1
name: same
answer: number
models:
  m: {entry}
nodes:
  draft: {{type: generator, model: m, samples: 4, temperature: 0.3, max_tokens: 24}}
  review: {{type: critic, model: m, max_tokens: 24, after: draft}}
  answer: {{type: vote, after: review}}
output: answer
"""
QUESTION = "What is 7 times 8? Give only the number."


@pytest.fixture
async def served() -> AsyncIterator[LoopbackServer]:
    async with LoopbackServer(lambda asked: "7 times 8 is 56") as server:
        yield server


async def ran(entry: str, store: SQLiteStore | MemoryStore) -> Usage:
    """Runs it twice: what it did, and that the second run paid nothing."""
    configuration = Document.parse(WORKFLOW.format(entry=entry)).configure()
    async with ModelPool(store, environ={**os.environ, "A_KEY": "sk-test"}) as pool:
        result = await Workflow(configuration, pool=pool).arun(QUESTION)
        paid = pool.charged.settled
        again = await Workflow(configuration, pool=pool).arun(QUESTION)
        assert again == result
        assert pool.charged.settled == paid == result.usage
    assert result.error is None
    draft, review, answer = result.nodes
    assert (len(draft.candidates), len(review.candidates)) == (4, 4)
    assert answer.candidates
    assert 5 <= result.usage.calls <= 8, "equal drafts are one question to the critic"
    assert result.usage.tokens_in > 0
    assert result.usage.tokens_out > 0
    assert result.usage.tokens_estimated == 0
    assert len({candidate.id for candidate in draft.candidates}) == 4
    return result.usage


async def test_through_openai(served: LoopbackServer, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.sqlite")
    await ran(f'{{provider: openai, model: small, base_url: "{served.url}", api_key: "${{A_KEY}}"}}', store)
    store.close()
    assert served.requests[0].headers["authorization"] == "Bearer sk-test"


# An extra that the development environment has: CI does not skip it.
@pytest.mark.skipif(find_spec("litellm") is None, reason="litellm is not installed")
async def test_through_litellm(served: LoopbackServer) -> None:
    entry = f'{{provider: litellm, model: openai/small, base_url: "{served.url}", api_key: "${{A_KEY}}"}}'
    await ran(entry, MemoryStore())


async def test_on_the_scripted_provider() -> None:
    await ran("{provider: scripted, replies: ['7 times 8 is 56']}", MemoryStore())


@pytest.mark.slow
async def test_embedded() -> None:
    await ran("{provider: llamacpp, model: smollm2-135m-instruct}", MemoryStore())


@pytest.mark.vllm
async def test_on_a_vllm_server_that_it_launched() -> None:
    await ran("{provider: vllm, model: smollm2-135m-instruct}", MemoryStore())

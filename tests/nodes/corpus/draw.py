"""Draws replies of the embedded model to the nodes' own prompts: the raw material of ``smollm2.jsonl``.

python tests/nodes/corpus/draw.py > drawn.jsonl     (after: archloom models pull smollm2-135m-instruct)

Each line holds a parser, how many things it is told of, and what the model wrote. What it should be read as is
added by hand: the model's intent is no matter of code.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import NamedTuple

from archloom.graphs import LlamaCppModel
from archloom.nodes import (
    Candidate,
    Critic,
    Fuser,
    Generator,
    ModelNode,
    Ranker,
    Sampling,
    Task,
    UnitTestEvaluator,
    UnitTestGenerator,
    Verifier,
)
from archloom.orchestrator.models import open_client

_TESTS = Candidate("t#0", "1. The answer is a number.\n2. The answer is right.", kind="tests")
_TASKS = {
    "What is 7 times 8?": ["7 times 8 is 54.", "7 * 8 = 56. The answer is 56.", "The answer is 15, because 7 + 8 = 15."],
    "Name the capital of France.": ["The capital of France is Lyon.", "Paris.", "France is a country in Europe."],
    "Tom has 12 apples and gives away 5. How many are left?": ["12 - 5 = 7. The answer is 7.", "17", "He has 8 left."],
    "Write a haiku about rain.": ["Rain falls on the roof\nsoftly, all night long, and then\nthe sun comes back.", "Rain is water."],
}  # fmt: skip


class Wanted(NamedTuple):
    """A node to ask, what reads its reply, and of how many things."""

    parser: str
    node: ModelNode
    count: int
    shown: tuple[Candidate, ...]


def wanted(texts: list[str]) -> Iterator[Wanted]:
    """Every prompt about these candidates."""
    shown = tuple(Candidate(f"d#{number}", text) for number, text in enumerate(texts))
    yield Wanted("ranking", Ranker(model="m"), len(shown), shown)
    yield Wanted("ranking", Ranker(model="m"), 2, shown[:2])
    yield Wanted("preference", Ranker(model="m", mode="pairwise"), 2, shown[:2])
    for candidate in shown[:2]:
        yield Wanted("verdict", Verifier(model="m"), 1, (candidate,))
    yield Wanted("critiques", Critic(model="m", mode="listwise"), len(shown), shown)
    yield Wanted("tests", UnitTestGenerator(model="m", tests=3), 3, ())
    yield Wanted("results", UnitTestEvaluator(model="m"), 2, (_TESTS, shown[1]))
    yield Wanted("answer", Fuser(model="m"), 1, shown)
    yield Wanted("answer", Generator(model="m"), 1, (_TESTS,))


async def draw() -> None:
    """Two replies to each prompt, 128 tokens each, at two temperatures."""
    async with open_client(LlamaCppModel(), environ=os.environ) as client:
        for question, texts in _TASKS.items():
            for each in wanted(texts):
                [request, *_] = each.node.requests(Task.ask(question), each.shown)
                for seed, temperature in enumerate((0.2, 0.9)):
                    sampling = Sampling(temperature=temperature, max_tokens=128)
                    reply = await client.complete(request.messages, sampling, seed=seed)
                    line = {"parser": each.parser, "count": each.count, "complete": reply.finish != "length"}
                    print(json.dumps({**line, "text": reply.text}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    asyncio.run(draw())

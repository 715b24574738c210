"""The shapes that Archon's own configurations have: each imports, validates, draws, and makes exactly its calls.

Saad-Falcon et al., Archon: An Architecture Search Framework for Inference-Time Techniques, 2024. A generator costs a
call a sample, a fuser one a fused answer, a critic and a ranker one in all, a verifier one an answer (Archon takes
two: reasons and verdict apart), a test generator one, a test evaluator one an answer.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, NamedTuple

import pytest

from archloom.graphs import Document, DocumentError, ModelSpec, ScriptedModel, ascii, mermaid, picture, svg
from archloom.graphs.importers import Imported, import_archon
from archloom.nodes import Messages, Task
from archloom.orchestrator import ModelPool, Workflow
from archloom.orchestrator.models import MemoryStore, ScriptedClient

Component = dict[str, Any]
Layer = list[Component]


def part(kind: str, model: str, **fields: Any) -> Component:
    common = {"type": kind, "model": model, "model_type": "Together_API", "temperature": 0.7, "max_tokens": 2048}
    return {**common, **fields}


def gen(samples: int = 1, *, models: int = 1) -> Layer:
    return [part("generator", f"org/Model-{number}", samples=samples) for number in range(models)]


def fuse(count: int = 1, *, samples: int = 1) -> Layer:
    return [part("fuser", f"org/Model-{number}", samples=samples) for number in range(count)]


CRITIC = [part("critic", "org/Judge", samples=1)]
VERIFIER = [part("verifier", "org/Judge", samples=1)]
TESTS = [part("unit_test_generator", "org/Judge", samples=1, unit_test_cap=3)]
EVALUATE = [part("unit_test_evaluator", "org/Judge", samples=1, remove_unit_tests_from_prompt=True)]


def rank(keep: int) -> Layer:
    return [part("ranker", "org/Judge", top_k=keep)]


def evaluate(keep: int) -> Layer:
    return [{**EVALUATE[0], "top_k": keep}]


class Shape(NamedTuple):
    """A configuration and what it costs."""

    name: str
    layers: list[Layer]
    calls: int


SHAPES = [
    Shape("generator", [gen()], 1),
    Shape("samples", [gen(10)], 10),
    Shape("samples > fuser", [gen(10), fuse()], 10 + 1),
    Shape("ensemble > fuser", [gen(models=8), fuse()], 8 + 1),
    Shape("ensemble > ranker > fuser", [gen(models=8), rank(3), fuse()], 8 + 1 + 1),
    Shape("samples of an ensemble > ranker > fuser", [gen(3, models=8), rank(5), fuse()], 24 + 1 + 1),
    Shape("samples > critic > fuser", [gen(5), CRITIC, fuse()], 5 + 1 + 1),
    Shape("ensemble > critic > ranker > fuser", [gen(models=8), CRITIC, rank(5), fuse()], 8 + 1 + 1 + 1),
    Shape("ensemble > ranker > critic > fuser", [gen(models=8), rank(5), CRITIC, fuse()], 8 + 1 + 1 + 1),
    Shape("ensemble > verifier > fuser", [gen(2, models=6), VERIFIER, fuse()], 12 + 12 + 1),
    Shape(
        "ensemble > ranker > critic > verifier > fuser",
        [gen(models=8), rank(5), CRITIC, VERIFIER, fuse()],
        8 + 1 + 1 + 5 + 1,
    ),
    Shape("mixture of agents, 2 layers", [gen(models=6), fuse(6), fuse()], 6 + 6 + 1),
    Shape("mixture of agents, 3 layers", [gen(models=6), fuse(6), fuse(6), fuse()], 6 + 6 + 6 + 1),
    Shape("ensemble > fusers > fewer fusers > fuser", [gen(models=8), fuse(4), fuse(2), fuse()], 8 + 4 + 2 + 1),
    Shape(
        "two proposer layers > critic > fuser", [gen(models=8), fuse(8), CRITIC, fuse()], 8 + 8 + 1 + 1
    ),
    Shape(
        "fusers > critic > ranker > fuser",
        [gen(models=8), fuse(8), CRITIC, rank(3), fuse()],
        8 + 8 + 1 + 1 + 1,
    ),
    Shape(
        "critic > ranker > fusers > critic > ranker",
        [gen(3, models=8), CRITIC, rank(5), fuse(2), CRITIC, rank(1)],
        24 + 1 + 1 + 2 + 1 + 1,
    ),
    Shape("tests > samples > evaluator", [TESTS, gen(5), evaluate(1)], 1 + 5 + 5),
    Shape("ensemble > tests > evaluator", [gen(models=6), TESTS, EVALUATE], 6 + 1 + 6),
    Shape("tests > samples > evaluator > verifier", [TESTS, gen(5), evaluate(3), VERIFIER], 1 + 5 + 5 + 3),
    Shape(
        "tests > ensemble > ranker > critic > fuser", [TESTS, gen(models=8), rank(5), CRITIC, fuse()], 1 + 8 + 1 + 1 + 1
    ),
    Shape(
        "deep",
        [gen(2, models=5), CRITIC, rank(6), fuse(4), CRITIC, rank(3), fuse(2, samples=2), VERIFIER, fuse()],
        10 + 1 + 1 + 4 + 1 + 1 + 4 + 4 + 1,
    ),
]  # fmt: skip


def imported(shape: Shape) -> Imported:
    return import_archon(json.dumps({"name": shape.name, "layers": shape.layers}), source="shape.json")


def reply(model: str, messages: Messages, index: int) -> str:
    """A model in every role that answers in the form that was asked for."""
    prompt = str(messages[-1]["content"])
    shown = len(re.findall(r"^### Response", prompt, re.MULTILINE))
    if "Ranking:" in prompt:
        return "Ranking: " + " > ".join(str(number) for number in range(shown, 0, -1))
    if "Write 3 short tests" in prompt:
        return "1. It is a number.\n2. It is even.\n3. It is 56."
    if "Test 1: passed" in prompt:
        return "Test 1: passed\nTest 2: passed\nTest 3: " + ("passed" if "is 56" in prompt else "failed")
    if "Verdict:" in prompt:
        return "Verdict: correct"
    if "weaknesses of each response" in prompt:
        return "\n\n".join(f"### Response {number}\nStrengths: number {number}." for number in range(1, shown + 1))
    return f"{model} tried {index} times. The answer is 56."


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
async def test_shape_imports_validates_draws_and_makes_exactly_its_calls(shape: Shape) -> None:
    found = imported(shape)
    document = Document.parse(found.yaml)
    for draw in (ascii, mermaid, svg):
        assert all(name in draw(picture(document)) for name in document.configure().nodes)

    asked: Counter[str] = Counter()

    def client(spec: ModelSpec) -> ScriptedClient:
        def counted(messages: Messages, index: int) -> str:
            asked[spec.model] += 1
            return reply(spec.model, messages, index)

        return ScriptedClient(ScriptedModel(model=spec.model), counted)

    async with ModelPool(MemoryStore(), client=client) as pool:
        result = await Workflow(document.configure(), pool=pool).arun(Task.ask("What is 7 times 8?"))
    assert result.error is None
    assert "The answer is 56." in str(result.text)
    assert (result.usage.calls, sum(asked.values())) == (shape.calls, shape.calls)
    assert not [note for outcome in result.nodes for note in outcome.notes]


def test_there_are_twenty_shapes_of_every_component() -> None:
    assert len(SHAPES) >= 20
    kinds = {component["type"] for shape in SHAPES for layer in shape.layers for component in layer}
    assert len(kinds) == 7


WRONG = {
    "ranker before generators": ([rank(1), gen()], "a ranker works on answers, and no generator comes before it"),
    "critic at the end": ([gen(3), CRITIC], "a critic comes before a ranker or a fuser"),
    "critic beside a ranker": ([gen(3), [*CRITIC, *rank(1)], fuse()], "a layer holds components of one type"),
    "generators after a fuser": ([gen(3), fuse(), gen(), fuse()], "generators stand in the first layer"),
    "evaluator without tests": ([gen(3), EVALUATE], "no unit_test_generator comes before it"),
    "tests, then a fuser": ([gen(3), TESTS, fuse()], "a unit_test_generator is followed by its unit_test_evaluator"),
    "two verifiers in a layer": ([gen(3), [*VERIFIER, *VERIFIER], fuse()], "a verifier stands alone in its layer"),
    "fuser first": ([fuse(), rank(1)], "a fuser works on answers"),
}


@pytest.mark.parametrize(("layers", "rule"), WRONG.values(), ids=WRONG)
def test_wrong_ordering_is_refused_with_the_rule(layers: list[Layer], rule: str) -> None:
    with pytest.raises(DocumentError, match=rule):
        imported(Shape("wrong", layers, 0))

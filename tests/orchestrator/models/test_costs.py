"""Costs of calls: by hand for small cases, by their laws for all others."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import GpuPrice, LlamaCppModel, ModelBase, ModelShape, Price, ScriptedModel
from archloom.orchestrator import Usage
from archloom.orchestrator.models import installed, model_cards
from archloom.orchestrator.models._costs import SHAPES, CostModel, kinetics

TINY = ModelShape(parameters=10, layers=2, width=4, heads=2, kv_heads=1, bytes_per_weight=2)
SHAPED = CostModel(ScriptedModel(shape=TINY, price=Price(input=1, output=3)))
counts = st.integers(min_value=0, max_value=100_000)


# --- FLOPs and memory traffic


def test_flops_by_hand() -> None:
    """Three prompt tokens and two written: the formula of *Generalizing Test-time Compute-optimal Scaling* (2025)."""
    prefill = 2 * 10 * 3 + 2 * 2 * 4 * 3 * (3 + 1)
    decode = 2 * 10 * 2 + 2 * 2 * 4 * 2 * (2 * 3 + 2 + 1)
    assert SHAPED.of_call(3, 2).flops == prefill + decode


def test_memory_by_hand() -> None:
    """Two tokens written: 20 bytes of weights each, and keys and values of the tokens before them at 16 bits."""
    weights = 2 * 10 * 2
    cache = 2 * (2 * 3 + 2) * 2 * (2 * 1 * 2)  # layers · KV heads · head size
    assert SHAPED.of_call(3, 2).memory_bytes == weights + cache


def test_attention_sums_over_the_tokens_before_each_token() -> None:
    """Token t does 4·D FLOPs a layer for each token up to itself (scores and mixing)."""
    by_token = sum(2 * 10 + 4 * 2 * 4 * t for t in range(1, 8))
    assert SHAPED.of_call(5, 2).flops == by_token


def test_the_size_of_a_head_counts_where_it_is_not_the_width_shared_out() -> None:
    wide = CostModel(ScriptedModel(shape=TINY.model_copy(update={"head_size": 4})))
    added = wide.of_call(3, 2).flops - SHAPED.of_call(3, 2).flops
    assert added == 2 * 2 * (2 * 4 - 4) * 5 * 6


@given(counts, counts, counts)
def test_what_was_written_and_is_given_again_costs_the_same_flops(prompt: int, first: int, second: int) -> None:
    """Reading and writing a token take the same FLOPs: only what comes before it counts."""
    at_once = SHAPED.of_call(prompt, first + second).flops
    assert SHAPED.of_call(prompt + first, second).flops == at_once


@given(counts, counts, counts, counts)
def test_more_tokens_never_cost_less(tokens_in: int, tokens_out: int, more_in: int, more_out: int) -> None:
    less, more = SHAPED.of_call(tokens_in, tokens_out), SHAPED.of_call(tokens_in + more_in, tokens_out + more_out)
    for name in ("cost_usd", "flops", "memory_bytes"):
        assert getattr(more, name) >= getattr(less, name)


@given(counts, counts, st.booleans())
def test_tokens_pass_through(tokens_in: int, tokens_out: int, estimated: bool) -> None:
    usage = SHAPED.of_call(tokens_in, tokens_out, estimated=estimated)
    assert (usage.calls, usage.tokens_in, usage.tokens_out) == (1, tokens_in, tokens_out)
    assert usage.tokens_estimated == (usage.tokens if estimated else 0)
    assert usage.cost_usd == (tokens_in + 3 * tokens_out) / 1e6


def test_without_a_shape_there_are_only_tokens() -> None:
    assert CostModel(ScriptedModel()).of_call(3, 2) == Usage(calls=1, tokens_in=3, tokens_out=2)


# --- shared prompts


def test_kinetics_by_hand() -> None:
    cost = kinetics(TINY, samples=4, prompt_tokens=3, output_tokens=2)
    assert cost.flops == 4 * (2 * 10 * 2 + 2 * (2 * 3 + 2) * 2 * (2 * 2 * 2))
    assert cost.memory_bytes == 2 * (2 * 3 + 4 * 2) * 2 * (2 * 1 * 2)
    assert cost.eflops == cost.flops + 562.5 * cost.memory_bytes


@given(counts, counts)
def test_kinetics_of_one_sample_is_one_call_without_its_weights_and_its_prompt(prompt: int, output: int) -> None:
    one, call = kinetics(TINY, 1, prompt, output), SHAPED.of_call(prompt, output)
    assert one.memory_bytes == call.memory_bytes - 20 * output
    read = SHAPED.of_call(prompt, 0).flops
    diagonal = 2 * 2 * 4 * output  # the paper leaves a token's attention to itself out
    assert one.flops == pytest.approx(call.flops - read - diagonal)


@given(st.integers(min_value=2, max_value=64), st.integers(min_value=1, max_value=1000))
def test_a_shared_prompt_is_read_once(samples: int, prompt: int) -> None:
    together, alone = kinetics(TINY, samples, prompt, 10), kinetics(TINY, 1, prompt, 10)
    assert together.flops == samples * alone.flops
    assert together.memory_bytes < samples * alone.memory_bytes


# --- where it comes from


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param(ScriptedModel(), "price: none; FLOPs: none", id="nothing known"),
        pytest.param(
            ScriptedModel(shape=TINY, price=Price(input=1)),
            "price: document; FLOPs: 10 parameters, 2 layers (document)",
            id="document",
        ),
        pytest.param(
            LlamaCppModel(gpu=GpuPrice(usd_per_hour=2, output_tokens_per_s=2500)),
            "price: gpu: 2.00 USD/h at 2500 tokens/s; FLOPs: 1.35e+08 parameters, 30 layers (registry)",
            id="registry",
        ),
        pytest.param(LlamaCppModel(model="other.gguf"), "price: none; FLOPs: none", id="weights by path"),
        pytest.param(
            LlamaCppModel(shape=TINY), "price: none; FLOPs: 10 parameters, 2 layers (document)", id="document first"
        ),
    ],
)
def test_reports_say_where_costs_come_from(spec: ModelBase, said: str) -> None:
    assert str(CostModel(spec)) == said


def test_every_model_of_the_registry_has_its_shape() -> None:
    assert {card.name: (card.parameters, card.layers, card.width) for card in model_cards()} == {
        name: (shape.parameters, shape.layers, shape.width) for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize("name", list(SHAPES))
def test_shape_is_that_of_the_weights_file(name: str) -> None:
    path = installed(name)
    if path is None:
        pytest.skip(f"the weights are not here; run: archloom models pull {name}")
    shape, file = SHAPES[name], _weights_file(path)
    about = {key.removeprefix("llama."): value for key, value in file.facts.items()}
    assert (about["block_count"], about["embedding_length"]) == (shape.layers, shape.width)
    assert (about["attention.head_count"], about["attention.head_count_kv"]) == (shape.heads, shape.kv_heads)
    assert file.parameters == shape.parameters
    assert (path.stat().st_size - file.header) / file.parameters == pytest.approx(shape.bytes_per_weight, abs=1e-3)


class _WeightsFile(NamedTuple):
    facts: dict[str, object]
    parameters: int
    header: int


_GGUF = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def _weights_file(path: Path) -> _WeightsFile:
    """What a GGUF file says about itself."""
    with path.open("rb") as file:
        magic, _, tensors, pairs = _read(file, "4sIQQ")
        assert magic == b"GGUF"
        facts = {_text(file): _value(file, *_read(file, "I")) for _ in range(pairs)}
        parameters = 0
        for _ in range(tensors):
            _text(file)
            parameters += prod(_read(file, f"{_read(file, 'I')[0]}Q"))
            _read(file, "IQ")
        return _WeightsFile(facts, parameters, file.tell())


def _value(file: BinaryIO, kind: int) -> object:
    if kind == 8:
        return _text(file)
    if kind == 9:
        inner, length = _read(file, "IQ")
        return [_value(file, inner) for _ in range(length)]
    return _read(file, _GGUF[kind])[0]


def _text(file: BinaryIO) -> str:
    return file.read(_read(file, "Q")[0]).decode()


def _read(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))

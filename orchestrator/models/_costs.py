"""What calls of a model cost: tokens, US dollars, floating-point operations, memory traffic.

FLOPs and memory traffic follow from a model's shape. A prompt of ``p`` tokens and a completion of ``o`` tokens, by a
model with ``M`` active parameters, ``L`` layers, and query heads that are ``D`` wide together, take::

    FLOPs  =  2M·p + 2LD·p(p + 1)  +  2M·o + 2LD·o(2p + o + 1)
    bytes  =  o · weights  +  2(2p + o)·o · KV heads · head size · L

The first half of the FLOPs reads the prompt, the second writes; in each, the weights come first and attention
second. The bytes are those read while writing: all weights once per token, and the keys and values (16 bits each) of
all tokens before it. Not counted are writes, activations, and what a server shares between requests: each call pays
its whole prompt and its own pass over the weights. For samples that share a prompt in one large batch see
:func:`kinetics`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from archloom.graphs import LlamaCppModel, ModelBase, ModelShape, Price
from archloom.orchestrator._ledger import Usage
from archloom.orchestrator.models._prices import price_of

SHAPES: Mapping[str, ModelShape] = {
    "smollm2-135m-instruct": ModelShape(
        parameters=134_515_008, layers=30, width=576, heads=9, kv_heads=3, bytes_per_weight=0.718
    )
}
"""Shapes of the models in the registry; the bytes are those of the weights file without its vocabulary."""

FLOPS_PER_BYTE = 562.5
"""What a byte of memory traffic is worth in FLOPs on the hardware that Kinetics looks at."""


class CostModel:
    """Prices the calls of one model.

    Attributes:
        price: What its tokens cost; ``None`` for a model that nobody charges for.
        source: Where the price comes from, for reports.
        shape: What its FLOPs and memory traffic follow from; ``None`` where it is not known.
        shape_source: Where the shape comes from, for reports.
    """

    def __init__(self, spec: ModelBase) -> None:
        self.price: Price | None
        self.price, self.source = price_of(spec)
        self.shape, self.shape_source = _shape_of(spec)
        # A call is priced several times on its way, so all that can be multiplied out beforehand is.
        self._input, self._output = (self.price.input, self.price.output) if self.price else (0.0, 0.0)
        self._by_weights = self._by_attention = self._weights = self._by_cache = 0.0
        if (shape := self.shape) is not None:
            self._by_weights = 2 * shape.parameters
            self._by_attention = 2.0 * shape.layers * shape.heads * _head_size(shape)
            self._weights = shape.parameters * shape.bytes_per_weight
            self._by_cache = 2.0 * shape.layers * shape.kv_heads * _head_size(shape)

    def __str__(self) -> str:
        """In words, for reports."""
        shape = self.shape
        flops = f"{shape.parameters:.3g} parameters, {shape.layers} layers ({self.shape_source})" if shape else "none"
        return f"price: {self.source}; FLOPs: {flops}"

    def of_call(self, tokens_in: int, tokens_out: int, *, estimated: bool = False) -> Usage:
        """One call that used these tokens. FLOPs and bytes are 0 where the shape is not known."""
        cost_usd = (self._input * tokens_in + self._output * tokens_out) / 1e6
        guessed = tokens_in + tokens_out if estimated else 0
        if self.shape is None:
            return Usage(1, tokens_in, tokens_out, cost_usd, guessed)
        total = tokens_in + tokens_out
        return Usage(
            1,
            tokens_in,
            tokens_out,
            cost_usd,
            guessed,
            # Attention over the prompt and while writing add up: p(p + 1) + o(2p + o + 1) = (p + o)(p + o + 1).
            # Whole numbers add up the same in any order, so a replay's totals are those of the run.
            round(self._by_weights * total + self._by_attention * total * (total + 1)),
            round(self._weights * tokens_out + self._by_cache * (2 * tokens_in + tokens_out) * tokens_out),
        )


class Kinetics(NamedTuple):
    """What several samples of one prompt take when they are written in one large batch.

    Attributes:
        flops: Floating-point operations.
        memory_bytes: Bytes of keys and values read.
        eflops: Both in one: FLOPs, and bytes at what they are worth in FLOPs.
    """

    flops: float
    memory_bytes: float
    eflops: float


def kinetics(
    shape: ModelShape,
    samples: int,
    prompt_tokens: int,
    output_tokens: int,
    *,
    flops_per_byte: float = FLOPS_PER_BYTE,
) -> Kinetics:
    """Cost of samples that share a prompt, after *Kinetics: Rethinking Test-Time Scaling Laws* (2025).

    Unlike :meth:`CostModel.of_call`, it counts the prompt's keys and values once for all samples, neither the reading
    of the prompt nor the traffic of weights (a large batch shares it), and attention without its diagonal.

    Args:
        shape: The model.
        samples: Completions of the prompt.
        prompt_tokens: Tokens of the prompt.
        output_tokens: Tokens of each completion.
        flops_per_byte: Arithmetic intensity of the hardware.
    """
    p, o = prompt_tokens, output_tokens
    queries, keys = (shape.layers * heads * _head_size(shape) for heads in (shape.heads, shape.kv_heads))
    flops = samples * (2 * shape.parameters * o + 2 * (2 * p + o) * o * queries)
    memory_bytes = 2.0 * (2 * p + samples * o) * o * keys
    return Kinetics(flops, memory_bytes, flops + flops_per_byte * memory_bytes)


def _shape_of(spec: ModelBase) -> tuple[ModelShape | None, str]:
    if spec.shape is not None:
        return spec.shape, "document"
    if isinstance(spec, LlamaCppModel) and spec.model in SHAPES:
        return SHAPES[spec.model], "registry"
    return None, "none"


def _head_size(shape: ModelShape) -> float:
    return shape.head_size or shape.width / shape.heads

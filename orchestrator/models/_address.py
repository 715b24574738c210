"""Addresses of samples: what makes two requests the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import orjson

from archloom.nodes import Messages, Sampling

_STREAMS_PER_REPLICATE = 1 << 20


class Address(NamedTuple):
    """Place of one sample in the store.

    Attributes:
        key: Hex digest of model identity, messages and parameters.
        stream: Keeps independent draws apart: 0 for the first node of a workflow that asks this, then 1, 2, ...
        index: Position in the pool.
    """

    key: str
    stream: int
    index: int  # type: ignore[assignment]  # nobody looks an element of an address up by value

    @property
    def seed(self) -> int:
        """31-bit seed of this sample, so that a backend that honours seeds draws it again the same."""
        digest = hashlib.blake2b(f"{self.key}/{self.stream}/{self.index}".encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") & 0x7FFFFFFF


@dataclass(frozen=True)
class Question:
    """What a model is asked, and its digest.

    Attributes:
        messages: The conversation.
        sampling: The parameters.
        content: Model, conversation and parameters as canonical JSON: it does not depend on the order of keys, and
            holds neither host nor port.
        key: SHA-256 of the content, in hex.
    """

    messages: Messages
    sampling: Sampling
    content: bytes = field(repr=False)
    key: str

    @classmethod
    def of(cls, identity: str, messages: Messages, sampling: Sampling) -> Self:
        """The question as this model is asked it."""
        asked: dict[str, object] = {
            "model": identity,
            "messages": messages,
            "temperature": float(sampling.temperature),
            "max_tokens": sampling.max_tokens,
            "top_p": float(sampling.top_p),
            "stop": sampling.stop,
        }
        # What is left at its default is left out, so that addresses outlive new parameters.
        if sampling.logprobs is not None:
            asked["logprobs"] = sampling.logprobs
        if sampling.prompt_logprobs:
            asked["prompt_logprobs"] = True
        if sampling.output is not None:
            asked["output"] = list(sampling.output)
        if sampling.pause:
            asked["pause"] = sampling.pause
        if sampling.tools:
            asked |= {"tools": sampling.tools, "tool_choice": sampling.tool_choice}
        content = orjson.dumps(asked, default=dict, option=orjson.OPT_SORT_KEYS)
        return cls(messages, sampling, content, hashlib.sha256(content).hexdigest())


def stream_number(ordinal: int, replicate: int) -> int:
    """The stream of the ``ordinal``-th node that asks one question, in this replicate of an evaluation."""
    return replicate * _STREAMS_PER_REPLICATE + ordinal

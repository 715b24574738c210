"""Addresses of samples: what makes two requests the same."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

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


def request_key(identity: str, messages: Messages, sampling: Sampling) -> str:
    """Digest of a request; it does not depend on the order of keys, on the host or on the port."""
    content = {
        "model": identity,
        "messages": [dict(message) for message in messages],
        "temperature": float(sampling.temperature),
        "max_tokens": sampling.max_tokens,
        "top_p": float(sampling.top_p),
        "stop": list(sampling.stop),
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def stream_number(ordinal: int, replicate: int) -> int:
    """The stream of the ``ordinal``-th node that asks one question, in this replicate of an evaluation."""
    return replicate * _STREAMS_PER_REPLICATE + ordinal

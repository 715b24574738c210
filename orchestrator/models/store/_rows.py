"""Samples and questions as rows of the sample store."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from archloom.nodes import Message, Sample, TokenLogprob

Row: TypeAlias = tuple[object, ...]

SAMPLE_COLUMNS = (
    "text, finish, tokens_in, tokens_out, latency_s, logprob, "
    "estimated, reasoning, tool_calls, tokens, prompt_tokens, answered_by"
)
_FIELDS = tuple(name.strip() for name in SAMPLE_COLUMNS.replace("answered_by", "model").split(","))
_PLAIN = (0, None, None, None, None, None)
_REST = {"estimated": False, "reasoning": None, "tool_calls": (), "tokens": (), "prompt_tokens": (), "model": None}
_LONG = 1024


def sample_row(sample: Sample) -> Row:
    """The values of :data:`SAMPLE_COLUMNS`. Empty lists are NULL, so that a plain sample is small and fast."""
    return (
        sample.text,
        sample.finish,
        sample.tokens_in,
        sample.tokens_out,
        sample.latency_s,
        sample.logprob,
        sample.estimated,
        sample.reasoning,
        _dump(sample.tool_calls),
        _dump(sample.tokens),
        _dump(sample.prompt_tokens),
        sample.model,
    )


def row_sample(row: tuple[Any, ...], index: int) -> Sample:
    """The sample whose row this is."""
    # A frozen dataclass sets its fields one by one through object.__setattr__, which takes a fifth of a read.
    sample = object.__new__(Sample)
    fields = sample.__dict__
    fields.update(zip(_FIELDS, row, strict=True), index=index)
    if row[6:] == _PLAIN:
        fields.update(_REST)
        return sample
    *_, estimated, _, tool_calls, tokens, prompt_tokens, _ = row
    fields.update(
        estimated=bool(estimated),
        tool_calls=tuple(orjson.loads(tool_calls)) if tool_calls else (),
        tokens=_tokens(tokens),
        prompt_tokens=_tokens(prompt_tokens),
    )
    return sample


def _dump(values: Sequence[Message] | Sequence[TokenLogprob]) -> str | None:
    return orjson.dumps(values, default=_plain).decode() if values else None


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _tokens(content: str | None) -> tuple[TokenLogprob, ...]:
    if not content:
        return ()
    return tuple(
        TokenLogprob(text, _logprob(logprob), tuple((other, _logprob(its)) for other, its in top))
        for text, logprob, top in orjson.loads(content)
    )


def _logprob(value: float | None) -> float:
    """JSON has no word for the logarithm of 0, and writes null."""
    return -math.inf if value is None else value


@lru_cache(1024)
def pack(question: bytes) -> str | bytes:
    """A question as it is stored: text, or compressed where it is long. Many samples come with the same one."""
    text = question.decode()  # so that an archive can hold it
    return text if len(question) < _LONG else zlib.compress(question)


def unpack(content: str | bytes) -> bytes:
    """The question that was packed."""
    return content.encode() if isinstance(content, str) else zlib.decompress(content)

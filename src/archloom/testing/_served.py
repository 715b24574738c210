"""The OpenAI format from the server's side: requests, and replies in one piece or many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

_TOKEN = re.compile(r"\s*\S+|\s+$")
_PER_MESSAGE = 4


@dataclass(frozen=True)
class Asked:
    """A request as it came.

    Attributes:
        number: 0 for the first.
        headers: Names in lower case.
        raw: The bytes of its body.
        body: What they mean.
        choice: Which of its ``n`` completions a reply is wanted for.
    """

    number: int
    headers: Mapping[str, str]
    raw: bytes = field(repr=False)
    body: dict[str, object]
    choice: int = 0

    @property
    def text(self) -> str:
        """What its last message says."""
        return _said(self.messages[-1]) if self.messages else ""

    @property
    def messages(self) -> list[dict[str, object]]:
        """Its conversation."""
        messages = self.body.get("messages")
        return messages if isinstance(messages, list) else []

    @property
    def tokens_in(self) -> int:
        """Prompt tokens: four for each message, and its words."""
        return sum(_PER_MESSAGE + len(tokens(_said(message))) for message in self.messages)


@dataclass(frozen=True)
class Served:
    """What the model replies.

    Attributes:
        text: Cut at ``max_tokens``; a token is a word with the white space before it.
        reasoning: Comes before it, in a field of its own, and counts.
        tool_calls: Come after it, untouched, and count.
        finish: Why it ended, if not for the usual reason.
    """

    text: str
    reasoning: str = ""
    tool_calls: tuple[Mapping[str, object], ...] = ()
    finish: str | None = None


def tokens(text: str) -> list[str]:
    """A text in tokens; put together again they are the text."""
    return _TOKEN.findall(text)


class Answer:
    """All choices of one reply, cut to what was asked for."""

    def __init__(self, asked: Asked, served: Sequence[Served]) -> None:
        self.asked = asked
        body = asked.body
        most = body.get("max_tokens") or body.get("max_completion_tokens")
        self.choices = [_Choice(one, most if isinstance(most, int) else 1 << 30) for one in served]
        top = body.get("top_logprobs")
        self._top = (top if isinstance(top, int) else 0) if body.get("logprobs") else None

    @property
    def tokens_out(self) -> int:
        """Completion tokens of all choices."""
        return sum(choice.count for choice in self.choices)

    def usage(self, tokens_out: int) -> dict[str, object]:
        """With as many completion tokens."""
        tokens_in = self.asked.tokens_in
        return {"prompt_tokens": tokens_in, "completion_tokens": tokens_out, "total_tokens": tokens_in + tokens_out}

    def whole(self, *, usage: bool) -> bytes:
        """In one piece."""
        choices = [
            {
                "index": place,
                "message": choice.message(),
                "logprobs": self._logprobs(choice.text),
                "finish_reason": choice.finish,
            }
            for place, choice in enumerate(self.choices)
        ]
        told = {"usage": self.usage(self.tokens_out)} if usage else {}
        return orjson.dumps({**self._head("chat.completion"), "choices": choices, **told})

    def events(self, *, usage: bool) -> Iterator[tuple[bytes, int]]:
        """As a stream: events, and how many tokens have been sent with each. The choices take turns."""
        options = self.asked.body.get("stream_options")
        options = options if usage and isinstance(options, dict) else {}
        turns = [choice.deltas() for choice in self.choices]
        sent = [0] * len(turns)
        while any(turns):
            for place, turn in enumerate(turns):
                if not turn:
                    continue
                delta, count, finish = turn.pop(0)
                sent[place] += count
                chunk = self._head("chat.completion.chunk")
                logprobs = self._logprobs([delta["content"]] if count and "content" in delta else [])
                chunk["choices"] = [{"index": place, "delta": delta, "logprobs": logprobs, "finish_reason": finish}]
                if options.get("continuous_usage_stats"):
                    chunk["usage"] = self.usage(sent[place])
                yield _event(chunk), sum(sent)
        if options.get("include_usage"):
            yield (
                _event({**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage(sum(sent))}),
                sum(sent),
            )
        yield b"data: [DONE]\n\n", sum(sent)

    def _head(self, kind: str) -> dict[str, object]:
        number = self.asked.number
        return {"id": f"chatcmpl-{number}", "object": kind, "created": number, "model": self.asked.body.get("model")}

    def _logprobs(self, written: Sequence[object]) -> dict[str, object] | None:
        if self._top is None:
            return None
        content = [
            {
                "token": token,
                "logprob": -0.125 * (1 + len(str(token)) % 3),
                "bytes": list(str(token).encode()),
                "top_logprobs": [{"token": f"{token}{n}", "logprob": -0.125 * (1 + n)} for n in range(self._top)],
            }
            for token in written
        ]
        return {"content": content}


class _Choice:
    def __init__(self, served: Served, most: int) -> None:
        reasoning, text = tokens(served.reasoning), tokens(served.text)
        cut = len(reasoning) + len(text) > most
        self.reasoning = reasoning[:most]
        self.text = text[: most - len(self.reasoning)]
        self.calls = served.tool_calls
        self._calls_count = sum(len(tokens(orjson.dumps(call).decode())) for call in self.calls)
        self.count = len(self.reasoning) + len(self.text) + self._calls_count
        usual = "length" if cut else "tool_calls" if self.calls else "stop"
        self.finish = served.finish or usual

    def message(self) -> dict[str, object]:
        message: dict[str, object] = {"role": "assistant", "content": "".join(self.text) or None}
        if not self.calls:
            message["content"] = "".join(self.text)
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.calls:
            message["tool_calls"] = self.calls
        return message

    def deltas(self) -> list[tuple[dict[str, object], int, str | None]]:
        """Pieces of the message, their tokens, and the finish reason of the last."""
        pieces: list[tuple[dict[str, object], int, str | None]] = [({"role": "assistant", "content": ""}, 0, None)]
        pieces += [({"reasoning_content": token}, 1, None) for token in self.reasoning]
        pieces += [({"content": token}, 1, None) for token in self.text]
        for place, call in enumerate(self.calls):
            pieces += [({"tool_calls": [part]}, 0, None) for part in _parts(place, call)]
        pieces.append(({}, self._calls_count, self.finish))
        return pieces


def _parts(place: int, call: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """A tool call as OpenAI streams it: first all but its arguments, then these in two pieces."""
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = str(function.get("arguments", ""))
    yield {"index": place, **call, "function": {**function, "arguments": ""}}
    half = len(arguments) // 2
    for piece in (arguments[:half], arguments[half:]):
        yield {"index": place, "function": {"arguments": piece}}


def _event(chunk: Mapping[str, object]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def _said(message: Mapping[str, object]) -> str:
    """All text of a message: its content, or that of its parts, and the arguments of its calls."""
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    calls = message.get("tool_calls")
    return f"{content or ''}{orjson.dumps(calls).decode() if calls else ''}"

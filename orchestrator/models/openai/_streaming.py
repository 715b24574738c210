"""Replies that are read as they are written: server-sent events, and the reply that their pieces make up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from archloom.orchestrator.models._client import Progress
from archloom.orchestrator.models.openai._chat import text_in
from archloom.orchestrator.models.openai._replies import Json, MalformedReplyError, Usage, reasoning_in, usage_of

DONE = b"[DONE]"
"""The data of the last event."""


class ServerErrorEvent(Exception):  # noqa: N818  # it is the server's event, told to the client by raising it
    """The server broke off with an error.

    Attributes:
        error: As the server gave it.
    """

    def __init__(self, error: object) -> None:
        super().__init__()
        self.error = error


class EventReader:
    """Cuts a stream of bytes, in pieces of any size, into the data of its server-sent events."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The data of each event that ends in this piece; consume it all."""
        lines = (self._rest + piece).splitlines(keepends=True)
        # A carriage return at the end may be the first half of a line's end.
        self._rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        for line in lines:
            line = line.rstrip(b"\r\n")
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data.clear()


class ReplyAssembly:
    """Puts the pieces of a streamed reply together."""

    def __init__(self, watchers: Sequence[Progress | None]) -> None:
        """Starts with nothing.

        Args:
            watchers: Are kept up to date; one for each choice that was asked for.
        """
        self._watchers = watchers
        self._told: object = None
        self._total = Usage()
        self._of_choices: dict[int, Usage] = {}
        self._choices = [_ChoiceAssembly(watcher) for watcher in watchers]

    @property
    def used(self) -> tuple[int, int] | None:
        """Prompt and completion tokens by the server's word so far; ``None`` while it has said nothing."""
        if self._total.told or not self._of_choices:
            return self._total.told
        told = self._of_choices.values()
        return max(usage.tokens_in or 0 for usage in told), sum(usage.tokens_out or 0 for usage in told)

    def add(self, data: bytes) -> None:
        """One event.

        Raises:
            MalformedReplyError: it is no piece of a chat completion.
            ServerErrorEvent: it is an error.
        """
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError as exc:
            raise MalformedReplyError("an event") from exc
        if not isinstance(chunk, dict):
            raise MalformedReplyError("an event")
        if chunk.get("error") or chunk.get("object") == "error":
            raise ServerErrorEvent(chunk.get("error") or chunk)
        choices = chunk.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise MalformedReplyError("choices")
        for choice in choices:
            place = choice.get("index", 0) if isinstance(choice, dict) else None
            if not isinstance(place, int) or place < 0:
                raise MalformedReplyError("choices")
            if place < len(self._choices):
                self._choices[place].add(choice)
        if (told := chunk.get("usage")) is not None:
            self._count(told, choices)

    def reply(self) -> dict[str, object]:
        """The reply as it would have come in one piece; ``None`` stands for choices that have not ended."""
        return {"choices": [choice.whole() for choice in self._choices], "usage": self._told}

    def _count(self, told: object, choices: Sequence[Json]) -> None:
        usage = usage_of(told)
        if len(self._watchers) > 1 and choices:
            # While it goes on, vLLM counts each choice by itself.
            for choice in choices:
                place = choice.get("index", 0)
                if isinstance(place, int) and place < len(self._watchers):
                    self._of_choices[place] = usage
                    self._watch(place, Usage(0 if place else usage.tokens_in, usage.tokens_out))
            return
        self._total, self._told = usage, told
        if len(self._watchers) == 1:
            self._watch(0, usage)

    def _watch(self, place: int, usage: Usage) -> None:
        if (watcher := self._watchers[place]) is not None:
            watcher.tokens_in, watcher.tokens_out = usage


class _ChoiceAssembly:
    def __init__(self, watcher: Progress | None) -> None:
        self._on_text = watcher.on_text if watcher else None
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reasoning: list[str] = []
        self._calls = _ToolCalls()
        self._logprobs: list[object] = []
        self._finish: object = None

    def add(self, choice: Json) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._extend(delta)
        elif delta is not None:
            raise MalformedReplyError("delta")
        logprobs = choice.get("logprobs")
        if isinstance(logprobs, dict) and isinstance(entries := logprobs.get("content"), list):
            self._logprobs += entries
        if (finish := choice.get("finish_reason")) is not None:
            self._finish = finish

    def whole(self) -> dict[str, object] | None:
        if self._finish is None:
            return None
        message: dict[str, object] = {
            "content": "".join(self._text),
            "reasoning": "".join(self._reasoning),
            "tool_calls": self._calls.whole,
        }
        if self._refusal and not self._text:
            message.update(content=None, refusal="".join(self._refusal))
        return {"message": message, "finish_reason": self._finish, "logprobs": {"content": self._logprobs}}

    def _extend(self, delta: Json) -> None:
        if content := text_in(delta.get("content")):
            self._text.append(content)
            if self._on_text is not None:
                self._on_text(content)
        if reasoning := reasoning_in(delta):
            self._reasoning.append(reasoning)
        if isinstance(refusal := delta.get("refusal"), str):
            self._refusal.append(refusal)
        self._calls.add(delta.get("tool_calls"))


class _ToolCalls:
    """A call's arguments come in pieces, and all else of it at once; some servers say that again each time."""

    def __init__(self) -> None:
        self.whole: list[dict[str, object]] = []
        self._by_place: dict[int | str | None, dict[str, object]] = {}

    def add(self, pieces: object) -> None:
        if pieces is not None and not isinstance(pieces, list):
            raise MalformedReplyError("tool_calls")
        for piece in pieces or ():
            # Gemini gives no index, but a call is whole then, and has an id.
            place = piece.get("index", piece.get("id")) if isinstance(piece, dict) else piece
            if not isinstance(piece, dict) or not isinstance(place, int | str | None):
                raise MalformedReplyError("tool_calls")
            if place not in self._by_place:
                self._by_place[place] = {}
                self.whole.append(self._by_place[place])
            self._extend(self._by_place[place], piece)

    def _extend(self, call: dict[str, object], piece: Json) -> None:
        function = piece.get("function")
        if isinstance(function, dict):
            piece = {**piece, "function": self._function(call.get("function"), function)}
        call.update({key: value for key, value in piece.items() if key != "index" and (value or key not in call)})

    def _function(self, before: object, piece: Json) -> Json:
        function = before if isinstance(before, dict) else {}
        had, more = function.get("arguments") or "", piece.get("arguments") or ""
        if not isinstance(more, str):
            raise MalformedReplyError("tool_calls")
        told = {key: value for key, value in piece.items() if value or key not in function}
        return {**function, **told, "arguments": had + more}

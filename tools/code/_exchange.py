"""Calls between two processes that do not trust each other, over a pipe, in plain data.

This file also runs inside the sandbox, where there is no archloom: it imports nothing but the standard library and
its neighbours.

Plain data (numbers, texts, bytes, ``None``, lists, tuples, sets, dicts) goes over by value, in cycles too. Of anything
else the other side gets a :class:`Handle`, and operations on that are calls back. A subclass of a plain type arrives as
the plain type, so no operator of the sender's making ever runs at the receiver.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ._wire import dump, load  # noqa: TID251 - in the sandbox there is no archloom

_LONGEST = 64 * 2**20
"""Bytes of a message that are read."""
_PARTS = {"ask": 4, "returned": 3, "raised": 4}
"""Kinds of messages, with how many parts each has."""


class RemoteError(Exception):
    """An exception of the other process that is none of Python's own, or cannot be made here."""


class ProcessGoneError(BaseException):
    """The other process has ended, or does not speak the protocol. No ``except Exception`` of a test may hide that."""


class Handle:
    """What is no plain data, and stays in the other process.

    It can be called, iterated, indexed, measured, shown, and its attributes can be read and set. It equals only itself:
    what ``==`` means over there is not asked.
    """

    __slots__ = ("_id", "_kind", "_peer")
    _id: int
    _kind: str
    _peer: Peer

    def __init__(self, peer: Peer, id: int, kind: str) -> None:
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_id", id)
        object.__setattr__(self, "_kind", kind)

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._peer.ask("call", self, *args, **kwargs)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._peer.ask("attribute", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._peer.ask("set_attribute", self, name, value)

    def __getitem__(self, key: object) -> object:
        return self._peer.ask("item", self, key)

    def __setitem__(self, key: object, value: object) -> None:
        self._peer.ask("set_item", self, key, value)

    def __contains__(self, item: object) -> bool:
        return bool(self._peer.ask("contains", self, item))

    def __len__(self) -> int:
        length = self._peer.ask("len", self)
        if not isinstance(length, int):
            raise TypeError("its length is no number")
        return length

    def __bool__(self) -> bool:
        return self._peer.ask("bool", self) is True

    def __iter__(self) -> Iterator[object]:
        steps = self._peer.ask("iter", self)
        return steps if isinstance(steps, Handle) else iter(())

    def __next__(self) -> object:
        return self._peer.ask("next", self)

    def __str__(self) -> str:
        return str(self._peer.ask("str", self))

    def __repr__(self) -> str:
        return f"<{self._kind} of the program>"


class Reference:
    """Keeps plain data from going over by value: the other side gets a handle to what is in it."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


class Peer:
    """One end of the pipe.

    Args:
        reads: Descriptor that messages come from.
        writes: Descriptor that they go to.
        serve: Does what the other side asks: operation, arguments, named arguments.

    Attributes:
        gone: The other side has ended.
        last_call: The last call that came back: callee, arguments, result.
    """

    def __init__(self, reads: int, writes: int, serve: Callable[[str, list[Any], dict[str, Any]], object]) -> None:
        self._reads, self._writes, self._serve = reads, writes, serve
        self.gone = False
        self.last_call: tuple[object, list[object], object] | None = None
        self._own: list[object] = []
        self._numbers: dict[int, int] = {}
        self._handles: dict[int, Handle] = {}

    def ask(self, operation: str, *args: object, **kwargs: object) -> object:
        """What the other side's operation returns; lists, dicts and sets among ``args`` take the changes it made.

        Raises:
            ProcessGoneError: there is no answer.
            Exception: what it raised there, of Python's own class where it has one.
        """
        self._send(["ask", operation, list(args), kwargs])
        while True:
            kind, *rest = self._receive()
            if kind == "ask":
                self.answer(*rest)
            elif kind == "returned":
                value, changed = rest
                for mine, theirs in zip(args, changed, strict=True):
                    _update(mine, theirs)
                if operation == "call":
                    self.last_call = (args[0], list(args[1:]), value)
                return value
            else:
                raise _raised(*rest)

    def answer_all(self) -> None:
        """Does what is asked until the other side closes the pipe."""
        while True:
            kind, *rest = self._receive()
            if kind == "ask":
                self.answer(*rest)

    def answer(self, operation: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Does one thing that was asked, and says what came of it."""
        try:
            value = self._serve(operation, args, kwargs)
            reply = self._dump(["returned", value, [each if _can_change(each) else None for each in args]])
        except Exception as exc:  # noqa: BLE001 - it goes to whoever asked
            at_the_call = operation == "call" and _depth(exc) <= 2  # in the two functions here, and in none beyond
            reply = self._dump(["raised", type(exc).__name__, _message(exc), at_the_call])
        self._write(reply)

    def _send(self, message: object) -> None:
        self._write(self._dump(message))

    def _write(self, data: bytes) -> None:
        data = len(data).to_bytes(8, "big") + data
        try:
            while data:
                data = data[os.write(self._writes, data) :]
        except OSError as exc:
            raise self._ended("it has ended") from exc

    def _receive(self) -> list[Any]:
        length = int.from_bytes(self._read(8), "big")
        if length > _LONGEST:
            raise self._ended("it sent a result that is too large")
        try:
            message = load(self._read(length), self._resolve)
        except (ValueError, TypeError, LookupError, RecursionError) as exc:
            raise self._ended(f"it sent something unreadable: {exc}") from exc
        if not isinstance(message, list) or len(message) != _PARTS.get(message[0] if message else ""):
            raise self._ended("it sent something unreadable")
        return message

    def _ended(self, why: str) -> ProcessGoneError:
        self.gone = True
        return ProcessGoneError(why)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            chunk = os.read(self._reads, min(count - len(data), 2**20))
            if not chunk:
                raise self._ended("it has ended")
            data += chunk
        return bytes(data)

    def _dump(self, value: object) -> bytes:
        return dump(value, self._name)

    def _name(self, thing: object) -> list[object]:
        if isinstance(thing, Handle):
            return ["yours", thing._id]
        if isinstance(thing, Reference):
            thing = thing.value
        number = self._numbers.setdefault(id(thing), len(self._own))
        if number == len(self._own):
            self._own.append(thing)
        return ["mine", number, str(getattr(thing, "__name__", type(thing).__name__))]

    def _resolve(self, whose: str, parts: list[Any]) -> object:
        if whose == "yours":
            return self._own[parts[0]]
        number, kind = parts
        if whose != "mine" or not isinstance(number, int):
            raise ValueError(f"there is no {whose!r}")
        return self._handles.setdefault(number, Handle(self, number, str(kind)))


def _can_change(thing: object) -> bool:
    return isinstance(thing, (list, dict, set, bytearray))


def _update(mine: object, theirs: object) -> None:
    """Makes a container that was given as an argument what it is over there after the call."""
    if isinstance(mine, (list, bytearray)) and isinstance(theirs, (list, bytearray)):
        mine[:] = theirs
    elif isinstance(mine, (dict, set)) and isinstance(theirs, (dict, set)):
        mine.clear()
        mine.update(theirs)


def _depth(exc: BaseException) -> int:
    depth, trace = 0, exc.__traceback__
    while trace is not None and depth <= 2:
        depth, trace = depth + 1, trace.tb_next
    return depth


def _message(exc: BaseException) -> str:
    try:
        return str(exc)[:2000]
    except Exception:  # noqa: BLE001 - the program wrote this method
        return ""


def _raised(name: str, message: str, at_the_call: bool) -> Exception:
    """The exception here, marked as one from there."""
    import builtins

    kind = getattr(builtins, name, None)
    error: Exception = RemoteError(f"{name}: {message}")
    if isinstance(kind, type) and issubclass(kind, Exception):
        with suppress(TypeError):  # it takes more than a message
            error = kind(message)
    vars(error)["at_the_call"] = at_the_call is True
    return error


def at_the_call(exc: BaseException) -> bool | None:
    """Whether an exception of the other side arose before the callee began; ``None`` for one of this side."""
    found = vars(exc).get("at_the_call")
    return found if isinstance(found, bool) else None

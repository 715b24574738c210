"""Plain data as bytes, for a receiver who does not trust the sender.

Like ``_exchange.py`` and ``_examiner.py`` this also runs inside the sandbox, where there is no archloom.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_SMALL = 2**53


def dump(value: object, name: Callable[[object], list[object]]) -> bytes:
    """A table of the containers in a value, each written once, and where in it the value is.

    Args:
        value: The value. Parts of a subclass of a plain type are written as the plain type.
        name: What to write for a part that is no plain data.
    """
    order: list[object] = []
    places: dict[int, int] = {}

    def refer(thing: object) -> object:
        scalar = _scalar(thing)
        if scalar is not None or thing is None:
            return scalar
        if id(thing) not in places:
            places[id(thing)] = len(order)
            order.append(thing)  # also keeps it alive, so that no other thing gets its id
        return [places[id(thing)]]

    root = refer(value)
    table = [_entry(thing, refer) or name(thing) for thing in order]  # which grows as it is walked
    return json.dumps([table, root]).encode()


def load(data: bytes, resolve: Callable[[str, list[Any]], object]) -> object:
    """The value that :func:`dump` wrote.

    Args:
        data: The bytes.
        resolve: The object for what ``name`` wrote: its first part, the others.

    Raises:
        ValueError, TypeError, LookupError, RecursionError: it is something else.
    """
    table, root = json.loads(data)
    made: dict[int, Any] = {place: _SHELLS[name]() for place, (name, *_) in enumerate(table) if name in _SHELLS}

    def take(reference: Any) -> Any:
        if not isinstance(reference, list):
            return reference
        [place] = reference
        if place not in made:
            name, *parts = table[place]
            maker = _MAKERS.get(name)
            made[place] = resolve(name, parts) if maker is None else maker([take(part) for part in parts])
        return made[place]

    for place, (name, *parts) in enumerate(table):
        if name in _SHELLS:  # filled only now, because they may hold each other and themselves
            _fill(made[place], [take(part) for part in parts])
    return take(root)


def _scalar(thing: object) -> object:
    """The thing as JSON has it; ``None`` for what JSON has not, and for ``None``."""
    if isinstance(thing, bool):
        return thing
    if isinstance(thing, str):
        return str.__str__(thing)
    if isinstance(thing, int):
        return int(thing) if -_SMALL < thing < _SMALL else None
    if isinstance(thing, float):
        return float(thing)
    return None


def _entry(thing: object, refer: Callable[[object], object]) -> list[object] | None:
    match thing:
        case int():
            return ["int", hex(thing)]
        case complex():
            return ["complex", thing.real, thing.imag]
        case bytes():
            return ["bytes", thing.hex()]
        case bytearray():
            return ["bytearray", thing.hex()]
        case dict():
            return ["dict", *(refer(part) for pair in thing.items() for part in pair)]
        case list():
            return ["list", *map(refer, thing)]
        case tuple():
            return ["tuple", *map(refer, thing)]
        case set():
            return ["set", *map(refer, thing)]
        case frozenset():
            return ["frozenset", *map(refer, thing)]
        case range():
            return ["range", *map(refer, (thing.start, thing.stop, thing.step))]
    if type(thing).__name__ in {"Decimal", "Fraction"}:
        return [type(thing).__name__, str(thing)]
    return None


def _fill(container: Any, parts: list[Any]) -> None:
    if isinstance(container, list):
        container.extend(parts)
    elif isinstance(container, set):
        container.update(parts)
    else:
        container.update(zip(parts[::2], parts[1::2], strict=True))


def _decimal(parts: list[Any]) -> object:
    from decimal import Decimal

    return Decimal(*parts)


def _fraction(parts: list[Any]) -> object:
    from fractions import Fraction

    return Fraction(*parts)


_SHELLS: dict[str, Callable[[], Any]] = {"list": list, "set": set, "dict": dict}
_MAKERS: dict[str, Callable[[list[Any]], object]] = {
    "int": lambda parts: int(parts[0], 16),
    "complex": lambda parts: complex(*parts),
    "bytes": lambda parts: bytes.fromhex(parts[0]),
    "bytearray": lambda parts: bytearray.fromhex(parts[0]),
    "tuple": tuple,
    "frozenset": frozenset,
    "range": lambda parts: range(*parts),
    "Decimal": _decimal,
    "Fraction": _fraction,
}

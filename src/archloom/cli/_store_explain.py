"""The request behind a key of the sample store, and what models gave."""

from __future__ import annotations

import json as jsonlib
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from archloom.cli._options import page, print_json
from archloom.cli._tables import page_text
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from archloom.orchestrator.models import Entry, SQLiteStore

_WORDS = 60
_LINES = 300
_SHOWN_KEYS = 5


def explain_key(store: SQLiteStore, key: str, *, json: bool) -> None:
    """Shows a request and its samples, or one of them.

    Args:
        store: Where they are.
        key: The beginning of a key, or ``KEY/STREAM/INDEX``.
        json: As JSON, complete.

    Raises:
        UsageError: nothing is there, or several keys begin like this.
    """
    prefix, *place = key.split("/")
    stream, index = _place(key, place)
    whole = _whole_key(store, prefix)
    question = store.question(whole)
    entries = [entry for entry in store.entries(key=whole) if entry.address.key == whole]
    if place:
        entries = [entry for entry in entries if entry.address[1:] == (stream, index)]
        if not entries:
            raise UsageError(f"{key}: nothing is there.", hint=f"'archloom store explain {whole}' lists what is.")
    asked = jsonlib.loads(question) if question is not None else None
    if json:
        print_json({"key": whole, "question": asked, "samples": [_record(entry) for entry in entries]})
        return
    page_text(f"key      {whole}")
    _show_question(asked, entries)
    if place:
        _show_whole(entries[0])
    else:
        _show_table(entries)


def _place(key: str, place: list[str]) -> tuple[int, int]:
    if not place:
        return 0, 0
    if len(place) != 2 or not all(part.isdecimal() for part in place):
        raise UsageError(f"{key!r} is no place in the store.", hint="Write KEY or KEY/STREAM/INDEX, e.g. 3f2a/0/1.")
    return int(place[0]), int(place[1])


def _whole_key(store: SQLiteStore, prefix: str) -> str:
    """The one key that begins like this."""
    keys = store.keys(prefix, limit=_SHOWN_KEYS + 1)
    if not keys:
        raise UsageError(
            f"{prefix!r}: no key begins like this.", hint="'archloom store export FILE' writes all that are there."
        )
    if len(keys) > 1 and keys[0] != prefix:
        more = ", ..." if len(keys) > _SHOWN_KEYS else ""
        listed = ", ".join(keys[:_SHOWN_KEYS])
        raise UsageError(f"{prefix!r}: several keys begin like this: {listed}{more}.", hint="Give more of it.")
    return keys[0]


def _record(entry: Entry) -> dict[str, Any]:
    result = asdict(entry.result)
    index = result.pop("index")
    return {"stream": entry.address.stream, "index": index, "asked": entry.model, **result}


def _show_question(asked: dict[str, Any] | None, entries: list[Entry]) -> None:
    if asked is None:
        page_text(f"model    {entries[0].model}")
        page_text("request  not known: these samples are older than the store's keeping of requests")
        return
    page_text(f"model    {asked['model']}")
    parameters = {name: value for name, value in asked.items() if name not in {"model", "messages"}}
    page_text("with     " + ", ".join(f"{name} {_short(value)}" for name, value in parameters.items() if value != []))
    for message in asked["messages"]:
        page_text(f"{message.get('role', '?'):<9}{_short(message.get('content'), _LINES)}")


def _show_table(entries: list[Entry]) -> None:
    from rich.table import Table

    from archloom.nodes import Sample

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("stream", "index", "in", "out", "s"):
        table.add_column(name, justify="right")
    table.add_column("finish")
    table.add_column("begins", no_wrap=True)
    for entry in entries:
        result, place = entry.result, (str(entry.address.stream), str(entry.address.index))
        if isinstance(result, Sample):
            numbers = (f"{result.tokens_in:,}", f"{result.tokens_out:,}", f"{result.latency_s:.2f}")
            table.add_row(*place, *numbers, result.finish, _short(result.text))
        else:
            table.add_row(*place, "", "", "", f"failed: {result.error}", _short(result.message))
    page().print(table)


def _show_whole(entry: Entry) -> None:
    for name, value in _record(entry).items():
        if name not in {"text", "tokens", "prompt_tokens"} and value not in (None, (), False):
            page_text(f"{name:<9} {_harmless(str(value))}")
    for name in ("tokens", "prompt_tokens"):
        if listed := getattr(entry.result, name, ()):
            page_text(f"{name}: log-probabilities of {len(listed):,} tokens (--json lists them)")
    if text := getattr(entry.result, "text", ""):
        page_text(f"\n{_harmless(text)}")


def _short(value: object, length: int = _WORDS) -> str:
    """A value on one line, cut where it is long."""
    text = value if isinstance(value, str) else jsonlib.dumps(value, ensure_ascii=False)
    text = _harmless(" ".join(text.split()))
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _harmless(text: str) -> str:
    """The text without what would steer the terminal; who wrote it is a model."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text)

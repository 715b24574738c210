"""The run log: an append-only file of events from which every number of a report is computed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from archloom.orchestrator._ledger import Usage
from archloom.orchestrator.errors import RunLogError
from archloom.orchestrator.models import ServerLoad

LOG_VERSION = 1
_FILE = "events.jsonl"
_OTHER_FOLDER = "Name another folder with --out, or remove this one."


class Event(BaseModel):
    """Base of all events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    """When it was written, UTC."""


class Started(Event):
    """The first event: what this run is. A folder holds one run; it goes on only as the same run."""

    event: Literal["started"] = "started"
    log_version: int = LOG_VERSION
    kind: Literal["eval", "search"]
    identity: dict[str, str]
    """What must be the same for the run to go on: digests of document and tasks, seed, settings."""
    settings: dict[str, str] = {}
    """How it was begun, for whoever wants to do it again."""
    versions: dict[str, str] = Field(default_factory=lambda: library_versions())


class CellObserved(Event):
    """A cell was observed."""

    event: Literal["cell"] = "cell"
    part: Literal["search", "report"] = "report"
    cell: dict[str, Any]
    charged: Usage = Usage()
    """Paid so far by all processes of this run."""


class Stopped(Event):
    """A process of this run ended in good order."""

    event: Literal["stopped"] = "stopped"
    charged: Usage
    """Paid so far by all processes of this run."""
    wall_s: float
    """Seconds that this process took."""


class NodeRan(Event):
    """A node of one run: its candidates, cost and notes."""

    event: Literal["node"] = "node"
    task: str
    outcome: dict[str, Any]
    config: str | None = None
    """Id of the configuration; logs of earlier versions do not say it."""


class ServerSeen(Event):
    """What the server of a model did while a process of this run used it."""

    event: Literal["server"] = "server"
    model: str
    load: ServerLoad


class Decided(Event):
    """The search decided something: a configuration was dropped, a stop rule held, a winner was recommended."""

    event: Literal["decided"] = "decided"
    what: str
    fields: dict[str, Any] = {}


AnyEvent: TypeAlias = Annotated[
    Started | CellObserved | Stopped | NodeRan | ServerSeen | Decided, Field(discriminator="event")
]
_adapter: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


class RunLog:
    """``events.jsonl`` of a run folder. Each event is one line, written at once; a line that a kill cut in two
    is removed when the run goes on."""

    def __init__(self, folder: Path, events: list[AnyEvent]) -> None:
        self.folder = folder
        self.events = events
        self._file = (folder / _FILE).open("ab")
        self._file.truncate(len(_whole_lines(folder / _FILE)))

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        kind: Literal["eval", "search"],
        identity: Mapping[str, str],
        *,
        settings: Mapping[str, str] | None = None,
    ) -> Self:
        """Starts a run in this folder, or goes on with it.

        Raises:
            RunLogError: the folder holds another run, which is left as it is, or cannot be used.
        """
        path = Path(folder)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise RunLogError(f"{path}: cannot be a run folder: {exc.strerror}.", hint=_OTHER_FOLDER) from exc
        events = read_events(path) if (path / _FILE).exists() else []
        if events:
            started = events[0]
            assert isinstance(started, Started)
            changed = [name for name, value in identity.items() if started.identity.get(name) != value]
            if started.kind != kind or changed:
                what = ", ".join(changed) or f"it is a run of 'archloom {started.kind}'"
                raise RunLogError(
                    f"{path}: holds another run; different: {what}.",
                    hint=_OTHER_FOLDER,
                )
        log = cls(path, events)
        if not events:
            log.write(Started(kind=kind, identity=dict(identity), settings=dict(settings or {})))
        return log

    def write(self, event: AnyEvent) -> None:
        """Appends an event."""
        self._file.write(event.model_dump_json().encode() + b"\n")
        self._file.flush()
        self.events.append(event)

    @property
    def charged(self) -> Usage:
        """Paid so far by all processes of this run, as of the last event that says so.

        What a killed process paid after its last cell is missing here; its samples are in the store.
        """
        says = (event.charged for event in reversed(self.events) if isinstance(event, CellObserved | Stopped))
        return next(says, Usage())

    def close(self) -> None:
        """Frees the file."""
        self._file.close()


def read_events(folder: str | os.PathLike[str]) -> list[AnyEvent]:
    """All events of a run folder; a last line that is still being written, or was cut by a kill, is left out.

    Raises:
        RunLogError: there is no log, or a line cannot be read.
    """
    path = Path(folder) / _FILE
    events: list[AnyEvent] = []
    for number, line in enumerate(_whole_lines(path).splitlines(), 1):
        try:
            events.append(_adapter.validate_json(line))
        except ValidationError as exc:
            raise RunLogError(f"{path}:{number}: not an event of this version: {exc.errors()[0]['msg']}.") from exc
    if events and not isinstance(events[0], Started):
        raise RunLogError(f"{path}:1: a run log begins with 'started'.")
    return events


def _whole_lines(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise RunLogError(f"{path}: cannot be read: {exc.strerror}.", hint="Name the folder of a run.") from exc
    return data[: data.rfind(b"\n") + 1]


def library_versions() -> dict[str, str]:
    """Versions of archloom and of what its results depend on."""
    names = ("archloom", "langgraph", "optuna", "xllamacpp", "reasoning-gym", "numpy")
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def event_schema() -> dict[str, Any]:
    """JSON schema of one line of the log."""
    return _adapter.json_schema()

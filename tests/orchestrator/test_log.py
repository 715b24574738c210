"""The run log: what was written is there, after a kill too, and a folder holds one run."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archloom.graphs import Configuration, ScriptedModel
from archloom.nodes import Generator
from archloom.orchestrator import (
    AnyEvent,
    Cell,
    CellObserved,
    Decided,
    ModelPool,
    NodeRan,
    RunLog,
    Started,
    Stopped,
    Usage,
    Workflow,
    event_schema,
    read_events,
)
from archloom.orchestrator.errors import RunLogError
from archloom.orchestrator.models import MemoryStore

IDENTITY = {"document": "d1", "tasks": "t1", "seed": "0"}


def observed(number: int, tokens: int = 7) -> CellObserved:
    cell = Cell("c0ffee", f"task-{number}", 1.0, tokens, 0.25, 1.5, 1, answer="56")
    return CellObserved(cell=cell.to_json(), charged=Usage(number, tokens, 0, 0.5))


def file(folder: Path) -> Path:
    return folder / "events.jsonl"


def begun(folder: Path, *events: AnyEvent) -> list[AnyEvent]:
    """A run with these events, closed; and all of its events."""
    log = RunLog.open(folder, "eval", IDENTITY, settings={"limit": "10"})
    for event in events:
        log.write(event)
    log.close()
    return log.events


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    before = begun(tmp_path / "a" / "run", observed(0), Stopped(charged=Usage(1, 7, 0, 0.5), wall_s=1.25))
    after = begun(tmp_path / "a" / "run", observed(1))
    assert after[:-1] == before
    assert read_events(tmp_path / "a" / "run") == after
    assert [event.event for event in after] == ["started", "cell", "stopped", "cell"]


def test_an_event_can_be_read_as_soon_as_it_is_written(tmp_path: Path) -> None:
    log = RunLog.open(tmp_path, "search", IDENTITY)
    log.write(observed(0))
    assert read_events(tmp_path) == log.events
    log.close()


@given(cut=st.integers(0, 10_000))
def test_a_line_that_a_kill_cut_in_two_is_lost_alone(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    folder = tmp_path_factory.mktemp("run")
    events = begun(folder, observed(0), observed(1), observed(2))
    whole = file(folder).read_bytes()
    ends = [at + 1 for at, byte in enumerate(whole) if byte == ord("\n")]
    kept = whole[: cut % len(whole)]
    file(folder).write_bytes(kept)
    survivors = sum(end <= len(kept) for end in ends)
    assert read_events(folder) == events[:survivors]
    assert file(folder).read_bytes() == kept, "reading changed the file"
    log = RunLog.open(folder, "eval", IDENTITY)
    if survivors:
        assert log.events == events[:survivors]
    log.write(observed(9))
    log.close()
    assert read_events(folder) == log.events
    assert isinstance(log.events[0], Started)


@pytest.mark.parametrize(
    ("kind", "identity", "told"),
    [
        ("eval", {**IDENTITY, "tasks": "t2"}, "different: tasks."),
        ("eval", {**IDENTITY, "tasks": "t2", "seed": "1"}, "different: tasks, seed."),
        ("eval", {**IDENTITY, "objective": "o"}, "different: objective."),
        ("search", IDENTITY, "a run of 'archloom eval'"),
    ],
    ids=["one thing", "two things", "a thing it did not have", "another command"],
)
def test_another_run_in_the_folder_is_refused_and_left_alone(
    tmp_path: Path, kind: str, identity: dict[str, str], told: str
) -> None:
    begun(tmp_path, observed(0))
    with file(tmp_path).open("ab") as log:
        log.write(b'{"event": "cell", "half of a li')
    before = file(tmp_path).read_bytes()
    with pytest.raises(RunLogError, match=told) as caught:
        RunLog.open(tmp_path, kind, identity)  # type: ignore[arg-type]  # one of the two kinds
    assert str(tmp_path) in caught.value.message
    assert "--out" in str(caught.value.hint)
    assert file(tmp_path).read_bytes() == before


def test_other_settings_are_no_other_run(tmp_path: Path) -> None:
    begun(tmp_path)
    log = RunLog.open(tmp_path, "eval", IDENTITY, settings={"limit": "20"})
    log.close()
    assert [event.event for event in log.events] == ["started"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"no json\n", ":2: not an event"),
        (b'{"event": "unheard-of", "at": "now"}\n', ":2: not an event"),
        (b'{"event": "stopped", "at": "now", "wall_s": 1, "charged": {}, "new": 1}\n', ":2: not an event"),
        (b"\n", ":2: not an event"),
    ],
    ids=["no json", "unknown event", "unknown field", "empty line"],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: bytes, told: str) -> None:
    begun(tmp_path)
    with file(tmp_path).open("ab") as log:
        log.write(line)
    with pytest.raises(RunLogError, match=told):
        read_events(tmp_path)


def test_a_log_begins_with_what_the_run_is(tmp_path: Path) -> None:
    file(tmp_path).write_text(observed(0).model_dump_json() + "\n")
    with pytest.raises(RunLogError, match="begins with 'started'"):
        RunLog.open(tmp_path, "eval", IDENTITY)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunLogError, match="cannot be a run folder"):
        RunLog.open(tmp_path / "file", "eval", IDENTITY)
    with pytest.raises(RunLogError, match="cannot be read"):
        read_events(tmp_path / "nowhere")


def test_what_was_paid_is_what_the_last_event_says(tmp_path: Path) -> None:
    log = RunLog.open(tmp_path, "eval", IDENTITY)
    assert log.charged == Usage()
    log.write(observed(3, tokens=40))
    log.write(Decided(what="dropped"))
    assert log.charged == Usage(3, 40, 0, 0.5)
    log.write(Stopped(charged=Usage(4, 50, 1, 0.75), wall_s=1.0))
    log.close()
    again = RunLog.open(tmp_path, "eval", IDENTITY)
    again.close()
    assert again.charged == Usage(4, 50, 1, 0.75)


async def test_every_line_keeps_the_published_schema(tmp_path: Path) -> None:
    models = {"m": ScriptedModel(replies=("The answer is 56.",))}
    configuration = Configuration("w", models, {"draft": Generator(model="m")}, "draft", answer="number")
    async with ModelPool(MemoryStore()) as pool:
        result = await Workflow(configuration, pool=pool).arun("7 times 8?")
    begun(
        tmp_path,
        *(NodeRan(task=result.task, outcome=outcome.to_json()) for outcome in result.nodes),
        CellObserved(part="search", cell=Cell.of(result, None).to_json(), charged=result.usage),
        Decided(what="dropped", fields={"why": "dominated", "by": 0.25}),
        Stopped(charged=result.usage, wall_s=0.5),
    )
    schema = event_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    lines = file(tmp_path).read_bytes().splitlines()
    assert len({orjson.loads(line)["event"] for line in lines}) == 5, "there are kinds of events that are not tried"
    for line in lines:
        validator.validate(orjson.loads(line))
    wrong = orjson.loads(lines[-1]) | {"unknown": 1}
    assert not validator.is_valid(wrong)

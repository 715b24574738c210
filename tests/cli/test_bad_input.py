"""Every kind of bad input ends with its exit code, says where and what to do, and leaves nothing behind."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


class BadDocument(NamedTuple):
    name: str
    old: str
    new: str
    place: str
    code: str
    says: str


BAD_DOCUMENTS = [
    BadDocument("unknown field", "samples: 3", "sampels: 3", "6:38: nodes.draft.sampels", "E012", "Did you mean 'samples'?"),
    BadDocument("wrong type", "samples: 3", "samples: many", "6:38: nodes.draft.samples", "E013", "valid integer"),
    BadDocument("cycle", "samples: 3", "after: answer", "6:38: nodes.draft.after", "E017", "draft -> answer -> draft"),
    BadDocument("dangling after", "after: draft", "after: drfat", "7:24: nodes.answer.after", "E016", "Did you mean 'draft'?"),
    BadDocument("no path to output", "output: answer", "output: draft", "7:3: nodes.answer", "E018", "no path leads"),
    BadDocument("critic without candidates", "type: vote, after: draft", "type: critic, model: m", "7:3: nodes.answer", "E019", "Say which nodes"),
    BadDocument("not YAML", "models:", "models: [", "5:1", "E010", "not YAML"),
]  # fmt: skip

COMMANDS = {
    "validate": ("validate", "w.yaml"),
    "graph": ("graph", "w.yaml"),
    "plan": ("plan", "w.yaml"),
    "run": ("run", "w.yaml", "What is 7 times 8?"),
    "eval": ("eval", "w.yaml", "--tasks", "simulated:t?size=4"),
    "search": ("search", "w.yaml", "--tasks", "simulated:t?size=8"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("bad", BAD_DOCUMENTS, ids=lambda bad: bad.name)
def test_bad_document_is_refused_by_every_command(
    cli: Cli, folder: Path, bad: BadDocument, command: tuple[str, ...]
) -> None:
    text = (folder / "good.yaml").read_text()
    assert bad.old in text
    (folder / "w.yaml").write_text(text.replace(bad.old, bad.new))
    before = _files(folder)
    code, out, err = cli(*command)
    assert code == 2
    assert f"w.yaml:{bad.place}" in err
    assert bad.says in err
    assert f"[archloom-{bad.code}]" in err
    assert out == ""
    assert _files(folder) == before


MODELS = {
    "file": 'm: {provider: llamacpp, model: ./none.gguf}',
    "name": 'm: {provider: llamacpp, model: smollm3}',
    "variable": 'm: {provider: openai, model: x, base_url: "http://127.0.0.1:1/v1", api_key: "${ARCHLOOM_TEST_UNSET}"}',
}  # fmt: skip


class BadModel(NamedTuple):
    model: str
    exit_code: int
    code: str
    says: str


BAD_MODELS = {
    "missing model file": BadModel("file", 1, "E301", "There is no file 'none.gguf'."),
    "name in no registry": BadModel("name", 2, "E001", "No model 'smollm3' in the registry; it has smollm2-135m"),
    "missing variable": BadModel("variable", 2, "E001", "'ARCHLOOM_TEST_UNSET' is not set."),
}


@pytest.mark.parametrize("command", ["plan", "run", "eval", "search"])
@pytest.mark.parametrize("bad", BAD_MODELS.values(), ids=BAD_MODELS)
def test_unusable_model_is_found_before_anything_is_written(
    cli: Cli, folder: Path, bad: BadModel, command: str
) -> None:
    source = "space.yaml" if command == "search" else "good.yaml"
    _with_model(folder, source, MODELS[bad.model])
    before = _files(folder)
    code, out, err = cli(*COMMANDS[command], *(["--search-tasks=2", "--report-tasks=2"] if command == "search" else []))
    assert (code, out) == (bad.exit_code, "")
    assert bad.says in err
    assert f"[archloom-{bad.code}]" in err
    assert _files(folder) == before


def test_model_that_only_a_choice_names_is_checked_too(cli: Cli, folder: Path) -> None:
    text = (folder / "space.yaml").read_text()
    text = text.replace("models:", "models:\n  other: {provider: llamacpp, model: ./none.gguf}")
    (folder / "w.yaml").write_text(text.replace("model: m", "model: {choose: [m, other]}"))
    before = _files(folder)
    code, _, err = cli("search", "w.yaml")
    assert code == 1
    assert "There is no file 'none.gguf'." in err
    assert _files(folder) == before


def test_model_that_no_node_asks_need_not_be_there(cli: Cli, folder: Path) -> None:
    _with_model(folder, "good.yaml", MODELS["file"] + "\n  n: {provider: scripted}")
    assert cli("run", "w.yaml", "q", "--set", "nodes.draft.model=n")[0] == 0


def test_weights_that_were_not_pulled_say_how_to_get_them(cli: Cli, folder: Path) -> None:
    _with_model(folder, "good.yaml", "m: {provider: llamacpp}")
    code, out, err = cli("run", "w.yaml", "q")
    assert (code, out) == (1, "")
    assert "Fetch them: archloom models pull smollm2-135m-instruct  [archloom-E301]" in err


@pytest.mark.parametrize("command", [("models", "list"), ("run", "w.yaml", "q")], ids=" ".join)
def test_weights_with_other_bytes_are_refused(cli: Cli, folder: Path, command: tuple[str, ...]) -> None:
    _with_model(folder, "good.yaml", "m: {provider: llamacpp}")
    _broken_weights(folder)
    code, out, err = cli(*command)
    assert (code, out) == (1, "")
    assert "SmolLM2-135M-Instruct.Q4_1.gguf: its sha256 starts with" in err
    assert "archloom models pull smollm2-135m-instruct  [archloom-E302]" in err


def test_doctor_names_broken_weights(cli: Cli, folder: Path) -> None:
    _broken_weights(folder)
    code, out, _ = cli("doctor")
    assert code == 1
    assert "MISS  weights:" in out
    assert "sha256" in out


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine where nothing listens: it is held, so that nothing else can listen there either."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def down(folder: Path, closed_port: int) -> str:
    """A model whose endpoint is down."""
    return f'm: {{provider: openai, model: x, base_url: "http://127.0.0.1:{closed_port}/v1", retries: 0}}'


def test_endpoint_that_is_down_fails_a_run(cli: Cli, folder: Path, down: str, closed_port: int) -> None:
    _with_model(folder, "good.yaml", down)
    code, out, err = cli("run", "w.yaml", "q")
    assert (code, out) == (1, "")
    assert f"127.0.0.1:{closed_port}" in err
    assert "cannot be reached" in err
    assert "[archloom-E" in err


@pytest.mark.parametrize("command", ["eval", "search"])
def test_endpoint_that_is_down_gives_no_result(cli: Cli, folder: Path, down: str, command: str) -> None:
    """Scores of zero for everybody would look like a comparison, and 'one call' would win it."""
    _with_model(folder, "space.yaml" if command == "search" else "good.yaml", down)
    sizes = ["--search-tasks=4", "--report-tasks=4"] if command == "search" else []
    code, out, err = cli(*COMMANDS[command], *sizes, "--out", "r")
    assert (code, out) == (1, "")
    assert "cannot be reached" in err
    assert "[archloom-E" in err
    assert _files(folder / "r") <= {"events.jsonl"}


def test_what_failed_is_tried_again_once_the_endpoint_is_up(cli: Cli, folder: Path) -> None:
    failing = (folder / "space.yaml").read_text().replace("tokens: 20", "tokens: 20, fail: 1, retries: 0")
    (folder / "w.yaml").write_text(failing)
    assert cli("eval", "w.yaml", "--set", "nodes.draft.samples=1", "--out", "r")[0] == 1
    events = (folder / "r/events.jsonl").read_text()
    assert '"error":"E401"' in events
    code, _, err = cli("eval", "w.yaml", "--set", "nodes.draft.samples=1", "--out", "r")
    assert code == 1
    assert "All 24 cells failed" in err
    assert len((folder / "r/events.jsonl").read_text().splitlines()) > len(events.splitlines()) + 24


class BadTasks(NamedTuple):
    spec: str
    code: str
    says: str


BAD_TASKS = {
    "unknown prefix": BadTasks("zebra:dev", "E201", "unknown task set 'zebra:dev'."),
    "unknown suffix": BadTasks("tasks.csv", "E201", "unknown task set 'tasks.csv'."),
    "unknown generator": BadTasks("reasoning_gym:prodcuts", "E201", "no generator 'prodcuts'"),
    "unknown parameter": BadTasks("simulated:t?sise=4", "E201", "Did you mean 'size'?"),
    "bad parameter": BadTasks("simulated:t?size=many", "E200", "size='many'"),
    "missing file": BadTasks("none.jsonl", "E202", "none.jsonl: no such file"),
    "empty file": BadTasks("empty.jsonl", "E202", "empty.jsonl: the file is empty."),
    "a line that is not JSON": BadTasks("broken.jsonl", "E202", "broken.jsonl:2:18: not JSON"),
    "a line without an answer": BadTasks("partial.jsonl", "E202", "partial.jsonl:2"),
    "not text": BadTasks("binary.jsonl", "E202", "binary.jsonl: cannot be read"),
}


@pytest.mark.parametrize("command", ["plan", "eval", "search"])
@pytest.mark.parametrize("bad", BAD_TASKS.values(), ids=BAD_TASKS)
def test_bad_task_set_is_refused(cli: Cli, folder: Path, bad: BadTasks, command: str) -> None:
    (folder / "empty.jsonl").write_text("")
    (folder / "broken.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question": "b" \n')
    (folder / "partial.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question": "b"}\n')
    (folder / "binary.jsonl").write_bytes(b"\xff\xfe\n")
    before = _files(folder)
    code, out, err = cli(command, "space.yaml" if command != "eval" else "sim.yaml", "--tasks", bad.spec)
    assert (code, out) == (2, "")
    assert bad.says in err
    assert f"[archloom-{bad.code}]" in err
    assert _files(folder) == before


class BadCommand(NamedTuple):
    arguments: str
    says: str


BAD_COMMANDS = {
    "unknown command": BadCommand("optimise space.yaml", "No such command 'optimise'"),
    "unknown option": BadCommand("run good.yaml q --temperature 1", "No such option"),
    "missing argument": BadCommand("run good.yaml", "Missing argument"),
    "unknown format": BadCommand("graph good.yaml --format png", "'png' is not one of"),
    "limit of nothing": BadCommand("eval sim.yaml --max-tokens 0", "Invalid value for '--max-tokens'"),
    "dollars below zero": BadCommand("eval sim.yaml --max-usd -1", "-1 is not above 0"),
    "dollars that are no number": BadCommand("search space.yaml --max-usd nan", "nan is not above 0"),
    "seconds below zero": BadCommand("search space.yaml --max-seconds -1", "-1 is not above 0"),
    "one search task": BadCommand("search space.yaml --search-tasks 1", "Invalid value for '--search-tasks'"),
    "open choices at run": BadCommand("run space.yaml q", "1 choices are open: nodes.draft.samples."),
    "open choices at eval": BadCommand("eval space.yaml", "1 choices are open: nodes.draft.samples."),
    "nothing to search": BadCommand("search sim.yaml", "no choice is open"),
    "no tasks to evaluate on": BadCommand("eval good.yaml", "there is no task set. Name one with --tasks."),
    "more tasks than there are": BadCommand("search space.yaml --report-tasks 17", "cannot be split into 8 and 17"),
    "unknown optimizer": BadCommand("search space.yaml --optimizer rase", "There is no optimizer 'rase'. Did you mean 'race'?"),
    "unknown option of an optimizer": BadCommand("search space.yaml --set search.options={x:\u00a01}", "Options of optimizer 'race': x:"),
    "no question": BadCommand("run good.yaml ", "there is no question"),
    "override without value": BadCommand("run good.yaml q --set nodes.draft.samples", "write PATH=VALUE"),
    "override that is not YAML": BadCommand("run good.yaml q --set name=[", "--set 'name=[': not YAML"),
    "override through a number": BadCommand("run good.yaml q --set nodes.draft.samples.x=1", "nodes.draft.samples has no entries"),
    "override of an unknown field": BadCommand("run good.yaml q --set nodes.draft.sampels=1", "Did you mean 'samples'?"),
    "override that opens a choice": BadCommand("run good.yaml q --set nodes.draft.samples={choose:\u00a0[1]}", "1 choices are open"),
    "missing workflow": BadCommand("run none.yaml q", "none.yaml:1:1: cannot be read: No such file"),
    "a folder as workflow": BadCommand("run . q", "cannot be read: Is a directory"),
    "no finished search": BadCommand("report here", "here: there is no finished search."),
    "a report that is none": BadCommand("report .", "report.json: not a report of this version"),
    "no store": BadCommand("store stats", "there is no sample store."),
    "unknown weights": BadCommand("models pull smollm3", "No model 'smollm3' in the registry"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_COMMANDS.values(), ids=BAD_COMMANDS)
def test_bad_command_is_refused(cli: Cli, folder: Path, bad: BadCommand) -> None:
    (folder / "report.json").write_text("{}")
    before = _files(folder)
    code, out, err = cli(*(word.replace("\u00a0", " ") for word in bad.arguments.split(" ")))
    assert (code, out) == (2, "")
    assert bad.says in " ".join(err.replace("│", " ").split())
    assert _files(folder) == before


def test_budget_too_small_for_one_call_fails_a_run(cli: Cli) -> None:
    code, out, err = cli("run", "good.yaml", "q", "--set", "budget.tokens=1")
    assert (code, out) == (1, "")
    assert "the budget has no room for another call.  [archloom-E410]" in err
    assert "best so far" not in err


@pytest.mark.parametrize("command", ["eval sim.yaml", "search space.yaml"])
def test_budget_too_small_for_one_call_gives_no_result(cli: Cli, folder: Path, command: str) -> None:
    code, out, err = cli(*command.split(), "--max-tokens", "20", "--out", "r")
    assert (code, out) == (1, "")
    assert "Nothing was observed before the budget ended" in err
    assert "'archloom plan' says what a task may cost.  [archloom-E601]" in err
    assert _files(folder / "r") == {"events.jsonl"}


OTHER_RUNS = {
    "another seed": ("search space.yaml", "search space.yaml --seed 1", "tasks, seed"),
    "another document": ("search space.yaml", "search space.yaml --set nodes.draft.temperature=0.9", "document"),
    "another command": ("search space.yaml", "eval sim.yaml", "tasks, workflows"),
    "other tasks": ("eval sim.yaml --limit 4", "eval sim.yaml --limit 5", "tasks"),
}  # fmt: skip


@pytest.mark.parametrize(("first", "second", "different"), OTHER_RUNS.values(), ids=OTHER_RUNS)
def test_folder_of_another_run_is_left_as_it_is(
    cli: Cli, folder: Path, first: str, second: str, different: str
) -> None:
    assert cli(*first.split(), "--out", "r")[0] == 0
    before = _contents(folder / "r")
    code, out, err = cli(*second.split(), "--out", "r")
    assert (code, out) == (2, "")
    assert f"r: holds another run; different: {different}." in err
    assert "Name another folder with --out, or remove this one.  [archloom-E320]" in err
    assert _contents(folder / "r") == before


PLACES = {
    "run folder": ("eval sim.yaml --limit 2 --out good.yaml", 2),
    "store": ("run good.yaml q --store good.yaml", 1),
    "folder of init": ("init good.yaml", 1),
}


@pytest.mark.parametrize(("command", "exit_code"), PLACES.values(), ids=PLACES)
def test_file_in_the_way_is_left_as_it_is(cli: Cli, folder: Path, command: str, exit_code: int) -> None:
    before = (folder / "good.yaml").read_text()
    code, out, err = cli(*command.split())
    assert (code, out) == (exit_code, "")
    assert "archloom: good.yaml: " in err
    assert (folder / "good.yaml").read_text() == before


def test_init_leaves_a_workflow_that_is_there(cli: Cli, folder: Path) -> None:
    (folder / "workflow.yaml").write_text("mine")
    code, _, err = cli("init")
    assert code == 2
    assert "workflow.yaml exists and is left as it is." in err
    assert (folder / "workflow.yaml").read_text() == "mine"


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _with_model(folder: Path, source: str, model: str) -> None:
    lines = (folder / source).read_text().splitlines()
    [place] = [number for number, line in enumerate(lines) if line.startswith("  m: ")]
    lines[place] = f"  {model}"
    (folder / "w.yaml").write_text("\n".join(lines))


def _broken_weights(folder: Path) -> None:
    models = folder.parent / "home/models"
    models.mkdir(parents=True)
    (models / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"other bytes")

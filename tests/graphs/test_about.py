"""What the library says about its graphs is there, is well formed, and counts calls as runs do."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import yaml

from archloom.graphs import (
    CallRange,
    Document,
    ModelSpec,
    ScriptedModel,
    library_graph,
    library_names,
    library_technique,
)
from archloom.nodes import Messages, Task
from archloom.orchestrator import ModelPool, Workflow, configuration_of
from archloom.orchestrator.models import Client, MemoryStore, ScriptedClient, open_client
from archloom.tasks import load_tasks

NAMES = library_names()
Models = Mapping[str, dict[str, Any]]


@pytest.mark.parametrize("name", NAMES)
def test_graph_says_where_it_is_from_what_it_needs_and_costs_and_when_it_helps_and_hurts(name: str) -> None:
    """A graph without an ``about`` like that of ``library/self_consistency`` fails here with what is missing."""
    technique = library_technique(name)
    assert f"library/{technique.name}" == name
    assert "et al." not in technique.doc, "the source stands under 'about'"


@pytest.mark.parametrize("name", NAMES)
def test_cost_is_said_in_terms_of_parameters(name: str) -> None:
    technique = library_technique(name)
    named = re.findall(r"`(\w+)`", technique.about.cost)
    assert set(named) <= set(technique.parameters)


@pytest.mark.parametrize("wrong", [{"helps": " "}, {"source": "A paper"}, {"price": "high"}, {"calls": [1]}], ids=repr)
def test_a_fact_that_is_empty_or_unknown_is_refused(wrong: dict[str, Any]) -> None:
    about = library_technique(NAMES[0]).about
    assert type(about).model_validate(about.model_dump()) == about
    with pytest.raises(ValueError, match=next(iter(wrong))):
        type(about).model_validate({**about.model_dump(), **wrong})


def simulated(name: str, **fields: Any) -> dict[str, Any]:
    return {"provider": "simulated", "model": name, "tokens": 20, **fields}


def scripted(name: str, *replies: str, **rules: list[str]) -> dict[str, Any]:
    return {"provider": "scripted", "model": name, "replies": list(replies), "rules": rules}


CALM: Models = {
    "model": simulated("model", skill=[1000, 1]),
    "judge": simulated("judge", hit=1.0, false_alarm=1.0),
}
"""All answers are the same, and each of them is accepted."""
HARD: Models = {
    "model": simulated("model", skill=[1, 1000], wrong_answers=10**6, wrong_skew=0.0),
    "judge": simulated("judge", hit=0.0, false_alarm=0.0),
    "fast": scripted("fast", "Verdict: correct", "Verdict: incorrect"),
}
"""No two answers are the same, none is accepted, and a fast verifier is of two minds about each."""
LINK = scripted("linker", '{"singer": ["name"]}')
SQL: tuple[Models, Models] = (
    {
        **dict.fromkeys(("model", "second_model", "third_model"), scripted("writer", "SELECT 1 AS {}")),
        "judge": scripted("judge", "Verdict: correct"),
        "linker": LINK,
    },
    {
        "model": scripted("writer 1", "SELECT 1 AS {} FROM nowhere"),
        "second_model": scripted("writer 2", "SELECT 2 AS {} FROM nowhere"),
        "third_model": scripted("writer 3", "SELECT 3 AS {} FROM nowhere"),
        "judge": scripted("judge", "Verdict: incorrect", **{"Better: 2$": ["Better: 1"]}),
        "linker": LINK,
    },
)
"""All queries find the same; none runs."""
BOTH: Mapping[str, Models] = {
    "archon_code_tests": {
        "model": scripted("model", "```python\ndef double(n):\n    return 2 * n\n```"),
        "judge": scripted("judge", "assert double(2) == 4"),
    },
    "archon_tests": {"judge": scripted("judge", "1. It names a number.", **{"### Tests": ["Test 1: passed"]})},
    "self_eval_adaptive": {"judge": simulated("judge", hit=1.0, false_alarm=0.0)},
    "cot_pot": {"translator": scripted("translator", "```python\nhalf = 20\nprint(half + 22)\n```")},
}
"""Models of graphs that ask for what simulated models do not write, or for other judgements."""
ONE_STEP = scripted("model", "1. What is it?\n\nClass: easy")
SIX_STEPS = scripted("model", "\n".join(f"{n}. What is number {n}?" for n in range(1, 7)) + "\n\nClass: hard")
LONG = simulated("model", skill=[1, 1000], wrong_answers=10**6, wrong_skew=0.0) | {"tokens": 10**5}
CASES: Mapping[str, tuple[Models, Models]] = {
    "scale_select": ({"model": ONE_STEP}, {"model": SIX_STEPS}),
    "self_eval_prune": ({}, {"model": LONG}),
    "solve_detect_verify_open": ({}, {"model": LONG}),
}
"""The same, where the calmest and the hardest task are told apart by them."""


@pytest.fixture
def tasks(tmp_path: Path) -> Mapping[str, Task]:
    """A task for programs, one for queries, and one for numbers."""
    path = tmp_path / "concert.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE singer (id INTEGER PRIMARY KEY, name TEXT)")
    return {
        "code": Task.ask("Write double(n).", language="python", entry_point="double"),
        "sql": Task.ask("Name one.", asked="Name one.", database=str(path), dialect="sqlite"),
        "number": load_tasks("simulated:about?size=1").examples[0].task,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
async def test_calls_are_as_many_as_is_said_on_the_calmest_and_on_the_hardest_task(
    name: str, tasks: Mapping[str, Task]
) -> None:
    technique = library_technique(name)
    kind = {"Text2SQL": "sql"}.get(technique.about.group, "code" if "code" in name else "number")
    own = BOTH.get(technique.name, {})
    calm, hard = CASES.get(technique.name, ({}, {}))
    worlds = SQL if kind == "sql" else ({**CALM, **own, **calm}, {**HARD, **own, **hard})
    counted = [await _calls(name, models, kind, tasks[kind]) for models in worlds]
    assert CallRange(min(counted), max(counted)) == technique.about.calls


async def _calls(name: str, models: Models, kind: str, task: Task) -> int:
    needed = [key for key, each in library_technique(name).parameters.items() if each.required]
    given = {key: key if key in models else _stand_in(key) for key in needed}
    nodes = {"x": {"use": name, "with": given}}
    answer = {"code": "text"}.get(kind, kind)
    data = {"archloom": 1, "answer": answer, "models": dict(models), "nodes": nodes, "output": "x"}
    configuration = configuration_of(Document.parse(yaml.safe_dump(data)))
    async with ModelPool(MemoryStore(), client=_client) as pool:
        return (await Workflow(configuration, pool=pool).arun(task)).usage.calls


def _client(spec: ModelSpec) -> Client:
    if isinstance(spec, ScriptedModel) and spec.model.startswith("writer"):
        return ScriptedClient(spec, partial(_query, spec.replies[0]))
    return open_client(spec, environ={})


def _query(text: str, messages: Messages, index: int) -> str:
    """Another one each time, because what is asked twice word for word is one call."""
    name = f"c{crc32(repr(messages).encode())}_{index}"
    return f"```sql\n{text.format(name)}\n```"


def _stand_in(parameter: str) -> str:
    return "judge" if parameter in {"fast", "slow", "aggregator"} else "model"


def test_facts_do_not_change_a_workflow() -> None:
    """They stand beside the nodes; what a document makes of a graph has no trace of them."""
    assert "about" in library_graph("library/self_consistency")
    data = {"archloom": 1, "models": {"m": CALM["model"]}, "output": "x"}
    use = {"use": "library/self_consistency", "with": {"model": "m"}}
    used = Document.parse(yaml.safe_dump({**data, "nodes": {"x": use}}))
    draft = {"type": "generator", "model": "m", "samples": 8, "temperature": 0.7, "max_tokens": 512}
    written = Document.parse(yaml.safe_dump({**data, "nodes": {"d": draft, "x": {"type": "vote", "after": "d"}}}))
    assert configuration_of(used).id == configuration_of(written).id

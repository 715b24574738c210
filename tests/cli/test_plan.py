"""``archloom plan``: bounds that hold, and what the store already has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def _plan(cli: Cli, *arguments: str) -> Any:
    code, out, err = cli("plan", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_plan_of_one_question(cli: Cli) -> None:
    plan = _plan(cli, "good.yaml")
    assert (plan["tasks"], plan["calls"], plan["cost_usd"]) == (1, [3, 3], [0, 0])
    assert plan["tokens"][1] == 3 * (5 + 512)
    assert [(node["node"], node["type"], node["calls"]) for node in plan["nodes"]] == [
        ("draft", "generator", [3, 3]),
        ("answer", "vote", [0, 0]),
    ]
    assert (plan["nodes"][0]["stored"], plan["nodes"][0]["missing"]) == (0, 3)
    assert plan["without_price"] == ["m"]
    assert plan["cost_models"] == {"m": "price: none; FLOPs: none"}
    assert plan["seconds"] is None


def test_plan_makes_no_call_and_no_file(cli: Cli, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    assert cli("plan", "sim.yaml")[0] == 0
    assert sorted(folder.rglob("*")) == before


def test_real_cost_is_within_the_plan_and_then_in_the_store(cli: Cli) -> None:
    plan = _plan(cli, "sim.yaml", "--limit", "6")
    assert (plan["tasks"], plan["nodes"][0]["missing"]) == (6, 30)
    code, out, _ = cli("eval", "sim.yaml", "--limit", "6", "--no-baselines", "--json")
    assert code == 0
    paid = json.loads(out)["charged"]
    tokens = paid["tokens_in"] + paid["tokens_out"]
    assert plan["calls"] == [paid["calls"]] * 2
    assert plan["tokens"][0] < tokens < plan["tokens"][1]
    assert plan["cost_usd"][0] < paid["cost_usd"] < plan["cost_usd"][1]
    after = _plan(cli, "sim.yaml", "--limit", "7")
    assert (after["nodes"][0]["stored"], after["nodes"][0]["missing"]) == (30, 5)
    assert after["seconds"][0] > 0


def test_plan_of_a_space_spans_its_configurations(cli: Cli) -> None:
    plan = _plan(cli, "space.yaml")
    assert (plan["configurations"], plan["tasks"]) == (2, 24)
    assert plan["calls"] == [24 * 1, 24 * 3]
    assert plan["dearest"]["calls"] == [24 * 3, 24 * 3]
    small = _plan(cli, "space.yaml", "--set", "nodes.draft.samples=1")
    assert plan["tokens"][0] == small["tokens"][0]


def test_plan_of_a_space_too_large_to_list(cli: Cli, folder: Path) -> None:
    text = (folder / "space.yaml").read_text()
    text = text.replace("{choose: [1, 3]}", "{range: [1, 40], step: 1}")
    text = text.replace("temperature: 0.5", "temperature: {range: [0, 1], step: 0.02}")
    (folder / "w.yaml").write_text(text.replace("max_tokens: 64", "max_tokens: {range: [10, 30], step: 1}"))
    plan = _plan(cli, "w.yaml", "--limit", "1")
    assert plan["configurations"] == 40 * 51 * 21
    assert 1 <= plan["calls"][0] < 20 < plan["calls"][1] <= 40


def test_plan_as_text(cli: Cli) -> None:
    code, out, _ = cli("plan", "good.yaml")
    assert code == 0
    assert "good.yaml: 1 tasks" in out
    assert "0 of 3" in out
    assert "time: unknown: nothing of this model is in the store yet" in out
    assert "costs of m: price: none; FLOPs: none" in out
    assert "counted as free (no price): m" in out
    code, out, _ = cli("plan", "space.yaml")
    assert code == 0
    assert "space.yaml: 2 configurations, 24 tasks" in out
    assert "one of them on all tasks: 24 .. 72 calls" in out

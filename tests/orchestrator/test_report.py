"""The page shows what it was given, reaches for nothing else, and lets no name become markup."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from pydantic import ValidationError

from archloom.graphs import Drawing, DrawnNode
from archloom.orchestrator._report import render_report
from archloom.orchestrator._report_data import (
    Ablation,
    ConvergencePoint,
    Dropped,
    Effect,
    Interval,
    Judge,
    ReportData,
    Row,
    Scaling,
    TaskRow,
)

VOID = {"meta", "input", "br"}
DRAWN = {"line", "circle", "rect", "path"}  # the page closes these in place


class Page(HTMLParser):
    """The parsed page; fails on tags that do not match."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.source = source
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))

    @property
    def text(self) -> str:
        """What a reader sees, roughly."""
        return " ".join(" ".join(t for tag, t in self.texts if tag not in {"style", "script", "title"}).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [a for t, a in self.tags if t == tag and attributes.items() <= a.items()]

    def having(self, name: str) -> list[str]:
        """Values of one attribute, wherever it stands."""
        return [a[name] for _, a in self.tags if name in a]


def row(name: str = "check n=8", **changes: object) -> Row:
    values: dict[str, object] = {
        "name": name,
        "config_id": "f770c226",
        "summary": "samples 8 · T 0.6 · check",
        "role": "winner",
        "tasks": 48,
        "score": 0.9583,
        "interval": Interval(low=0.86, high=0.988),
        "tokens": 471.0,
        "cost_usd": 0.0,
        "latency_s": 1.31,
        "calls": 8.0,
    }
    return Row.model_validate(values | changes)


def report(**changes: object) -> ReportData:
    values: dict[str, object] = {
        "title": "One-digit products",
        "created": "2026-03-14 09:26 UTC",
        "objective": "maximize score",
        "rule_for_failures": "a failed cell scores 0",
        "verdict": "The winner beats a single call by 50.0 points [33.3, 64.6].",
    }
    return ReportData.model_validate(values | changes)


FULL = report(
    subtitle="36 search tasks",
    rows=(
        row(
            matched="self-consistency n=8",
            matched_difference=0.104,
            matched_interval=Interval(low=-0.021, high=0.208),
            searched_score=0.972,
            searched_tasks=36,
            missing=2,
        ),
        row("check n=2", role="front", score=0.646, interval=Interval(low=0.5, high=0.77), tokens=119.0),
        row("single call", role="baseline", score=0.458, interval=None, tokens=58.6, calls=1.0),
        row(
            "judge n=6",
            role="tried",
            tasks=0,
            score=None,
            interval=None,
            searched_score=0.731,
            searched_tasks=12,
        ),
    ),
    front=("check n=2", "check n=8"),
    convergence=(
        ConvergencePoint(tokens=1_000, cost_usd=0, best_score=0.4, cells=10),
        ConvergencePoint(tokens=2_000, cost_usd=0, best_score=0.4, cells=20),
        ConvergencePoint(tokens=3_000, cost_usd=0, best_score=0.7, cells=31),
        ConvergencePoint(tokens=9_000, cost_usd=0, best_score=0.7, cells=2_204),
    ),
    winner_drawing=Drawing((DrawnNode("draft", "generator", "tiny ×8", heat=1.0),), (), "draft"),
    winner_yaml="archloom: 1\nnodes: {}\n",
    heat_note="Colour: share of the tokens.",
    tasks=(
        TaskRow(
            id="mul-07",
            question="What is 7 times 8?",
            scores={"check n=8": 1.0, "single call": 0.0, "check n=2": None, "judge n=6": 0.25},
            answers={"check n=8": "56", "single call": "54"},
        ),
    ),
    noise_floor=0.061,
    noise_floor_note="expected lead of the best of 24",
    facts=(("Model", "smollm2-135m-instruct"), ("Charged", "118,402 tokens")),
    dropped=(Dropped(name="judge n=6", reason="dominated by check n=2", tasks=12),),
    notes=("The model has no price.",),
)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render_report(FULL))


# --- what it shows


@pytest.mark.parametrize(
    "words",
    [
        "The winner beats a single call by 50.0 points [33.3, 64.6].",
        "95.8 % [86.0, 98.8] on 48 held-out tasks, 2 missing",
        "+10.4 [−2.1, 20.8] points against self-consistency n=8",
        "471 tokens 8 calls · 1.31 s · $0",
        "6.1 points expected lead of the best of 24",
        "Objective: maximize score. Failures: a failed cell scores 0.",
        "single call samples 8 · T 0.6 · check f770c226 45.8 48",
        "archloom: 1 nodes: {}",
        "Colour: share of the tokens.",
        "mul-07 What is 7 times 8? 1 – 0 0.25",
        "judge n=6 12 dominated by check n=2",
        "Model smollm2-135m-instruct Charged 118,402 tokens",
        "The model has no price.",
    ],
)
def test_the_page_says(page: Page, words: str) -> None:
    assert words in page.text


def test_an_interval_in_a_sentence_stays_on_one_line(page: Page) -> None:
    assert "[33.3,\u00a064.6]" in page.source


def test_a_configuration_that_never_saw_held_out_tasks_has_no_score(page: Page) -> None:
    assert "judge n=6 samples 8 · T 0.6 · check f770c226 – 0 –" in page.text
    assert "73.1 12 tasks" in page.text


def test_hovering_tells_name_choices_and_numbers(page: Page) -> None:
    tips = page.having("data-tip")
    assert (
        "check n=8\nsamples 8 · T 0.6 · check\nscore 95.8 [86.0, 98.8] on 48 held-out tasks\n"
        "471 tokens, 8 calls, $0, 1.31 s per task"
    ) in tips
    assert any("score 73.1 on 12 search tasks only" in tip for tip in tips)


def test_convergence_marks_each_rise_and_the_end(page: Page) -> None:
    assert [tip for tip in page.having("data-tip") if "charged" in tip] == [
        "40.0 on the search tasks\n1,000 tokens, $0 charged, 10 cells",
        "70.0 on the search tasks\n3,000 tokens, $0 charged, 31 cells",
        "70.0 on the search tasks\n9,000 tokens, $0 charged, 2,204 cells",
    ]
    assert "US dollars charged" not in page.text


def test_convergence_is_drawn_per_dollar_too_where_any_was_paid() -> None:
    paid = tuple(at.model_copy(update={"cost_usd": at.tokens * 2e-6}) for at in FULL.convergence)
    page = Page(render_report(report(convergence=paid)))
    assert len([tip for tip in page.having("data-tip") if "$0.0060 charged" in tip]) == 2
    assert "charged tokens" in page.text
    assert "US dollars charged" in page.text


FINDINGS = report(
    rows=(
        row(
            matched="self-consistency n=8",
            matched_difference=0.104,
            matched_interval=Interval(low=-0.021, high=0.208),
            matched_p_value=0.0312,
            may_be_best=True,
            searched_score=0.9,
            searched_tasks=36,
            corrected_score=0.842,
        ),
        row("b", role="front", may_be_best=False, matched_difference=0.5, matched_p_value=0.0000004),
    ),
    winner_drawing=FULL.winner_drawing,
    importance=(
        Effect(
            choice="draft.samples",
            share=0.615,
            share_interval=Interval(low=0.44, high=0.779),
            best="9",
            worst="1",
            gap=0.262,
            gap_interval=Interval(low=0.195, high=0.329),
        ),
    ),
    ablations=(Ablation(node="review", score=0.717, lost=0.2, interval=Interval(low=-0.1, high=0.3), tokens=531),),
    judges=(
        Judge(
            node="review",
            configuration="check n=8",
            right=279,
            wrong=1261,
            hit=0.875,
            hit_interval=Interval(low=0.828, high=0.91),
            false_alarm=0.18,
            false_alarm_interval=Interval(low=0.138, high=0.231),
            limit=1,
        ),
        Judge(node="tests", configuration="b", right=3, wrong=4, hit=1.0, false_alarm=0.0),
        Judge(node="never", configuration="b", right=3, wrong=0, hit=1.0, false_alarm=None),
    ),
    scaling=(
        Scaling(
            family="×1 and dearer",
            choice="draft.samples",
            points=5,
            lowest=40,
            highest=1200,
            ceiling=0.871,
            error=0.012,
            saturation=612.4,
        ),
        Scaling(
            family="×1 T1 and dearer",
            choice="draft.samples",
            points=4,
            lowest=40,
            highest=600,
            ceiling=1.0,
            error=0.03,
            saturation=None,
        ),
    ),
)


@pytest.mark.parametrize(
    "words",
    [
        "95.8 [86.0, 98.8] may be the best",
        "+10.4 [−2.1, 20.8], p = 0.031 self-consistency n=8",
        "36 tasks promise 84.2",
        "draft.samples 61.5 [44.0, 77.9] 9 1 +26.2 [+19.5, +32.9]",
        "review +20.0 [−10.0, +30.0] 71.7 531",
        "review in check n=8 87.5 [82.8, 91.0] 18.0 [13.8, 23.1] 279 1,261 1 sample",
        "tests in b 100 0.0 3 4 not up to 1,000",
        "never in b 100 – 3 0 –",
        "×1 and dearer by draft.samples 5 40–1,200 612 87.1 1.2",
        "×1 T1 and dearer by draft.samples 4 40–600 not reached 100 3.0",
    ],
)
def test_the_page_says_what_was_found_out(words: str) -> None:
    assert words in Page(render_report(FINDINGS)).text.replace("\u00a0", " ")


def test_sections_without_findings_are_left_out(page: Page) -> None:
    found = Page(render_report(FINDINGS))
    for section in ("choices", "judges", "scaling"):
        assert found.all("section", id=section)
        assert found.all("a", href=f"#{section}")
        assert not page.all("section", id=section)
        assert not page.all("a", href=f"#{section}")


def test_the_graph_is_drawn_in_the_page(page: Page) -> None:
    assert page.all("svg", **{"class": "al-graph"})


def test_a_cost_that_nobody_paid_is_no_choice_of_axis() -> None:
    free = Page(render_report(FULL))
    priced = Page(render_report(report(rows=(row(cost_usd=0.002), row("b", role="front")))))
    assert "Cost in Tokens Latency" in free.text
    assert "Cost in Tokens Cost Latency" in priced.text
    assert len(priced.all("input", type="radio")) == 3
    shaped = Page(render_report(report(rows=(row(flops=2e9, memory_bytes=1e9), row("other", role="tried")))))
    assert "Cost in Tokens Latency FLOPs Memory" in shaped.text
    every = Page(render_report(report(rows=(row(cost_usd=0.1, flops=2e9, memory_bytes=1e9),))))
    assert len(every.all("input", name="axis")) == 5
    for place in range(5):
        assert f"#axis-{place}:checked ~ .panel-{place}" in every.source


def test_the_costs_of_each_model_are_named() -> None:
    page = Page(render_report(report(cost_models=(("openai/toy", "price: document; FLOPs: none"),))))
    assert "Costs of openai/toy price: document; FLOPs: none" in page.text
    assert page.all("a", href="#facts")


def test_missing_cells_are_neither_right_nor_wrong(page: Page) -> None:
    cells = [a for a in page.all("td") if a.get("class", "").startswith("h")]
    assert [(cell["class"], cell["data-v"], cell.get("style")) for cell in cells] == [
        ("h strong", "1.0", "--s:10"),
        ("h none", "", None),
        ("h", "0.0", "--s:0"),
        ("h", "0.25", "--s:2"),
    ]
    assert [cell.get("title") for cell in cells] == ["56", None, "54", None]


# --- what it does not do


def test_the_page_needs_no_network(page: Page) -> None:
    assert [a for tag, a in page.tags if tag in {"link", "img", "iframe", "object", "embed", "base"}] == []
    assert all(href.startswith("#") for href in [*page.having("href"), *page.having("src")])
    assert set(re.findall(r"\w+://[^\s\"'<]+", page.source)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(", page.source)


def test_the_browser_may_run_the_page_s_own_script_and_nothing_else(page: Page) -> None:
    (script,) = (text for tag, text in page.texts if tag == "script")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert not [name for _, a in page.tags for name in a if name.startswith("on")]


def test_the_same_data_gives_the_same_bytes() -> None:
    assert render_report(FULL) == render_report(ReportData.model_validate_json(FULL.model_dump_json()))


EVIL = "</script></style></title><script>alert(1)</script><img src=x onerror=\"alert('2')\">{{ 7 * 7 }}"


def test_hostile_words_stay_words() -> None:
    drawing = Drawing((DrawnNode(EVIL, EVIL, EVIL),), (), EVIL)
    evil = report(
        **dict.fromkeys(("title", "subtitle", "created", "objective", "rule_for_failures", "verdict"), EVIL),
        **dict.fromkeys(("winner_yaml", "heat_note", "noise_floor_note"), EVIL),
        rows=(
            row(EVIL, config_id=EVIL, summary=EVIL, matched=EVIL, matched_difference=0.1),
            row("b", role="front"),
        ),
        front=(EVIL,),
        convergence=FULL.convergence,
        winner_drawing=drawing,
        tasks=(TaskRow(id=EVIL, question=EVIL, scores={EVIL: 1.0}, answers={EVIL: EVIL}),),
        noise_floor=0.0,
        facts=((EVIL, EVIL),),
        dropped=(Dropped(name=EVIL, reason=EVIL, tasks=0),),
        importance=tuple(
            e.model_copy(update={"choice": EVIL, "best": EVIL, "worst": EVIL}) for e in FINDINGS.importance
        ),
        ablations=tuple(each.model_copy(update={"node": EVIL}) for each in FINDINGS.ablations),
        judges=tuple(j.model_copy(update={"node": EVIL, "configuration": EVIL}) for j in FINDINGS.judges),
        scaling=tuple(law.model_copy(update={"family": EVIL, "choice": EVIL}) for law in FINDINGS.scaling),
        notes=(EVIL,),
    )
    tame = Page(render_report(report(**{**dict(evil), "title": "x"})))
    page = Page(render_report(evil))
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in tame.tags]
    assert page.text.count(EVIL) > 15
    assert page.all("td", title=EVIL)


# --- little or much to show


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(report(), id="nothing"),
        pytest.param(report(rows=(row(interval=None),), front=("check n=8",)), id="one without interval"),
        pytest.param(report(rows=(row(role="baseline"),)), id="no front"),
        pytest.param(report(rows=(row(score=0.0, interval=None, tokens=0.0, latency_s=0.0),)), id="all zero"),
        pytest.param(report(rows=(row(role="tried", score=None, interval=None),)), id="never scored"),
        pytest.param(report(rows=(row("a"), row("b"), row("c"))), id="all equal"),
        pytest.param(
            report(rows=(row(score=-3.5, interval=None), row("b", score=7.25, interval=None))),
            id="beyond 0 to 1",
        ),
        pytest.param(report(convergence=FULL.convergence[:1]), id="one step"),
        pytest.param(report(winner_yaml="archloom: 1"), id="no drawing"),
        pytest.param(
            report(
                rows=tuple(row(f"c{i}", tokens=10.0 * 1.5**i, score=i / 24, role="tried") for i in range(24)),
                tasks=tuple(
                    TaskRow(id=str(i), question="q" * 90, scores={f"c{j}": (i + j) % 2 for j in range(24)})
                    for i in range(300)
                ),
            ),
            id="300 tasks by 24",
        ),
    ],
)
def test_any_amount_can_be_shown(data: ReportData) -> None:
    page = Page(render_report(data))
    assert data.verdict.split(" [")[0] in page.text
    assert not re.search(r"\b(nan|inf|None|undefined)\b", page.text)
    for name in ("x", "y", "x1", "y1", "x2", "y2"):
        for value in page.having(name):
            if value.endswith("%"):
                assert -0.01 <= float(value[:-1]) <= 100.01


def test_configurations_that_only_the_search_saw_are_folded_where_they_are_many() -> None:
    few = [row(f"seen {i}", role="tried", score=None, interval=None, tasks=0) for i in range(20)]
    more = [*few, row("seen 20", role="tried", score=None, interval=None, tasks=0)]
    winner = row("winning", role="winner")
    assert "more that only the search saw" not in render_report(report(rows=(winner, *few)))
    page = render_report(report(rows=(winner, *more)))
    before, _, after = page.partition("<summary>21 more that only the search saw</summary>")
    assert before.endswith("<details>\n"), "closed"
    assert ">winning<" in before
    assert ">seen 3<" not in before
    assert all(after.count(f'data-v="{each.name}"') == 1 for each in more)


def test_a_long_list_of_what_was_dropped_is_folded() -> None:
    dropped = [Dropped(name=f"d{i}", reason="worse", tasks=3) for i in range(21)]
    assert "<details open>\n<summary>20 configurations</summary>" in render_report(report(dropped=tuple(dropped[:20])))
    assert "<details>\n<summary>21 configurations</summary>" in render_report(report(dropped=tuple(dropped)))


def test_many_tasks_are_folded_and_few_are_not() -> None:
    few = [TaskRow(id=str(i), question="?", scores={"a": 1.0}) for i in range(60)]
    more = [*few, TaskRow(id="60", question="?", scores={"a": 1.0})]
    assert "open" in Page(render_report(report(tasks=few))).all("details")[0]
    assert "open" not in Page(render_report(report(tasks=more))).all("details")[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"rows": (row("a"), row("a"))}, "two rows share a name", id="one name twice"),
        pytest.param({"rows": (row("a"),), "front": ("a", "b")}, r"without a row: \['b'\]", id="front of nobody"),
        pytest.param({"noise_floor": float("nan")}, "finite", id="not a number"),
    ],
)
def test_data_that_contradicts_itself_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        report(**changes)

"""One self-contained page about a search or an evaluation.

Whoever calls computes every number, from the run log; this module only says how a page shows them. The page
needs no network and says so to the browser: its content security policy allows its own script, by hash, and
nothing else.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from archloom.graphs import svg
from archloom.orchestrator._numbers import number, percent, points
from archloom.orchestrator._plot import Axis, Plot, Point, plot, rising, score_axis
from archloom.orchestrator._report_data import ConvergencePoint, Interval, ReportData, Row

_FEW = 20
"""Lines of a table beyond which what matters less is folded."""


class _Panel(NamedTuple):
    """One choice of the chart's horizontal axis."""

    choice: str
    unit: str
    plot: Plot


def render_report(data: ReportData) -> str:
    """The page: one HTML file that opens from disk and needs no network."""
    script = _source("report.js")
    environment = Environment(
        loader=PackageLoader("archloom.orchestrator", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "percent": percent,
        "points": points,
        "interval": _interval,
        "differs": _differs,
        "p_value": _p_value,
        "unbroken": _unbroken,
    }
    return environment.get_template("report.html.j2").render(
        data=data,
        panels=_panels(data),
        convergence=_convergence(data.convergence),
        scale=_score_scale(data.rows),
        folded=_folded(data.rows),
        few=_FEW,
        graph=Markup(svg(data.winner_drawing)) if data.winner_drawing else "",
        style=Markup(_source("report.css")),
        script=Markup(script),
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )


def _folded(rows: Sequence[Row]) -> tuple[Row, ...]:
    """What only the search saw, where that is so much that the page shows it when asked."""
    aside = tuple(row for row in rows if row.score is None and row.role != "winner")
    return aside if len(aside) > _FEW else ()


def _source(name: str) -> str:
    return (files("archloom.orchestrator") / name).read_text(encoding="utf-8")


def _panels(data: ReportData) -> list[_Panel]:
    """Score against tokens, and against other costs where anything was paid, measured or known."""
    costs = (
        ("Tokens", "deployed tokens per task", [row.tokens for row in data.rows]),
        ("Cost", "US dollars per task, deployed", [row.cost_usd for row in data.rows]),
        ("Latency", "seconds per task, deployed", [row.latency_s for row in data.rows]),
        ("FLOPs", "floating-point operations per task, deployed", [row.flops for row in data.rows]),
        ("Memory", "bytes read from memory per task, deployed", [row.memory_bytes for row in data.rows]),
    )
    panels = []
    for choice, unit, amounts in costs:
        known = [(row, x) for row, x in zip(data.rows, amounts, strict=True) if x is not None]
        dots = {row.name: dot for row, x in known if (dot := _dot(row, x)) is not None}
        front = [dots[row.name] for row, _ in known if row.name in data.front and row.score is not None]
        drawn = plot(list(dots.values()), rising(front))
        if drawn and (choice == "Tokens" or any(amounts)):
            panels.append(_Panel(choice, unit, drawn))
    return panels


def _dot(row: Row, x: float) -> Point | None:
    """Where a configuration lies: by its held-out score, or else by what the search saw of it."""
    if row.score is not None:
        score, interval, tasks = row.score, row.interval, f"{row.tasks} held-out tasks"
    elif row.searched_score is not None:
        score, interval, tasks = row.searched_score, None, f"{row.searched_tasks} search tasks only"
    else:
        return None
    tip = [
        row.name,
        row.summary,
        f"score {percent(score)}{' ' + _interval(interval) if interval else ''} on {tasks}",
        f"{number(row.tokens)} tokens, {number(row.calls)} call{'' if row.calls == 1 else 's'}, "
        f"${number(row.cost_usd)}, {number(row.latency_s)} s per task",
    ]
    return Point(
        x,
        score,
        row.role,
        tip="\n".join(line for line in tip if line),
        label="" if row.role == "tried" else row.name,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _convergence(history: Sequence[ConvergencePoint]) -> list[_Panel]:
    """The staircase of the best score, with a mark wherever it changed and at the end: per token, and per dollar where
    any was paid."""
    kept = [*history[:1], *(now for before, now in pairwise(history) if now.best_score != before.best_score)]
    if history and kept[-1] is not history[-1]:
        kept.append(history[-1])
    costs = (
        ("Tokens", "charged tokens", [float(at.tokens) for at in kept]),
        ("Cost", "US dollars charged", [at.cost_usd for at in kept]),
    )
    panels = []
    for choice, unit, amounts in costs:
        steps = [_step(at, x) for at, x in zip(kept, amounts, strict=True)]
        drawn = plot(steps, steps, log=False, onwards=False)
        if drawn and (choice == "Tokens" or any(amounts)):
            panels.append(_Panel(choice, unit, drawn))
    return panels


def _step(at: ConvergencePoint, x: float) -> Point:
    tip = (
        f"{percent(at.best_score)} on the search tasks\n"
        f"{number(at.tokens)} tokens, ${number(at.cost_usd)} charged, {at.cells:,} cells"
        f"{'' if at.hypervolume is None else f', hypervolume {at.hypervolume:.3f}'}"
    )
    return Point(x, at.best_score, "step", tip)


def _score_scale(rows: Sequence[Row]) -> Axis | None:
    values = [v for row in rows if row.score is not None for v in (row.score, *_ends(row.interval))]
    return score_axis(values) if values else None


def _ends(interval: Interval | None) -> tuple[float, ...]:
    return (interval.low, interval.high) if interval else ()


def _unbroken(text: str) -> str:
    """Keeps the intervals in a sentence on one line."""
    return re.sub(r"\[[^][]{,30}\]", lambda found: found[0].replace(" ", "\u00a0"), text)


def _differs(interval: Interval) -> str:
    """The interval of a difference, in points."""
    return f"[{points(interval.low)}, {points(interval.high)}]"


def _p_value(value: float) -> str:
    return "p\u00a0<\u00a00.001" if value < 0.001 else f"p\u00a0=\u00a0{value:.2g}"


def _interval(interval: Interval) -> str:
    return f"[{percent(interval.low)}, {percent(interval.high)}]"

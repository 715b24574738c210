"""What a search comes to, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from archloom.graphs import Measure, Objective
from archloom.search._findings import may_be_best
from archloom.search._held_out import Contender, HeldOut
from archloom.search._objective import cost_measures
from archloom.search._paired import Paired, paired


def verdict(held: HeldOut, objective: Objective) -> str:
    """What won, by how much, against what, in a few sentences; that nothing did, where the tasks cannot tell."""
    winner = held.winner
    id_ = winner.configuration.id
    if not held.cells.get(id_):
        return "The budget ended before the winner could be compared on held-out tasks."
    count = len(held.cells[id_])
    text = f"{_undecided(held, objective)}{winner.name} scores {_percent(mean_of(held, winner, 'value'))} on {count} "
    text += "held-out tasks"
    if mean_of(held, winner, "calls") <= 1:
        return f"{text}. One call of the model is best here: nothing dearer that was tried is recommended over it."
    for rival, label in _against(held):
        pair = paired(*held.paired(id_, rival.configuration.id))
        ratio = mean_of(held, winner, "tokens") / max(1e-9, mean_of(held, rival, "tokens"))
        text += f"; against {label} {gap_in_words(pair.difference)}{_exact(pair)} at {times(ratio)} its tokens"
    return f"{text}. Intervals are 95 %, paired over tasks."


def _undecided(held: HeldOut, objective: Objective) -> str:
    """What is to be said first when noise is all that the held-out tasks show, or when they contradict the search."""
    best = may_be_best(held)
    open_ = [held.contenders[id_] for id_, may_be in best.items() if may_be]
    if held.winner.configuration.id not in {contender.configuration.id for contender in open_}:
        names = f"{'among ' if len(open_) > 1 else ''}{', '.join(contender.name for contender in open_)}"
        return f"The held-out tasks contradict the search: with 95 % confidence the best is {names}. " if open_ else ""
    if len(open_) < len(best):
        return ""
    cheapest, cost = _cheapest(held, open_, objective)
    return (
        f"No significant difference: the {len(best)} configurations of the search that were compared cannot be told "
        f"apart (95 % model confidence set). The cheapest of them is {cheapest.name}: "
        f"{_percent(mean_of(held, cheapest, 'value'))} at {cost} per task. "
    )


def _cheapest(held: HeldOut, among: Sequence[Contender], objective: Objective) -> tuple[Contender, str]:
    """The one that costs least by the first cost that the objective names, else in tokens; and that cost in words."""
    measure: Measure = next(iter(cost_measures(objective)), "tokens")
    means = [fmean(cell.measure(measure) for cell in held.cells[c.configuration.id]) for c in among]
    least = min(range(len(among)), key=means.__getitem__)
    amount = f"{means[least]:,.0f}" if means[least] >= 100 else f"{means[least]:.3g}"
    unit = {"cost_usd": "${}", "latency_s": "{} s", "memory_bytes": "{} bytes"}.get(measure, f"{{}} {measure}")
    return among[least], unit.format(amount)


def _against(held: HeldOut) -> list[tuple[Contender, str]]:
    single = held.contenders.get(held.single or "")
    matched = held.contenders.get(held.winner.matched or "")
    pairs = [(single, "the best single call"), (matched, f"{matched.name} (matched tokens)" if matched else "")]
    return [(rival, label) for rival, label in pairs if rival and _common(held, rival)]


def _common(held: HeldOut, rival: Contender) -> bool:
    """Whether there is a task on which both ran; a budget may have ended before."""
    id_ = rival.configuration.id
    return id_ in held.cells and bool(held.paired(held.winner.configuration.id, id_)[0])


def remarks(held: HeldOut, objective: Objective, corrected: Mapping[str, float]) -> list[str]:
    """What is to be known beside the verdict.

    Args:
        held: The held-out comparison.
        objective: What was looked for.
        corrected: What the search tasks promise, by configuration.
    """
    notes = [
        "Every configuration is compared with self-consistency over its own first generator, with as many samples as "
        "cost the same tokens per task, on the same held-out tasks."
    ]
    if held.cut_short:
        names = "; ".join(contender.name for contender in held.cut_short)
        notes.append(
            f"The search budget ended before these had run on all held-out tasks: {names}. Comparisons with them are "
            "missing or rest on fewer tasks; the same command with a larger budget goes on."
        )
    id_, best = held.winner.configuration.id, may_be_best(held)
    open_ = [held.contenders[other] for other, may_be in best.items() if may_be]
    if best.get(id_) and len(open_) < len(best):  # else the verdict says it
        cheapest, cost = _cheapest(held, open_, objective)
        if cheapest is not held.winner:
            score = _percent(mean_of(held, cheapest, "value"))
            notes.append(
                f"The cheapest configuration that may be the best, too, is {cheapest.name}: {score} at {cost} per task."
            )
    if id_ in corrected:
        notes.append(
            f"The search tasks promised {_percent(corrected[id_])} for the winner, once the luck of being selected is "
            "taken out (empirical Bayes)."
        )
    for rival, label in _against(held):
        pair = paired(*held.paired(id_, rival.configuration.id))
        if pair.tasks < 2 or pair.apart:
            continue
        more = (
            f"about {pair.needed:,} tasks ({pair.more:,} more) would tell them apart at 5 % with a power of 0.8"
            if pair.needed
            else "no number of tasks would tell them apart"
        )
        notes.append(f"The winner and {label} are not told apart by these tasks; at the difference seen, {more}.")
    return notes


def mean_of(held: HeldOut, contender: Contender, measure: str) -> float:
    """Mean of an attribute of the cells of a contender."""
    return fmean(getattr(cell, measure) for cell in held.cells[contender.configuration.id])


def _exact(pair: Paired) -> str:
    if pair.mcnemar is None:
        return ""
    p = pair.mcnemar.p_value
    return f" (exact McNemar p {'< 0.001' if p < 0.001 else f'= {p:.2g}'})"


def gap_in_words(gap: tuple[float, float, float]) -> str:
    """A difference of scores with its interval, in points."""
    return "{:+.1f} points [{:+.1f}, {:+.1f}]".format(*(100 * value for value in gap)).replace("-", "−")


def times(ratio: float) -> str:
    """How many times as much."""
    return f"{ratio:,.0f}×" if ratio >= 100 else f"{ratio:.2g}×"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"

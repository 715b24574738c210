"""Whether the execution metrics say what the official evaluations of Spider and BIRD say.

    python benchmarks/text2sql/agreement.py --data ../shared/data/spider_dev

Every gold of a folder in Spider's layout against its mutants, which are wrong in the ways that models are, or right in
other words, and against golds of other questions. The official verdicts are those of the rules, told a second time and
run on plain sqlite3. Prints how many pairs there are, how many the rules decide, and on how many of these both agree.
Ends with 1 when one differs.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from mutations import Mutant, mutants
from official import METRICS, Official, Ruling

from archloom.tasks.text2sql import Question, SqlScorer, Verdict, read_spider, sql_scorer

_OTHERS = 2


class Pair(NamedTuple):
    """A question with a query that is judged."""

    question: Question
    mutant: Mutant

    @property
    def gold(self) -> str:
        """The accepted query."""
        return self.question.gold.queries[0]


class Judged(NamedTuple):
    """What both say of a pair, by metric."""

    pair: Pair
    official: dict[str, Ruling]
    ours: dict[str, Verdict]

    def differs(self, metric: str) -> bool:
        """Whether the rules decide it, and otherwise."""
        right = self.official[metric].right
        return right is not None and right != (self.ours[metric].score == 1)


def main() -> int:
    """Judges, writes and prints."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--data", type=Path, required=True, help="a folder in Spider's layout")
    arguments.add_argument("--every", type=int, default=1, help="only every n-th gold")
    arguments.add_argument("--pairs", type=Path, help="write each pair with its verdicts to this file, as JSON lines")
    given = arguments.parse_args()
    with ThreadPoolExecutor(2) as threads:
        work = list(by_database(given.data, given.every).items())
        judged = [each for found in threads.map(lambda one: judge(given.data, *one), work) for each in found]
    if given.pairs:
        given.pairs.write_text("".join(json.dumps(as_json(each)) + "\n" for each in judged), encoding="utf-8")
    print(table(judged))
    differing = [(metric, each) for each in judged for metric in METRICS if each.differs(metric)]
    for metric, each in differing[:20]:
        print(f"\n{metric} differs ({each.ours[metric].outcome}), {each.pair.mutant.kind}:", file=sys.stderr)
        print(f"  {each.pair.gold}\n  {each.pair.mutant.sql}", file=sys.stderr)
    return int(bool(differing))


def by_database(data: Path, every: int) -> dict[str, list[Pair]]:
    """The pairs, made the same way every time."""
    questions, rng = read_spider(data / "dev.json"), random.Random(0)
    golds: dict[str, list[str]] = defaultdict(list)
    for question in questions:
        golds[question.gold.db_id].append(question.gold.queries[0])
    pairs: dict[str, list[Pair]] = defaultdict(list)
    for place, question in enumerate(questions):
        others = rng.sample(golds[question.gold.db_id], min(_OTHERS, len(golds[question.gold.db_id])))
        if place % every == 0:
            found = mutants(question.gold.queries[0], others)
            pairs[question.gold.db_id].extend(Pair(question, mutant) for mutant in found)
    return pairs


def judge(data: Path, db_id: str, pairs: list[Pair]) -> list[Judged]:
    """What both say of pairs on one database."""
    path = data / "database" / db_id / f"{db_id}.sqlite"
    scorers = {metric: sql_scorer(metric, {db_id: (str(path),)}) for metric in METRICS}
    official = Official(path)
    try:
        return list(_judged(pairs, official, scorers))
    finally:
        official.close()


def _judged(pairs: list[Pair], official: Official, scorers: dict[str, SqlScorer]) -> Iterator[Judged]:
    for pair in pairs:
        sql = pair.mutant.sql
        yield Judged(
            pair,
            {metric: official.ruling(metric, pair.gold, sql) for metric in scorers},
            {metric: scorer.verdict(sql, pair.question.gold) for metric, scorer in scorers.items()},
        )


def table(judged: list[Judged]) -> str:
    """The counts as Markdown, and below them how many pairs the rules leave open, by reason."""
    lines = ["| metric | pairs | decided | right | agree | differ |", "|---|--:|--:|--:|--:|--:|"]
    for metric in METRICS:
        rulings = [each.official[metric].right for each in judged]
        decided, differ = sum(right is not None for right in rulings), sum(each.differs(metric) for each in judged)
        counts = (len(judged), decided, rulings.count(True), decided - differ, differ)
        lines.append(f"| `{metric}` | " + " | ".join(f"{count:,}" for count in counts) + " |")
    spider, bird = ([each.official[metric].right for each in judged] for metric in ("spider_exec", "bird_ex"))
    both = [pair for pair in zip(spider, bird, strict=True) if None not in pair]
    lines.append(
        f"\nSpider's and BIRD's verdicts differ on {sum(one != other for one, other in both):,} of {len(both):,}."
    )
    for metric in METRICS:
        reasons = Counter(each.official[metric].why for each in judged if each.official[metric].right is None)
        told = ", ".join(f"{why}: {count:,}" for why, count in sorted(reasons.items()))
        lines.append(f"Not decided for {metric}: {told}.")
    return "\n".join(lines)


def as_json(each: Judged) -> dict[str, object]:
    """A line of the file of pairs."""
    return {
        "question": each.pair.question.id,
        "db_id": each.pair.question.gold.db_id,
        "kind": each.pair.mutant.kind,
        "gold": each.pair.gold,
        "sql": each.pair.mutant.sql,
        "official": {metric: ruling.right for metric, ruling in each.official.items()},
        "ours": {metric: verdict.score for metric, verdict in each.ours.items()},
        "outcomes": {metric: verdict.outcome for metric, verdict in each.ours.items()},
    }


if __name__ == "__main__":
    sys.exit(main())

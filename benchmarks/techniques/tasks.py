"""Writes one hundred one-digit products and sums in the layout of GSM8K: the tasks of ``make bench-techniques``.

python benchmarks/techniques/tasks.py FILE.jsonl
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path


def rows(count: int = 50, seed: int = 1) -> list[dict[str, str]]:
    """As many products as sums of two digits from 1 to 9, in random order, each pair once."""
    rng = random.Random(seed)
    pairs = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    asked = [(a, "*", b, a * b) for a, b in rng.sample(pairs, count)]
    asked += [(a, "+", b, a + b) for a, b in rng.sample(pairs, count)]
    rng.shuffle(asked)
    return [
        {"question": f"Compute. {a} {sign} {b} =", "answer": f"{a} {sign} {b} = {result}\n#### {result}"}
        for a, sign, b, result in asked
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text("".join(f"{json.dumps(row)}\n" for row in rows()))

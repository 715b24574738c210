"""How many queries a second the pool of confined processes runs, beside plain sqlite3 in this process.

    python benchmarks/tools/sql.py --data ../shared/data/spider_dev --queries 10000

The gold queries of a folder in Spider's layout, in turn, each against its own database. Every result is compared with
that of plain sqlite3, in value and order. Ends with 1 when one differs or when fewer than 400 queries a second are run.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

from archloom.tasks.text2sql import read_spider
from archloom.tools.sql import Row, Rows, open_database

GOAL_PER_S = 400


def main() -> int:
    """Runs, compares and prints."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--data", type=Path, required=True, help="a folder in Spider's layout")
    arguments.add_argument("--queries", type=int, default=10_000)
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    given = arguments.parse_args()
    questions = read_spider(given.data / "dev.json")
    work = [
        (str(given.data / "database" / each.gold.db_id / f"{each.gold.db_id}.sqlite"), each.gold.queries[0])
        for each in islice(cycle(questions), given.queries)
    ]
    plain = {path: sqlite3.connect(f"file:{path}?mode=ro", uri=True) for path in {path for path, _ in work}}
    started = time.perf_counter()
    wanted = [tuple(plain[path].execute(sql).fetchall()) for path, sql in work]
    print(f"plain sqlite3, in this process: {len(work) / (time.perf_counter() - started):8.0f} a second")
    for connection in plain.values():
        connection.close()
    return max(measured(work, wanted, threads) for threads in given.threads)


def measured(work: list[tuple[str, str]], wanted: list[tuple[Row, ...]], threads: int) -> int:
    """Prints the rate; 1 when it is too low or a result is not the wanted one."""
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        found = list(pool.map(lambda each: open_database(each[0]).execute(each[1]), work))
        per_s = len(work) / (time.perf_counter() - started)
    different = sum(
        not isinstance(result, Rows) or result.rows != rows for result, rows in zip(found, wanted, strict=True)
    )
    print(f"pool, {threads} at once: {per_s:23.0f} a second, {different} of {len(work)} results differ")
    return int(per_s < GOAL_PER_S or different > 0)


if __name__ == "__main__":
    sys.exit(main())

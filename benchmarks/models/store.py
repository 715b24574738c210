"""What the sample store costs: a hit, a miss and a put, and how they change from ten thousand samples to a million.

    python benchmarks/models/store.py --samples 1000000

Both stores are built through ``SQLiteStore.add``, in the order of addresses: eight samples of about 400 characters a
request. Hits and misses are of random addresses, the two stores in turn so that a busy machine slows down both. Puts
are 256 at once, each with its question; their cost is the processor time of the whole process, so it holds that of the
event loop and of the thread that writes. Ends with 1 when a hit in the big store takes more than 1.5 times as long as
in the small one (medians), when the process is resident with 300 MB or more, or when building takes a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archloom.nodes import Sample
from archloom.orchestrator.models import Address, Entry, SQLiteStore

SMALL = 10_000
PER_REQUEST = 8
AT_ONCE = 256
SLOWDOWN, RESIDENT_MB, BUILD_S = 1.5, 300, 60
WORDS = ["so", "then", "each", "whole", "number", "divides", "both", "sides", "twice", "remainder", "carry", "gives"]

Times = NDArray[np.float64]


class Built(NamedTuple):
    """A store, what is in it, and how long it took."""

    store: SQLiteStore
    keys: Sequence[str]
    seconds: float


def question(number: int) -> bytes:
    return b'{"messages":[{"content":"Question %d. %b","role":"user"}],"model":"m"}' % (number, b"How many? " * 40)


def sample(index: int) -> Sample:
    return Sample(" ".join(random.choices(WORDS, k=75)), "stop", 120, 90, 1.5, index=index)


def entries(samples: int) -> Iterator[Entry]:
    for key, number in sorted((key, number) for number, key in enumerate(keys(samples))):
        for index in range(PER_REQUEST):
            yield Entry(Address(key, 0, index), "m", sample(index), None if index else question(number))


def keys(samples: int) -> list[str]:
    return [hashlib.sha256(question(number)).hexdigest() for number in range(samples // PER_REQUEST)]


def build(path: Path, samples: int) -> Built:
    begun = time.perf_counter()
    store = SQLiteStore(path)
    added = store.add(entries(samples))
    assert added.new == samples // PER_REQUEST * PER_REQUEST
    return Built(store, keys(samples), time.perf_counter() - begun)


def reads(built: Built, addresses: Sequence[Address]) -> Times:
    """Microseconds of each read."""
    get, clock = built.store.get, time.perf_counter
    marks = [clock()]
    for address in addresses:
        get(address)
        marks.append(clock())
    return np.array([1e6 * (after - before) for before, after in pairwise(marks)])


def puts(store: SQLiteStore, rounds: int) -> Times:
    """Processor microseconds a sample, of each round."""

    async def put(number: int) -> float:
        content = [question(-number * AT_ONCE - i // PER_REQUEST) for i in range(AT_ONCE)]
        drawn = [sample(i % PER_REQUEST) for i in range(AT_ONCE)]
        places = [Address(hashlib.sha256(asked).hexdigest(), 1, i % PER_REQUEST) for i, asked in enumerate(content)]
        begun = time.process_time()
        async with asyncio.TaskGroup() as group:
            for address, given, asked in zip(places, drawn, content, strict=True):
                group.create_task(store.put(address, "m", given, question=asked))
        return 1e6 * (time.process_time() - begun) / AT_ONCE

    async def all_rounds() -> Times:
        return np.array([await put(number) for number in range(1, rounds + 1)])

    return asyncio.run(all_rounds())


def in_turn(stores: Sequence[Built], pick: Callable[[Built], Address], count: int) -> list[Times]:
    """Microseconds of reads from each store."""
    rounds = 20
    times: list[list[Times]] = [[] for _ in stores]
    for _ in range(rounds):
        for built, found in zip(stores, times, strict=True):
            found.append(reads(built, [pick(built) for _ in range(count // rounds)]))
    return [np.concatenate(found) for found in times]


def resident_mb() -> float:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


def show(name: str, times: Times, unit: str = "us") -> None:
    low, p50, p90, p99 = np.percentile(times, [10, 50, 90, 99])
    print(f"{name:<24} n={len(times):<6} p10 {low:6.2f}  p50 {p50:6.2f}  p90 {p90:6.2f}  p99 {p99:7.2f} {unit}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100_000, help="samples in the big store")
    parser.add_argument("--reads", type=int, default=40_000, help="reads from each store")
    options = parser.parse_args()
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        small, big = (build(Path(folder, f"{n}.db"), n) for n in (SMALL, max(SMALL, options.samples)))
        size = sum(path.stat().st_size for path in Path(folder).glob(f"{max(SMALL, options.samples)}.db*")) / 1e6
        print(f"built {options.samples:,} samples in {big.seconds:.1f} s ({size:,.0f} MB)")
        stores = (small, big)
        hits = in_turn(
            stores, lambda b: Address(random.choice(b.keys), 0, random.randrange(PER_REQUEST)), options.reads
        )
        misses = in_turn(stores, lambda b: Address(f"{random.getrandbits(256):064x}", 0, 0), options.reads)
        for kind, times in (("hit", hits), ("miss", misses)):
            for count, found in zip((SMALL, options.samples), times, strict=True):
                show(f"{kind}, {count:,} samples", found)
        memory = resident_mb()
        slowdown = float(np.median(hits[1]) / np.median(hits[0]))
        p99 = float(np.percentile(hits[1], 99) / np.percentile(hits[0], 99))
        print(f"hit, big over small      p50 {slowdown:.2f} (goal {SLOWDOWN})  p99 {p99:.2f}")
        print(f"resident                 {memory:.0f} MB, {memory / RESIDENT_MB:.2f} of the goal ({RESIDENT_MB} MB)")
        show(f"put, {AT_ONCE} at once", puts(small.store, 60), "us of processor")
        for built in stores:
            built.store.close()
    return int(slowdown > SLOWDOWN or memory >= RESIDENT_MB or big.seconds >= BUILD_S)


if __name__ == "__main__":
    sys.exit(main())

"""What a vLLM server says about its load, and the peaks of a run."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Self

from archloom.orchestrator.errors import ModelCallError

_logger = logging.getLogger(__name__)
_SAMPLE = re.compile(r"^vllm:(?P<name>\w+)(?:\{.*\})? (?P<value>\S+)", re.MULTILINE)


@dataclass(frozen=True)
class ServerMetrics:
    """One reading of a server's metrics. Counts are since its start, and of all its users.

    Attributes:
        kv_cache_use: Share of the key-value cache that is in use, 0 to 1; the fullest of several engines.
        running: Requests that are being decoded.
        waiting: Requests that wait for room.
        preemptions: Requests that were put back because the cache was full.
        prefix_queries: Prompt tokens that were looked up in the prefix cache.
        prefix_hits: Prompt tokens that were found there.
        tokens_in: Prompt tokens.
        tokens_out: Completion tokens.
        drafted: Tokens that speculative decoding proposed; 0 without it.
        accepted: Those of them that the model took.
    """

    kv_cache_use: float = 0.0
    running: int = 0
    waiting: int = 0
    preemptions: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    drafted: int = 0
    accepted: int = 0

    @classmethod
    def read(cls, text: str) -> Self:
        """From the text that ``/metrics`` gives."""
        found: dict[str, list[float]] = defaultdict(list)
        for sample in _SAMPLE.finditer(text):
            found[sample["name"]].append(float(sample["value"]))

        def total(name: str) -> int:
            return round(sum(found[name]))

        return cls(
            kv_cache_use=max(found["kv_cache_usage_perc"], default=0.0),
            running=total("num_requests_running"),
            waiting=total("num_requests_waiting"),
            preemptions=total("num_preemptions_total"),
            prefix_queries=total("prefix_cache_queries_total"),
            prefix_hits=total("prefix_cache_hits_total"),
            tokens_in=total("prompt_tokens_total"),
            tokens_out=total("generation_tokens_total"),
            drafted=total("spec_decode_num_draft_tokens_total"),
            accepted=total("spec_decode_num_accepted_tokens_total"),
        )


@dataclass(frozen=True)
class ServerLoad:
    """What a server did while it was watched, for all its users together.

    Attributes:
        readings: How often it was looked at.
        peak_kv_cache_use: Largest share of the key-value cache in use at a reading.
        peak_running: Most requests decoded at once at a reading.
        peak_waiting: Most requests waiting at a reading.
        preemptions: Requests put back because the cache was full.
        prefix_hit_rate: Share of prompt tokens found in the prefix cache; ``None`` when none was looked up.
        tokens_in: Prompt tokens.
        tokens_out: Completion tokens.
        acceptance_rate: Share of speculated tokens that the model took; ``None`` when none was proposed.
    """

    readings: int = 0
    peak_kv_cache_use: float = 0.0
    peak_running: int = 0
    peak_waiting: int = 0
    preemptions: int = 0
    prefix_hit_rate: float | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    acceptance_rate: float | None = None

    def to_json(self) -> dict[str, int | float | None]:
        """Its fields by name."""
        return asdict(self)

    def __str__(self) -> str:
        """In words, for reports."""
        said = [
            f"key-value cache at most {self.peak_kv_cache_use:.0%} full",
            f"at most {self.peak_running} requests decoded at once and {self.peak_waiting} waiting",
        ]
        if self.prefix_hit_rate is not None:
            said.append(f"{self.prefix_hit_rate:.0%} of prompt tokens found in the prefix cache")
        if self.acceptance_rate is not None:
            said.append(f"{self.acceptance_rate:.0%} of speculated tokens taken")
        if self.preemptions:
            said.append(f"{self.preemptions} requests put back for want of cache")
        return f"{', '.join(said)} ({self.readings} readings)"


class Watch:
    """Looks at a server every few seconds while it is open::

        async with client.watch() as watch:
            ...
        print(watch.load.peak_kv_cache_use)

    The first reading is made on entering, the last on leaving; one that fails is left out.
    """

    def __init__(self, metrics: Callable[[], Awaitable[ServerMetrics]], *, every_s: float = 5.0) -> None:
        self._metrics, self._every_s = metrics, every_s
        self._first: ServerMetrics | None = None
        self._last = ServerMetrics()
        self._peaks = ServerLoad()
        self._looking: asyncio.Task[None] | None = None

    @property
    def load(self) -> ServerLoad:
        """What was seen so far."""
        first, last, peaks = self._first or self._last, self._last, self._peaks
        return ServerLoad(
            readings=peaks.readings,
            peak_kv_cache_use=peaks.peak_kv_cache_use,
            peak_running=peaks.peak_running,
            peak_waiting=peaks.peak_waiting,
            preemptions=last.preemptions - first.preemptions,
            prefix_hit_rate=_share(last.prefix_hits - first.prefix_hits, last.prefix_queries - first.prefix_queries),
            tokens_in=last.tokens_in - first.tokens_in,
            tokens_out=last.tokens_out - first.tokens_out,
            acceptance_rate=_share(last.accepted - first.accepted, last.drafted - first.drafted),
        )

    async def __aenter__(self) -> Self:
        await self.look()
        self._looking = asyncio.create_task(self._look_on())
        return self

    async def __aexit__(self, *exc: object) -> None:
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])
            if not looking.cancelled():
                looking.result()
            await self.look()

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> None:
        """Makes a reading now."""
        try:
            seen = await self._metrics()
        except ModelCallError as exc:
            _logger.debug("a reading of a server's metrics failed: %s", exc)
            return
        self._first = self._first or seen
        self._last, peaks = seen, self._peaks
        self._peaks = ServerLoad(
            readings=peaks.readings + 1,
            peak_kv_cache_use=max(peaks.peak_kv_cache_use, seen.kv_cache_use),
            peak_running=max(peaks.peak_running, seen.running),
            peak_waiting=max(peaks.peak_waiting, seen.waiting),
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None

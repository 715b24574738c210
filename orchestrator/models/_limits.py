"""What one endpoint takes: requests at once and per minute, and whether it is there at all."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from archloom.graphs import ModelBase
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError

WINDOW_S = 60.0
BREAK_AFTER = 20
"""Failures in a row after which an endpoint counts as down. At 30 % of failing calls that happens by chance once in
3e10 calls; an endpoint that never answered is given a quarter of it."""
PROBES = 5
"""Single requests, 1, 2, 4, 8 and 16 seconds apart, that find out whether it is back before everybody gives up."""
_DOWN = frozenset({"connection", "server", "timeout", "stall"})
_CONGESTED = frozenset({"rate_limit", "timeout", "stall"})
_SLOW = 4.0
"""Smoothed seconds per token that are so many times the best seen mean congestion. Servers that batch slow each request
down as they take more (vLLM on two CPU cores: fourfold from 1 to 64) and still finish more of them."""
_SMOOTHING = 0.1
_FORGET = 0.01


@dataclass
class Passage:
    """Leave to send one request: what the window counts for it, and whether it finds out if the endpoint is back."""

    sent: float
    tokens: int
    probe: bool = False


class Window:
    """How much of something was used in the last minute; no minute ever holds more than the limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used: deque[Passage] = deque()
        self._total = 0

    def wait_s(self, amount: int, now: float) -> float:
        """Seconds until this much fits; what is larger than the limit waits until nothing else is in the window."""
        while self._used and self._used[0].sent <= now - WINDOW_S:
            self._total -= self._used.popleft().tokens
        if not self._used or self._total + amount <= self.limit:
            return 0.0
        left = self._total
        for passage in self._used:
            left -= passage.tokens
            if left + amount <= self.limit or left == 0:
                return passage.sent + WINDOW_S - now
        return WINDOW_S

    def take(self, amount: int, now: float) -> Passage:
        """Counts this much from now on."""
        passage = Passage(now, amount)
        self._used.append(passage)
        self._total += amount
        return passage

    def correct(self, passage: Passage, amount: int, now: float) -> None:
        """Counts what was really used."""
        if passage.sent > now - WINDOW_S:
            self._total += amount - passage.tokens
            passage.tokens = amount


class Limiter:
    """The gate of one endpoint, shared by all that runs in the process.

    * At most ``max_concurrency`` requests are under way. When ``adaptive``, it looks for what the server takes:
      each rate limit, timeout or latency far above the best halves the limit, at most once in a round trip, and
      each answer raises it by 1/limit (additive increase, multiplicative decrease).
    * No minute holds more than ``requests_per_minute`` and ``tokens_per_minute``.
    * A server that names a time to wait (``Retry-After``) is left alone by everybody until then.
    * After ``BREAK_AFTER`` requests in a row that failed, a ``remote`` endpoint is down: one request at a time finds
      out whether it is back, and all others wait without using up their retries. When ``PROBES`` have failed, whoever
      waits is told.
    """

    def __init__(
        self,
        spec: ModelBase,
        *,
        remote: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep, self._remote = clock, sleep, remote
        self._most = spec.max_concurrency
        self._adaptive = spec.adaptive
        self._allowed = float(spec.max_concurrency)
        self._requests = Window(spec.requests_per_minute) if spec.requests_per_minute else None
        self._tokens = Window(spec.tokens_per_minute) if spec.tokens_per_minute else None
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before = 0.0
        self._usual_s = self._best_s = 0.0
        self._calm_after = 0.0
        self._answered = False
        self._failures = 0
        self._probes = 0
        self._probing = False
        self._last: ModelCallError | None = None

    @property
    def allowed(self) -> int:
        """Requests that may be under way at once now."""
        return max(1, int(self._allowed))

    def tighten(self, spec: ModelBase) -> None:
        """Another entry of the same endpoint has limits, too: the stricter ones count."""
        self._most = min(self._most, spec.max_concurrency)
        self._allowed = min(self._allowed, self._most)
        self._adaptive = self._adaptive or spec.adaptive
        self._requests = _stricter(self._requests, spec.requests_per_minute)
        self._tokens = _stricter(self._tokens, spec.tokens_per_minute)

    async def enter(self, tokens: int) -> Passage:
        """Waits for leave to send a request that may use so many tokens; :meth:`leave` must follow.

        Raises:
            ModelUnavailableError: the endpoint is down and stays down.
        """
        if self._under_way >= self.allowed or self._waiting:
            await self._turn()
        self._under_way += 1
        try:
            while (wait := self._wait_s(tokens)) > 0:
                await self._sleep(wait)
        except BaseException:
            self._under_way -= 1
            self._wake()
            raise
        now = self._clock()
        if self._requests:
            self._requests.take(1, now)
        passage = self._tokens.take(tokens, now) if self._tokens else Passage(now, tokens)
        if self._failures >= BREAK_AFTER:
            self._probing = passage.probe = True
        return passage

    def leave(
        self, passage: Passage, tokens: int, failed: ModelCallError | None, *, output: int = 0, again: bool = False
    ) -> None:
        """The request has ended.

        Args:
            passage: What :meth:`enter` gave.
            tokens: How many it used.
            failed: How it failed.
            output: How many tokens it wrote.
            again: It had failed before: what a server cannot answer says nothing about the server.
        """
        self._under_way -= 1
        now = self._clock()
        if self._tokens:
            self._tokens.correct(passage, tokens, now)
        self._probing = self._probing and not passage.probe
        if failed is not None and failed.failure in _DOWN and self._remote:
            if not again or failed.failure == "connection" or passage.probe:
                self._failed(passage, failed, now)
        else:
            self._failures = self._probes = 0
            self._answered = self._answered or failed is None
        if failed is not None and failed.retry_after_s is not None:
            self._not_before = max(self._not_before, now + min(failed.retry_after_s, WINDOW_S))
        if self._adaptive:
            self._adapt(passage, failed, output, now)
        self._wake()

    def abandon(self, passage: Passage, tokens: int) -> None:
        """The request was cancelled: it says nothing about the endpoint."""
        self._under_way -= 1
        self._probing = self._probing and not passage.probe
        if self._tokens:
            self._tokens.correct(passage, tokens, self._clock())
        self._wake()

    def _failed(self, passage: Passage, failed: ModelCallError, now: float) -> None:
        self._last = failed
        if passage.probe:
            self._probes += 1
        elif self._failures < BREAK_AFTER:
            # Where nothing has ever answered, the address is more likely wrong than down.
            self._failures += 4 if failed.failure == "connection" and not self._answered else 1
        else:
            return  # it left before the endpoint was known to be down
        if self._failures >= BREAK_AFTER:
            self._not_before = max(self._not_before, now + 2.0**self._probes)

    def _wait_s(self, tokens: int) -> float:
        """Seconds to wait before it makes sense to look again; 0 when the request may go now."""
        if self._failures >= BREAK_AFTER:
            if self._probes >= PROBES:
                last = self._last.message if self._last else ""
                raise ModelUnavailableError(
                    f"{last} It has failed {BREAK_AFTER + PROBES} times in a row or never answered.",
                    hint="What is finished is kept. Check the server, then run the same command again.",
                )
            if self._probing:
                return 1.0
        now = self._clock()
        wait = self._not_before - now
        if self._requests:
            wait = max(wait, self._requests.wait_s(1, now))
        if self._tokens:
            wait = max(wait, self._tokens.wait_s(tokens, now))
        return wait

    def _adapt(self, passage: Passage, failed: ModelCallError | None, output: int, now: float) -> None:
        slow = False
        if failed is None:
            per_token = (now - passage.sent) / max(output, 1)
            self._usual_s += _SMOOTHING * (per_token - self._usual_s) if self._usual_s else per_token
            self._best_s = min(self._best_s * (1 + _FORGET) or self._usual_s, self._usual_s)
            slow = self._usual_s > _SLOW * self._best_s
        if slow or (failed is not None and failed.failure in _CONGESTED):
            if passage.sent >= self._calm_after:  # it left after the last halving: that was not enough
                self._allowed = max(1.0, self._allowed / 2)
                self._calm_after = now
        elif failed is None and self._under_way + 1 >= self.allowed:
            self._allowed = min(float(self._most), self._allowed + 1 / self._allowed)

    async def _turn(self) -> None:
        """First come, first served."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._under_way -= 1
                self._wake()
            raise
        self._under_way -= 1  # held for us by whoever woke us

    def _wake(self) -> None:
        while self._waiting and self._under_way < self.allowed:
            turn = self._waiting.popleft()
            if not turn.done():
                self._under_way += 1
                turn.set_result(None)


def _stricter(window: Window | None, limit: int | None) -> Window | None:
    if limit is None or (window is not None and window.limit <= limit):
        return window
    if window is not None:
        window.limit = limit
        return window
    return Window(limit)

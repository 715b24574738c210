"""A model server on the loopback interface, for tests of what speaks to one: it counts, and fails on demand."""

from __future__ import annotations

import asyncio
import inspect
import random
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple, Self, TypeAlias

import orjson
from aiohttp import web

from archloom.testing._served import Answer, Asked, Served

Fault: TypeAlias = Literal[
    "rate_limit", "server", "timeout", "reset", "html", "stall", "truncated", "empty", "drip", "content_filter"
]
"""What can go wrong with a request: status 429; status 500; no answer ever; a reset connection; a web page with
status 200; half an answer and then nothing; half an answer that ends as if it were whole; an answer without a word;
a good answer, but slowly; a completion that is withheld. The first five use no tokens."""

Replying: TypeAlias = Callable[[Asked], str | Served | Awaitable[str | Served]]
"""The model. A coroutine function may wait, for example for the test's word."""

_LARGEST = 1 << 30
_JSON = "application/json"


class Totals(NamedTuple):
    """What requests have used."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


class _Tally:
    """What one request used, and how it ended: left by its client, until it has ended otherwise."""

    def __init__(self, fault: Fault | None) -> None:
        self.fault = fault
        # Everybody leaves a silent server.
        self.outcome: str = fault if fault in {"timeout", "stall"} else "left"
        self.tokens_in = self.tokens_out = 0


class LoopbackServer:
    """Serves ``POST /v1/chat/completions`` and ``GET /v1/models`` in the OpenAI format::

        async with LoopbackServer(lambda asked: "5", faults=["server", None, "stall"]) as server:
            spec = OpenAIModel(model="m", base_url=server.url)
            ...
        assert server.totals["ok"].calls == 1

    It streams, and gives several choices, reasoning, tool calls and log-probabilities where a request asks for them.

    Attributes:
        requests: All requests, in the order they came.
        script: Faults of the next requests, ``None`` for a good answer; when it is used up, chance decides.
        totals: Calls and tokens by outcome: ``ok``, a fault, or ``left`` for a client that went away. The tokens are
            those that the model read and wrote; of a stream, those that were sent. What is under way is not in it.
    """

    def __init__(
        self,
        reply: Replying = lambda asked: f"You said: {asked.text}",
        *,
        latency_s: float = 0.0,
        usage: bool = True,
        faults: Iterable[Fault | None] = (),
        fault_shares: Mapping[Fault, float] | None = None,
        seed: int = 0,
        retry_after_s: float | None = None,
        drip_s: float = 0.01,
        most_choices: int = 128,
    ) -> None:
        """Opens nothing yet.

        Args:
            reply: The model.
            latency_s: Wait before each reply.
            usage: Whether replies say what they used.
            faults: Start of the script.
            fault_shares: Probability of each fault.
            seed: Of chance.
            retry_after_s: What status 429 asks for.
            drip_s: Wait between the pieces of a slow answer.
            most_choices: The most completions of one request; a server that knows no ``n`` gives 1.
        """
        self.requests: list[Asked] = []
        self.script = deque(faults)
        self.totals: dict[str, Totals] = {}
        self._reply, self._latency_s, self._usage = reply, latency_s, usage
        self._shares, self._rng = dict(fault_shares or {}), random.Random(seed)
        self._retry_after_s, self._drip_s, self._most_choices = retry_after_s, drip_s, most_choices
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._address = ""

    @property
    def url(self) -> str:
        """Address of the API, up to and including ``/v1``."""
        return f"{self._address}/v1"

    @property
    def total(self) -> Totals:
        """All outcomes together."""
        return Totals(*(sum(column) for column in zip(Totals(), *self.totals.values(), strict=True)))

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/v1/models", self._models)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._address = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "loopback", "object": "model"}]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(len(self.requests), headers, raw, orjson.loads(raw))
        self.requests.append(asked)
        tally = _Tally(self._next_fault())
        try:
            response = await self._answered(request, asked, tally)
            tally.outcome = tally.fault or "ok"
            return response
        finally:
            before = self.totals.get(tally.outcome, Totals())
            self.totals[tally.outcome] = Totals(
                before.calls + 1, before.tokens_in + tally.tokens_in, before.tokens_out + tally.tokens_out
            )

    def _next_fault(self) -> Fault | None:
        if self.script:
            return self.script.popleft()
        draw = self._rng.random()
        for fault, share in self._shares.items():
            draw -= share
            if draw < 0:
                return fault
        return None

    async def _answered(self, request: web.Request, asked: Asked, tally: _Tally) -> web.StreamResponse:
        match tally.fault:
            case "rate_limit":
                headers = {} if self._retry_after_s is None else {"Retry-After": f"{self._retry_after_s:g}"}
                return _error(429, "Rate limit reached", headers)
            case "server":
                return _error(500, "Internal server error")
            case "html":
                return web.Response(text="<html>Welcome!</html>", content_type="text/html")
            case "timeout":
                await self._closing.wait()
            case "reset":
                _reset(request)
            case _:
                return await self._model_answer(request, asked, tally)
        return web.Response()  # nobody is there to read it

    async def _model_answer(self, request: web.Request, asked: Asked, tally: _Tally) -> web.StreamResponse:
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        n = asked.body.get("n")
        choices = min(n if isinstance(n, int) else 1, self._most_choices)
        answer = Answer(asked, [await self._served(asked, place, tally.fault) for place in range(choices)])
        tally.tokens_in = asked.tokens_in
        if asked.body.get("stream"):
            return await self._stream(request, answer, tally)
        tally.tokens_out = answer.tokens_out
        body = answer.whole(usage=self._usage)
        half = len(body) // 2
        match tally.fault:
            case "truncated":
                return web.Response(body=body[:half], content_type=_JSON)
            case "stall" | "drip":
                response = web.StreamResponse(headers={"Content-Type": _JSON, "Content-Length": str(len(body))})
                await response.prepare(request)
                await response.write(body[:half])
                if tally.fault == "stall":
                    await self._closing.wait()
                else:
                    await asyncio.sleep(self._drip_s)
                    await response.write(body[half:])
                return response
            case _:
                return web.Response(body=body, content_type=_JSON)

    async def _stream(self, request: web.Request, answer: Answer, tally: _Tally) -> web.StreamResponse:
        events = list(answer.events(usage=self._usage))
        half = len(events) // 2
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for place, (event, tokens_out) in enumerate(events):
            if tally.fault == "drip":
                await asyncio.sleep(self._drip_s)
            elif tally.fault == "stall" and place == half:
                await self._closing.wait()
                return response
            elif tally.fault == "truncated" and place == half:
                break
            await response.write(event)
            tally.tokens_out = tokens_out
        await response.write_eof()
        return response

    async def _served(self, asked: Asked, place: int, fault: Fault | None) -> Served:
        if fault == "empty":
            return Served("")
        reply = self._reply(replace(asked, choice=place))
        served = await reply if inspect.isawaitable(reply) else reply
        if isinstance(served, str):
            served = Served(served)
        return replace(served, finish="content_filter") if fault == "content_filter" else served


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    body = {"error": {"message": message, "type": "error", "code": status}}
    return web.json_response(body, status=status, headers=headers)


def _reset(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    # Lingering for no time makes the kernel send a reset instead of an end.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()

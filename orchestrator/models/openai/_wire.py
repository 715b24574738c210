"""One HTTP request to a model server, in one piece or as a stream, and what its failures mean."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
import orjson
import yarl

from archloom.orchestrator.errors import FailureClass, ModelCallError
from archloom.orchestrator.models.openai._batching import Watchers
from archloom.orchestrator.models.openai._http_errors import HINTS, failure_of, said_by, status_in, wait_of
from archloom.orchestrator.models.openai._replies import Json, MalformedReplyError, used_in
from archloom.orchestrator.models.openai._secrets import Secrets
from archloom.orchestrator.models.openai._streaming import DONE, EventReader, ReplyAssembly, ServerErrorEvent

_LARGE = 1 << 20
"""Bytes of a body from which aiohttp wants a file, to send it piece by piece."""
_GOODBYE_S = 0.1
"""Longest wait for the end of a stream after its last event; a stream that ends leaves its connection usable."""


class Received(NamedTuple):
    """A reply with status 200.

    Attributes:
        reply: As JSON; one that was streamed is put together.
        latency_s: Seconds from sending to the last byte.
        streamed: Whether it came as a stream.
    """

    reply: Json
    latency_s: float
    streamed: bool


class Wire:
    """Posts to one address; every failure is a :class:`ModelCallError` that shows no secret."""

    def __init__(self, url: yarl.URL, secrets: Secrets, *, where: str, timeout_s: float, stall_s: float) -> None:
        """Opens nothing yet.

        Args:
            url: Where to.
            secrets: What no error may show.
            where: Names the server in errors.
            timeout_s: Longest time for one request.
            stall_s: Longest silence inside a stream.
        """
        self._url, self._secrets, self._where = url, secrets, where
        self._timeout_s, self._stall_s = timeout_s, stall_s
        self._session: aiohttp.ClientSession | None = None

    def open(self, headers: Mapping[str, str]) -> None:
        """Makes it ready; the headers go with each request."""
        if self._session is not None:
            raise RuntimeError(f"the client of {self._where} is already open; enter a client once at a time")
        self._session = aiohttp.ClientSession(
            # The sampler limits; a call that waited here would use up its time.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            headers=headers,
        )

    async def close(self) -> None:
        """Closes its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, body: Mapping[str, object], watchers: Watchers | None) -> Received:
        """One request.

        Args:
            body: Of the request.
            watchers: Given for a request that asks for a stream; one for each choice.

        Raises:
            ModelCallError: with its class of failure.
        """
        if self._session is None:
            raise RuntimeError(f"the client of {self._where} is not open; use it inside 'async with'")
        sent = orjson.dumps(body, default=dict)
        assembly = None if watchers is None else ReplyAssembly(watchers)
        started = time.perf_counter()
        try:
            # A redirect would turn the POST into a GET: it is reported instead.
            async with self._session.post(
                self._url, data=sent if len(sent) < _LARGE else io.BytesIO(sent), allow_redirects=False
            ) as response:
                if assembly is not None and response.status == 200 and response.content_type == "text/event-stream":
                    await self._follow(response.content, assembly)
                    return Received(assembly.reply(), time.perf_counter() - started, True)
                answer = await response.read()
        except ModelCallError:
            raise
        except (aiohttp.ClientError, OSError) as exc:  # TimeoutError is an OSError
            raise self._broken(exc, assembly) from self._secrets.cause(exc)
        if response.status != 200:
            raise self._refused(response.status, answer, wait_of(response.status, response.headers))
        return Received(self._json(answer), time.perf_counter() - started, False)

    def failed(
        self,
        failure: FailureClass,
        what: str,
        *,
        used: tuple[int, int] | None = None,
        retry_after_s: float | None = None,
    ) -> ModelCallError:
        """The error of a call that failed, without secrets."""
        return ModelCallError(
            f"{self._where}: {self._secrets.hidden(what).rstrip('.')}.",
            failure=failure,
            retry_after_s=retry_after_s,
            used=used,
            hint=HINTS[failure],
        )

    def _json(self, answer: bytes) -> Json:
        try:
            reply = orjson.loads(answer)
        except orjson.JSONDecodeError:
            reply = None  # the exception quotes all of it
        if isinstance(reply, dict) and reply.get("choices"):
            return reply
        used = used_in(reply)
        if isinstance(reply, dict) and reply.get("error"):
            raise self._refused(status_in(reply["error"]), answer, used=used)
        said = said_by(answer, self._secrets.hidden)
        raise self.failed("malformed", f"the reply is not a chat completion: {said!r}", used=used)

    def _refused(
        self, status: int, answer: bytes, retry_after_s: float | None = None, used: tuple[int, int] | None = None
    ) -> ModelCallError:
        said = said_by(answer, self._secrets.hidden)
        failure = failure_of(status, answer)
        return self.failed(failure, f"HTTP {status}{said and f': {said}'}", retry_after_s=retry_after_s, used=used)

    def _broken(self, exc: aiohttp.ClientError | OSError, assembly: ReplyAssembly | None) -> ModelCallError:
        """What the transport raised."""
        used = assembly.used if assembly else None
        match exc:
            case TimeoutError():
                return self.failed("timeout", f"no complete answer within {self._timeout_s:g} s", used=used)
            case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
                return self.failed("malformed", f"the answer is cut or not HTTP: {exc}", used=used)
            case _:
                return self.failed("connection", f"cannot be reached: {exc}", used=used)

    async def _follow(self, content: aiohttp.StreamReader, assembly: ReplyAssembly) -> None:
        """Reads a stream to its end. Silence counts from its first byte: before that, a server may be busy."""
        events, done = EventReader(), False
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(None) as silence:
                async for piece in content.iter_any():
                    for data in events.feed(piece):
                        done = done or data == DONE
                        if not done:
                            assembly.add(data)
                    silence.reschedule(clock() + (_GOODBYE_S if done else self._stall_s))
        except (aiohttp.ClientError, OSError) as exc:
            if done:
                return
            if silence.expired():
                used = assembly.used
                raise self.failed("stall", f"no more of the reply for {self._stall_s:g} s", used=used) from exc
            raise
        except ServerErrorEvent as event:
            answer = orjson.dumps({"error": event.error})
            raise self._refused(status_in(event.error), answer, used=assembly.used) from None
        except MalformedReplyError as exc:
            what = f"the stream is not that of a chat completion: {exc}"
            raise self.failed("malformed", what, used=assembly.used) from None

"""Any OpenAI-compatible endpoint, straight over aiohttp and orjson: the hot path of every run."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import aiohttp
import yarl

from archloom.graphs import OpenAIModel
from archloom.nodes import Messages, Sampling
from archloom.orchestrator.errors import FailureClass, ModelCallError
from archloom.orchestrator.models._chat import (
    ChatCompletion,
    chat_request,
    completion_of,
    prompt_tokens_bound,
)
from archloom.orchestrator.models._client import Completion
from archloom.orchestrator.models._http_errors import HINTS, failure_of, said_by, wait_of
from archloom.tools.errors import UsageError


class OpenAIClient:
    """Sends each conversation untouched to ``{base_url}/chat/completions``.

    The bearer key is kept in the session's headers only, and is cut out of whatever a server echoes.
    """

    seeds_by_index: ClassVar[bool] = False

    def __init__(self, spec: OpenAIModel, *, environ: Mapping[str, str]) -> None:
        """Resolves ``${NAME}`` in the address and the key; nothing is sent before a completion is asked for.

        Raises:
            UsageError: a variable is not set, or the address is not one.
        """
        self._spec = spec
        of_model = f"of model {spec.model!r}"
        self._key = _resolved(spec.api_key or "", environ, f"api_key {of_model}").strip()
        self._url = _endpoint(_resolved(spec.base_url, environ, f"base_url {of_model}"), f"base_url {of_model}")
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"OpenAIClient({self._where})"

    @property
    def identity(self) -> str:
        """Provider and model; two hosts that serve one model name share samples."""
        return f"openai/{self._spec.model}"

    @property
    def local(self) -> bool:
        """True for a server on the loopback interface."""
        host = self._url.host or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    async def __aenter__(self) -> OpenAIClient:
        if self._session is not None:
            raise RuntimeError(f"{self!r} is already open; enter a client once at a time")
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._spec.max_concurrency),
            timeout=aiohttp.ClientTimeout(total=self._spec.timeout_s),
            headers=headers,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def complete(self, messages: Messages, sampling: Sampling, *, seed: int) -> Completion:
        """One request; see :class:`~archloom.orchestrator.models.Client`."""
        if self._session is None:
            raise RuntimeError(f"{self!r} is not open; use it inside 'async with'")
        # OpenAI's own API refuses "max_tokens" for its newer models; other servers may not know the new name.
        limit = "max_completion_tokens" if self._url.host == "api.openai.com" else "max_tokens"
        sent = chat_request(self._spec.model, messages, sampling, seed=seed, limit=limit)
        started = time.perf_counter()
        with self._translated():
            # A redirect would turn the POST into a GET: it is reported instead.
            async with self._session.post(self._url, data=sent, allow_redirects=False) as response:
                body = await response.read()
        latency_s = time.perf_counter() - started
        if response.status != 200:
            raise self._refused(response.status, body, wait_of(response.headers.get("Retry-After")))
        return self._completion(body, messages, sampling, latency_s)

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """See :func:`archloom.orchestrator.models._chat.prompt_tokens_bound`."""
        return prompt_tokens_bound(messages)

    @property
    def _where(self) -> str:
        return f"{self._spec.model} at {self._url.host}"

    def _completion(self, body: bytes, messages: Messages, sampling: Sampling, latency_s: float) -> Completion:
        try:
            reply = ChatCompletion.model_validate_json(body)
        except ValueError as exc:
            raise self._malformed(body) from exc
        if not reply.choices:
            raise self._refused(_status_in(reply.error), body) if reply.error else self._malformed(body)
        completion = completion_of(reply, messages, sampling, latency_s)
        if completion.finish == "content_filter":
            raise self._error("content_filter", "the server withheld the completion")
        return completion

    def _malformed(self, body: bytes) -> ModelCallError:
        return self._error("malformed", f"the reply is not a chat completion: {self._said(body)!r}")

    def _refused(self, status: int, body: bytes, retry_after_s: float | None = None) -> ModelCallError:
        failure = failure_of(status, body)
        return self._error(failure, f"HTTP {status}: {self._said(body)}", retry_after_s)

    def _said(self, body: bytes) -> str:
        # Servers echo keys; cut ours out before the text is shortened, which might leave half of it.
        return said_by(body.replace(self._key.encode(), b"***") if self._key else body)

    def _error(self, failure: FailureClass, what: str, retry_after_s: float | None = None) -> ModelCallError:
        what = what.replace(self._key, "***") if self._key else what
        return ModelCallError(
            f"{self._where}: {what.rstrip('.')}.",
            failure=failure,
            retry_after_s=retry_after_s,
            hint=HINTS[failure],
        )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what the transport raises into our error with its class of failure."""
        try:
            yield
        except TimeoutError as exc:
            raise self._error("timeout", f"no complete answer within {self._spec.timeout_s:g} s") from exc
        except (aiohttp.ClientPayloadError, aiohttp.ClientResponseError) as exc:
            raise self._error("malformed", f"the answer is cut or not HTTP: {exc}") from exc
        except (aiohttp.ClientError, ConnectionError) as exc:
            raise self._error("connection", f"cannot be reached: {exc}") from exc


def _resolved(text: str, environ: Mapping[str, str], field: str) -> str:
    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in environ:
            raise UsageError(
                f"{field}: the environment variable {name!r} is not set.", hint=f"Set it: export {name}=..."
            )
        return environ[name]

    return re.sub(r"\$\{(?P<name>\w+)\}", value, text)


def _endpoint(base_url: str, field: str) -> yarl.URL:
    try:
        url = yarl.URL(base_url)
    except ValueError:
        url = yarl.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError(f"{field} is not an http address.", hint="Write it like http://127.0.0.1:8000/v1.")
    return url / "chat" / "completions"


def _status_in(error: object) -> int:
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500

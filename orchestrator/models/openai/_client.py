"""Any OpenAI-compatible endpoint, straight over aiohttp and orjson: the hot path of every run."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import orjson
import yarl
from multidict import CIMultiDict

from archloom.graphs import OpenAIModel, ServedModel
from archloom.nodes import Completion, Messages, OutputFormat, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models._client import Progress, identity_of
from archloom.orchestrator.models.openai._batching import Batches, Outcome, Watchers
from archloom.orchestrator.models.openai._chat import chat_body, json_schema_format, prompt_tokens_bound
from archloom.orchestrator.models.openai._outcomes import Failed, outcomes_of
from archloom.orchestrator.models.openai._replies import Json, MalformedReplyError, used_in
from archloom.orchestrator.models.openai._secrets import Secrets
from archloom.orchestrator.models.openai._wire import Wire
from archloom.tools.errors import UsageError

_OURS = ("model", "messages", "stream", "stream_options", "n", "seed", "max_tokens", "max_completion_tokens")
"""Fields that a document's ``extra`` may not set: samples' addresses, seeds and budgets depend on them."""


class OpenAIClient:
    """Sends each conversation untouched to ``{base_url}/chat/completions``.

    The key and the headers' values are kept in the session only, and are cut out of whatever a server echoes.

    The client of a server that can more derives from this one: ``_body``, ``_output`` and ``_pause`` add to what is
    sent, ``_streamed`` and ``_stream_options`` say how, and ``_read`` takes more from the reply.
    """

    seeds_by_index: ClassVar[bool] = False
    family: ClassVar[str] = "openai"
    """First part of the identity."""

    def __init__(self, spec: ServedModel, *, environ: Mapping[str, str], base_url: str | None = None) -> None:
        """Resolves ``${NAME}`` in address, key and headers; nothing is sent before a completion is asked for.

        Args:
            spec: The model of the document.
            environ: Where ``${NAME}`` is looked up.
            base_url: Address of the API, up to and including ``/v1``; by default that of the document.

        Raises:
            UsageError: a variable is not set, the address is not one, or ``extra`` sets what is not its to set.
        """
        self._spec = spec
        of_model = f"of model {spec.model!r}"
        secrets = Secrets(environ)
        self._headers = _headers(spec, secrets, of_model)
        address = base_url or (spec.base_url if isinstance(spec, OpenAIModel) else "")
        self._url = _endpoint(secrets.resolved(address, f"base_url {of_model}"), f"base_url {of_model}")
        secrets.hide(self._url.password or "", *self._url.query.values())
        if ours := [name for name in _OURS if name in spec.extra]:
            raise UsageError(
                f"extra {of_model} must not set {', '.join(map(repr, ours))}: archloom sets that itself.",
                hint="Remove it; the model and its nodes have fields for it.",
            )
        # OpenAI's own API refuses "max_tokens" for its newer models; other servers may not know the new name.
        openai = (self._url.host or "").endswith(("api.openai.com", ".openai.azure.com"))
        self._limit = "max_completion_tokens" if openai else "max_tokens"
        self._where = f"{spec.model} at {self._url.host}"
        self._wire = Wire(self._url, secrets, where=self._where, timeout_s=spec.timeout_s, stall_s=spec.stall_s)
        self._batches = Batches(self._ask, most=spec.n, key=self._key) if spec.n > 1 else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._where})"

    @property
    def identity(self) -> str:
        """Provider, model and a digest of ``extra``; two hosts that serve one model name share samples."""
        return identity_of(self.family, self._spec.model, self._spec.extra)

    @property
    def endpoint(self) -> str:
        """Address and model."""
        return f"{self._url.with_user(None).with_query(None)}|{self._spec.model}"

    @property
    def local(self) -> bool:
        """True for a server on the loopback interface."""
        host = self._url.host or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    async def __aenter__(self) -> Self:
        self._wire.open(self._headers)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._wire.close()
        if self._batches is not None:
            await self._batches.close()

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """One completion; with ``n`` of the document, calls of one moment that ask the same share a request.

        See :class:`~archloom.orchestrator.models.Client`.
        """
        if self._batches is None:
            [outcome] = await self._ask(messages, sampling, seed, (progress,))
        else:
            outcome = await self._batches.complete(messages, sampling, seed, progress)
        if isinstance(outcome, ModelCallError):
            raise outcome
        return outcome

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """See :func:`archloom.orchestrator.models.openai._chat.prompt_tokens_bound`."""
        return prompt_tokens_bound(messages)

    def _body(self, messages: Messages, sampling: Sampling, seed: int) -> dict[str, object]:
        """The request's body, but for ``n`` and how it is streamed."""
        body = chat_body(self._spec.model, messages, sampling, seed=seed, limit=self._limit)
        if sampling.output is not None:
            body |= self._output(sampling.output)
        if sampling.pause:
            body |= self._pause(sampling.pause)
        if self._spec.extra:
            body |= self._spec.extra
        return body

    def _output(self, output: OutputFormat) -> dict[str, object]:
        """The fields of the body that ask for this output.

        Raises:
            UsageError: the server cannot give it.
        """
        if output.kind != "json_schema":
            raise UsageError(
                f"{self._where}: output of the kind {output.kind!r} cannot be asked for.",
                hint="Use json_schema, or a model of the provider vllm.",
            )
        return json_schema_format(output)

    def _pause(self, pause: tuple[str, ...]) -> dict[str, object]:
        """The fields of the body that end a text with the first of these strings.

        Raises:
            UsageError: the server does not say at which string a text ended, or whether at any.
        """
        raise UsageError(
            f"{self._where}: a reply cannot pause at {pause[0]!r}, because its server does not tell why it ended.",
            hint="Use stop, which ends a reply for good, or a model of the provider vllm or llamacpp.",
        )

    def _streamed(self, sampling: Sampling, *, watched: bool) -> bool:
        """Whether a reply is read as it is written; ``watched`` where somebody wants to see it come."""
        return watched or self._spec.stream

    def _stream_options(self) -> dict[str, object]:
        """What is asked of a stream."""
        return {"include_usage": True}

    def _read(self, reply: Json, choice: Json, completion: Completion) -> Completion:
        """The completion with what else the reply says of it.

        Args:
            reply: All of it; one that was streamed is put together, and holds ``choices`` and ``usage`` only.
            choice: The completion's element of ``choices``.
            completion: What was read so far.

        Raises:
            MalformedReplyError: a field is not what it should be.
        """
        return completion

    def _key(self, messages: Messages, sampling: Sampling) -> bytes:
        """Equal for calls that may share a request."""
        return orjson.dumps(self._body(messages, sampling, 0), default=dict)

    async def _ask(self, messages: Messages, sampling: Sampling, seed: int, watchers: Watchers) -> Sequence[Outcome]:
        """One request, for as many completions as there are watchers."""
        body = self._body(messages, sampling, seed)
        if len(watchers) > 1:
            body["n"] = len(watchers)
        watched = any(watcher is not None and watcher.on_text is not None for watcher in watchers)
        streamed = self._streamed(sampling, watched=watched)
        if streamed:
            body["stream"] = True
            body["stream_options"] = self._stream_options()
        received = await self._wire.send(body, watchers if streamed else None)
        try:
            found = outcomes_of(received.reply, len(watchers), messages, sampling, received.latency_s, self._read)
        except MalformedReplyError as exc:
            what = f"the reply is not a chat completion: {exc}"
            raise self._wire.failed("malformed", what, used=used_in(received.reply)) from None
        if watched and not received.streamed:
            _show(found, watchers)
        return [
            self._wire.failed(outcome.failure, outcome.what, used=outcome.used)
            if isinstance(outcome, Failed)
            else outcome
            for outcome in found
        ]


def _show(outcomes: Sequence[Completion | Failed], watchers: Watchers) -> None:
    """Gives texts that came in one piece to those who wanted to see them come."""
    for outcome, watcher in zip(outcomes, watchers, strict=True):
        if isinstance(outcome, Completion) and watcher is not None and watcher.on_text is not None and outcome.text:
            watcher.on_text(outcome.text)


def _headers(spec: ServedModel, secrets: Secrets, of_model: str) -> Mapping[str, str]:
    """What goes with each request."""
    headers = CIMultiDict({"Content-Type": "application/json"})
    if key := secrets.secret(spec.api_key or "", f"api_key {of_model}"):
        headers["Authorization"] = f"Bearer {key}"
    for name, value in spec.headers.items():
        headers[name] = secrets.secret(value, f"header {name!r} {of_model}")
    return headers


def _endpoint(base_url: str, field: str) -> yarl.URL:
    try:
        url = yarl.URL(base_url)
    except ValueError:
        url = yarl.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError(f"{field} is not an http address.", hint="Write it like http://127.0.0.1:8000/v1.")
    return (url / "chat" / "completions").with_query(url.query)

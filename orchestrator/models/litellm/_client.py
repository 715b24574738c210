"""Every other provider, through litellm: the one module that imports it, when the first such model is used."""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import os
import re
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import orjson
import yarl

from archloom.graphs import LiteLLMModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import FailureClass, ModelCallError, ModelUnavailableError
from archloom.orchestrator.models._client import Progress, identity_of
from archloom.orchestrator.models._prices import map_entry
from archloom.orchestrator.models.litellm._errors import behind, raised_by, told_by
from archloom.orchestrator.models.openai._chat import chat_body, json_schema_format, prompt_tokens_bound, reply_begun
from archloom.orchestrator.models.openai._http_errors import HINTS
from archloom.orchestrator.models.openai._outcomes import Failed, outcomes_of
from archloom.orchestrator.models.openai._replies import Json, MalformedReplyError
from archloom.orchestrator.models.openai._secrets import Secrets
from archloom.tools.errors import UsageError

_OURS = (
    "model", "messages", "stream", "stream_options", "n", "seed", "max_tokens", "max_completion_tokens",
    "api_key", "api_base", "base_url", "timeout", "num_retries", "max_retries", "fallbacks", "cache", "no-log",
)  # fmt: skip
"""Arguments that a document's ``extra`` may not set: addresses, budgets and retries depend on them."""
_KEY_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)$")
_PREPARING_S = 0.5
"""How long litellm may take to prepare a request in its thread."""

_open_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()


class LiteLLMClient:
    """Calls the provider that the first part of the model's name names.

    litellm neither retries, logs, caches nor drops parameters for it: what a provider cannot do is an error, except
    that the seed is only sent where the provider takes one. Connections are closed when the last client of an event
    loop leaves.
    """

    seeds_by_index: ClassVar[bool] = False

    def __init__(self, spec: LiteLLMModel, *, environ: Mapping[str, str]) -> None:
        """Resolves ``${NAME}`` in the address and the key; litellm is not imported before the client is entered.

        Raises:
            UsageError: a variable is not set, or ``extra`` sets what is not its to set.
        """
        self._spec = spec
        of_model = f"of model {spec.model!r}"
        self._secrets = Secrets(environ)
        # litellm takes keys from the environment by itself, and servers echo them all the same.
        self._secrets.hide(*(value for name, value in environ.items() if _KEY_NAME.search(name)))
        self._key = self._secrets.secret(spec.api_key, f"api_key {of_model}") if spec.api_key else None
        self._base_url = self._secrets.resolved(spec.base_url, f"base_url {of_model}") if spec.base_url else None
        if taken := [name for name in _OURS if name in spec.extra]:
            raise UsageError(
                f"extra {of_model} must not set {taken[0]!r}: archloom sets it.",
                hint="Remove it; the model and the node have fields for it.",
            )
        self._litellm: Any = None
        self._takes_seed = False
        self._ending: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"LiteLLMClient({self._where})"

    @property
    def identity(self) -> str:
        """The model's full name and a digest of ``extra``."""
        return identity_of("litellm", self._spec.model, self._spec.extra)

    @property
    def endpoint(self) -> str:
        """Address, where one is given, and model."""
        return f"{self._base_url or 'litellm'}|{self._spec.model}"

    @property
    def local(self) -> bool:
        """True for a server on the loopback interface."""
        host = yarl.URL(self._base_url).host or "" if self._base_url else ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    async def __aenter__(self) -> LiteLLMClient:
        if self._litellm is not None:
            raise RuntimeError(f"{self!r} is already open; enter a client once at a time")
        litellm = await asyncio.to_thread(import_litellm)
        self._takes_seed = "seed" in (litellm.get_supported_openai_params(model=self._spec.model) or ())
        loop = asyncio.get_running_loop()
        _open_clients[loop] = _open_clients.get(loop, 0) + 1
        self._litellm = litellm
        return self

    async def __aexit__(self, *exc: object) -> None:
        litellm, self._litellm = self._litellm, None
        if litellm is None:
            return
        if self._ending:
            await asyncio.wait(self._ending)
        loop = asyncio.get_running_loop()
        _open_clients[loop] -= 1
        if not _open_clients[loop]:
            await _close_connections(litellm, loop)

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """One request; see :class:`~archloom.orchestrator.models.Client`."""
        if self._litellm is None:
            raise RuntimeError(f"{self!r} is not open; use it inside 'async with'")
        arguments = self._arguments(messages, sampling, seed)
        started = time.perf_counter()
        with self._translated():
            response = await self._call(arguments)
        latency_s = time.perf_counter() - started
        try:
            [outcome] = outcomes_of(_reply(response), 1, messages, sampling, latency_s, _as_it_is)
        except MalformedReplyError as exc:
            raise self._error("malformed", f"the reply is not a chat completion: {exc}") from exc
        if isinstance(outcome, Failed):
            raise self._error(outcome.failure, outcome.what, used=outcome.used)
        return outcome

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """See :func:`archloom.orchestrator.models.openai._chat.prompt_tokens_bound`."""
        return prompt_tokens_bound(messages)

    @property
    def _where(self) -> str:
        host = yarl.URL(self._base_url).host if self._base_url else None
        return f"{self._spec.model} at {host}" if host else f"{self._spec.model} through litellm"

    def _arguments(self, messages: Messages, sampling: Sampling, seed: int) -> dict[str, Any]:
        """Arguments of litellm's completion call."""
        body = chat_body(self._spec.model, messages, sampling, seed=seed)
        if not self._takes_seed:
            del body["seed"]
        if sampling.output is not None:
            if sampling.output.kind != "json_schema":
                raise UsageError(
                    f"{self._where}: an output of the kind {sampling.output.kind!r} cannot be asked for.",
                    hint="Use json_schema, or a model of the provider vllm.",
                )
            body |= json_schema_format(sampling.output)
        if sampling.pause:
            raise UsageError(
                f"{self._where}: a reply cannot pause at {sampling.pause[0]!r}: litellm does not tell why it ended.",
                hint="Use stop, which ends a reply for good, or a model of the provider vllm or llamacpp.",
            )
        # A copy: litellm changes what it is given.
        arguments: dict[str, Any] = orjson.loads(orjson.dumps(body, default=dict))
        if reply_begun(messages) is not None:
            self._continue(arguments["messages"][-1])
        arguments |= self._spec.extra
        arguments |= {
            "timeout": self._spec.timeout_s,
            "num_retries": 0,
            "no-log": True,
            "cache": {"no-cache": True, "no-store": True},
            "_skip_mcp_handler": True,  # else tools need the package mcp
        }
        if self._key:
            arguments["api_key"] = self._key
        if self._base_url:
            arguments["base_url"] = self._base_url
        return arguments

    def _continue(self, message: dict[str, Any]) -> None:
        """Sees to it that the assistant's last message is continued. Claude does so by itself, DeepSeek by a mark.

        Raises:
            ModelCallError: the model is not known to give the rest alone; it might answer its own words.
        """
        known = map_entry(self._spec.model) or {}
        marked = known.get("litellm_provider") == "deepseek"
        if not known.get("supports_assistant_prefill") or not (marked or "claude" in self._spec.model):
            raise ModelCallError(
                f"{self._where}: it is not known to continue an assistant's message.",
                failure="bad_request",
                hint="Use a model of the provider vllm or llamacpp, or one of Claude or DeepSeek that takes a prefill.",
            )
        if marked:
            message["prefix"] = True

    async def _call(self, arguments: Mapping[str, Any]) -> Any:
        """litellm's answer. A caller that is cancelled does not wait for the call to end."""
        # Not in a TaskGroup: the call may outlive this one by a moment.
        call = asyncio.create_task(self._litellm.acompletion(**arguments))
        try:
            async with asyncio.timeout(self._spec.timeout_s):  # litellm's own is for each part of the exchange
                await asyncio.wait({call})
        except (asyncio.CancelledError, TimeoutError):
            ending = asyncio.create_task(_end(call))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            raise
        return call.result()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what litellm raises into our error with its class of failure.

        Raises:
            ModelUnavailableError: the provider needs a package that is not installed.
        """
        try:
            yield
        except TimeoutError as exc:
            raise self._error("timeout", f"no complete answer within {self._spec.timeout_s:g} s") from exc
        except raised_by(self._litellm) as exc:
            told = told_by(exc, self._secrets.hidden)
            # A traceback shows all that lies behind it.
            cause = exc if all(self._secrets.cause(each) for each in behind(exc)) else None
            if told.failure is None:
                raise ModelUnavailableError(
                    f"{self._where}: {told.what}", hint="Install the package that its provider needs."
                ) from cause
            raise self._error(told.failure, told.what, retry_after_s=told.retry_after_s) from cause

    def _error(
        self,
        failure: FailureClass,
        what: str,
        *,
        retry_after_s: float | None = None,
        used: tuple[int, int] | None = None,
    ) -> ModelCallError:
        return ModelCallError(
            f"{self._where}: {what.rstrip('.')}.",
            failure=failure,
            retry_after_s=retry_after_s,
            used=used,
            hint=HINTS.get(failure),
        )


def import_litellm() -> Any:
    """The module, with what it would do by itself switched off.

    Raises:
        ModelUnavailableError: it is not installed.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches a file on import
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")  # else it reads .env files into the environment
    try:
        litellm: Any = import_module("litellm")  # not by a statement: mypy would read all of it
    except ImportError as exc:
        raise ModelUnavailableError(
            f"The provider litellm cannot be used: {exc}.", hint='Install it: pip install "archloom[litellm]"'
        ) from exc
    litellm.suppress_debug_info = True  # else it prints at every error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        litellm.ModelResponse()  # pydantic builds its type on first use, and has something to say about it
    return litellm


async def _end(call: asyncio.Task[Any]) -> None:
    """Cancels a call once its request is prepared.

    litellm prepares requests in a thread, which gives it a coroutine; cancelled before, nobody would await that.
    """
    await asyncio.wait({call}, timeout=_PREPARING_S)
    call.cancel()
    await asyncio.wait({call})
    if not call.cancelled():
        call.exception()  # somebody has to look


async def _close_connections(litellm: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Closes what litellm keeps open for this event loop, which it would leave to the garbage collector."""
    cache = litellm.in_memory_llm_clients_cache
    for key in [key for key in cache.cache_dict if key.endswith(f"-{id(loop)}")]:
        client = cache.cache_dict.pop(key)
        cache.ttl_dict.pop(key, None)
        closing = client.close()
        if inspect.isawaitable(closing):
            await closing
    worker = import_module("litellm.litellm_core_utils.logging_worker").GLOBAL_LOGGING_WORKER
    await worker.flush()
    await worker.stop()


def _reply(response: Any) -> Json:
    """The reply in the chat-completions format; usage of nothing at all is litellm's word for none."""
    reply: dict[str, Any] = response.model_dump()
    if not (reply.get("usage") or {}).get("total_tokens"):
        reply["usage"] = None
    return reply


def _as_it_is(reply: Json, choice: Json, completion: Completion) -> Completion:
    return completion

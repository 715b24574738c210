"""The vLLM server that archloom launches, shares and ends, as a client."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import cached_property
from typing import ClassVar, Self

from archloom.graphs import VLLMModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models._client import Progress
from archloom.orchestrator.models.llamacpp._weights import models_folder
from archloom.orchestrator.models.vllm._client import VLLMClient
from archloom.orchestrator.models.vllm._flags import Command, deciding_digest, recipe_of
from archloom.orchestrator.models.vllm._metrics import ServerMetrics, Watch
from archloom.orchestrator.models.vllm._server import Server
from archloom.orchestrator.models.vllm._weights import weights_of
from archloom.tools.errors import UsageError

_DEATH_S = 2.0


class LaunchedVLLMClient:
    """Starts a vLLM server on entering, or joins the one that some process of this user has started.

    The server ends with its last user.
    """

    seeds_by_index: ClassVar[bool] = False

    def __init__(self, spec: VLLMModel, *, environ: Mapping[str, str], command: Command | None = None) -> None:
        """Starts nothing yet.

        Args:
            spec: The model of the document, without ``base_url``.
            environ: Where ``${NAME}``, the folder of weights and the interpreter of vLLM are looked up.
            command: The program that serves; by default that of the interpreter which has vLLM.

        Raises:
            UsageError: the model cannot be used as written.
        """
        if spec.api_key is not None:
            raise UsageError(
                f"api_key of model {spec.model!r}: a server that archloom launches gets a key of its own.",
                hint="Remove api_key, or write the base_url of the server that it is for.",
            )
        self._environ, self._weights = environ, weights_of(spec.model, environ)
        self._spec = spec.model_copy(update={"model": self._weights.name})
        self._recipe = recipe_of(spec.launch, self._weights, environ=environ, command=command)
        self.server = Server(
            self._recipe,
            name=self._weights.name,
            home=models_folder(environ).with_name("servers"),
            ready_s=spec.launch.ready_s,
        )
        self._address_less = VLLMClient(self._spec, environ=environ, base_url="http://127.0.0.1/v1")
        self._client: VLLMClient | None = None
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"LaunchedVLLMClient({self._spec.model!r})"

    @cached_property
    def identity(self) -> str:
        """Name of the model, a checksum of weights that are on this machine, and what else decides its answers.

        Raises:
            ModelUnavailableError: the folder that is to be served is not there.
        """
        weights, launch = self._weights.digest(), deciding_digest(self._spec.launch)
        name = f"{self._address_less.identity}@{weights}" if weights else self._address_less.identity
        return f"{name}+{launch}" if launch else name

    @property
    def endpoint(self) -> str:
        """The server's digest and the model's name: its address is not known before it runs."""
        return f"vllm {self._recipe.digest}|{self._spec.model}"

    @property
    def local(self) -> bool:
        """Always: the server runs on this machine."""
        return True

    async def __aenter__(self) -> Self:
        """Waits for the server.

        Raises:
            ModelUnavailableError: there are no weights, or the server does not come up; says what its log says.
        """
        if self._client is not None:
            raise RuntimeError(f"{self!r} is already open; enter a client once at a time")
        self._weights.check()
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(self.server)
            spec = self._spec.model_copy(update={"api_key": server.key})
            client = VLLMClient(spec, environ=self._environ, base_url=server.address)
            self._client = await stack.enter_async_context(client)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._client = None
        await self._stack.aclose()

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """One request; see :class:`~archloom.orchestrator.models.Client`."""
        client = self._entered
        try:
            return await client.complete(messages, sampling, seed=seed, progress=progress)
        except ModelCallError as exc:
            end = await self.server.ended(_DEATH_S) if exc.failure in {"connection", "malformed"} else None
            if end is None:
                raise
            raise ModelCallError(end.message, failure="connection", used=exc.used, hint=end.hint) from exc

    async def metrics(self) -> ServerMetrics:
        """One reading of the server's metrics; see :meth:`VLLMClient.metrics`."""
        return await self._entered.metrics()

    def watch(self, *, every_s: float = 5.0) -> Watch:
        """Looks at the metrics while it is open, and gives the peaks."""
        return Watch(self.metrics, every_s=every_s)

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """As for any server, but never more than the context, if the document says how long that is."""
        bound, context = self._address_less.prompt_tokens_bound(messages), self._spec.launch.max_model_len
        return min(bound, context) if context else bound

    @property
    def _entered(self) -> VLLMClient:
        if self._client is None:
            raise RuntimeError(f"{self!r} is not open; use it inside 'async with'")
        return self._client

"""A workflow that runs: a configuration with its models and its store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import cached_property, partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

from archloom.graphs import Configuration, Document, ModelSpec
from archloom.nodes import Budget, Task
from archloom.orchestrator._compile import compile_graph
from archloom.orchestrator._execution import Execution
from archloom.orchestrator._langgraph_io import read_task, write_result
from archloom.orchestrator._ledger import Ledger
from archloom.orchestrator._memo import Memo
from archloom.orchestrator._outcome import NodeOutcome, RunResult
from archloom.orchestrator._streams import Streams, stream_ordinals
from archloom.orchestrator.errors import OpenChoicesError
from archloom.orchestrator.models import (
    Client,
    InProcessClient,
    Limiter,
    MemoryStore,
    Sampler,
    Samplers,
    SampleStore,
    ServerLoad,
    StoreUse,
    Surroundings,
    every_variable,
    open_client,
)
from archloom.tools.errors import UsageError

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.pregel import Pregel


class ModelPool:
    """The models of a process: one sampler per model entry, shared by all workflows that run in it.

    Use as an async context manager. Nothing is started before a sample is really needed.
    """

    def __init__(
        self,
        store: SampleStore,
        *,
        budget: Budget | None = None,
        use: StoreUse = "reuse",
        environ: Mapping[str, str] | None = None,
        client: Callable[[ModelSpec], Client] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Prepares the pool.

        Args:
            store: Where samples are kept.
            budget: Hard limits of all that is paid in this process.
            use: How the store is used: ``replay`` draws nothing, ``record`` draws everything once more.
            environ: Where ``${NAME}`` is looked up; by default the environment. A replay needs none of it.
            client: Makes the client of a model; by default that of its provider.
            sleep: Waits between tries, and for leave to send.
        """
        self.store = store
        self.charged = Ledger(budget or Budget())
        """What has really been paid in this process, against the budget of the whole search."""
        self._around = Surroundings(store, self.charged, use, sleep)
        known = os.environ if environ is None else environ
        self._client = client or partial(open_client, environ=every_variable(known) if use == "replay" else known)
        self._samplers: dict[tuple[str, ...], Sampler] = {}
        self._limiters: dict[str, Limiter] = {}
        self._entered: set[Sampler] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    async def samplers(self, configuration: Configuration) -> Samplers:
        """The samplers of the models that a configuration uses, by their name in the document."""
        samplers = self.peek(configuration)
        for sampler in (each for main in samplers.values() for each in (main, *main.fallbacks)):
            if sampler not in self._entered:
                self._entered.add(sampler)
                await self._stack.enter_async_context(sampler)
        return samplers

    async def loads(self) -> dict[str, ServerLoad]:
        """What the servers that tell about it did since this process has used them, by identity of the model."""
        seen = {sampler.client.identity: await sampler.load() for sampler in self._entered}
        return {identity: load for identity, load in sorted(seen.items()) if load is not None}

    def peek(self, configuration: Configuration) -> Samplers:
        """The same for looking at prices and addresses only, without entering the pool."""
        models = configuration.models
        return {
            name: self._sampler([models[each] for each in configuration.chain(name)])
            for name in configuration.used_models
        }

    def _sampler(self, chain: Sequence[ModelSpec]) -> Sampler:
        """The sampler of a model and of those that stand in for it; one for all entries that say the same."""
        key = tuple(spec.model_dump_json() for spec in chain)
        if key not in self._samplers:
            spec, *others = chain
            client = self._client(spec)
            self._samplers[key] = Sampler(
                spec,
                client,
                self._around,
                limiter=self._limiter(client, spec),
                fallbacks=[self._sampler([other]) for other in others],
            )
        return self._samplers[key]

    def _limiter(self, client: Client, spec: ModelSpec) -> Limiter:
        """One for all models at this endpoint; the strictest of their limits count."""
        known = self._limiters.get(client.endpoint)
        if known is not None:
            known.tighten(spec)
            return known
        remote = not isinstance(client, InProcessClient)
        self._limiters[client.endpoint] = Limiter(spec, remote=remote, sleep=self._around.sleep)
        return self._limiters[client.endpoint]


class _Run(NamedTuple):
    """One run of a workflow, as it goes into its graph."""

    pool: ModelPool
    task: Task
    replicate: int = 0


class Workflow:
    """A workflow that can be run, streamed, and built into other LangGraph applications.

    Example:
        >>> workflow = Workflow.load("check-then-fuse.yaml")
        >>> workflow.run("What is 7 times 8?").answer
    """

    def __init__(
        self, configuration: Configuration, *, pool: ModelPool | None = None, memo: Memo | None = None
    ) -> None:
        """Prepares it.

        Args:
            configuration: What runs.
            pool: Its models; by default those of its own while it is entered.
            memo: What nodes of other workflows over the same pool and tasks gave.
        """
        self.configuration = configuration
        self._memo = memo
        self._beginnings: Mapping[str, int] = {}
        self._pool = pool
        self._own: ModelPool | None = None
        self._ready: Samplers | None = None
        self._streams: Streams | None = None

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, pool: ModelPool | None = None) -> Workflow:
        """Reads a workflow file.

        Raises:
            DocumentError: the file is wrong.
            OpenChoicesError: it is a search space.
        """
        return cls(configuration_of(Document.load(path)), pool=pool)

    async def __aenter__(self) -> Self:
        if self._pool is None:
            self._own = await ModelPool(MemoryStore()).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__(kind, exc, trace)

    def run(self, task: Task | str) -> RunResult:
        """Runs one task to its end; the blocking form of :meth:`arun`."""
        return asyncio.run(self.arun(task))

    async def arun(self, task: Task | str, *, replicate: int = 0) -> RunResult:
        """The workflow's answer to one task.

        A failed node or a budget that ended is part of the result.

        Raises:
            ModelUnavailableError: a model cannot be used at all.
        """
        asked = Task.ask(task) if isinstance(task, str) else task
        async with AsyncExitStack() as stack:
            pool = self._models
            if pool is None:
                pool = await stack.enter_async_context(ModelPool(MemoryStore()))
            # Not through LangGraph, which takes three quarters of the time of a run that is all in the store.
            return await (await self._start(_Run(pool, asked, replicate))).run()

    async def stream(self, task: Task | str, *, replicate: int = 0) -> AsyncGenerator[NodeOutcome | RunResult, None]:
        """The outcome of each node as it finishes, and the result last."""
        asked = Task.ask(task) if isinstance(task, str) else task
        async with AsyncExitStack() as stack:
            pool = self._models
            if pool is None:
                pool = await stack.enter_async_context(ModelPool(MemoryStore()))
            updates = self._graph.astream(_Run(pool, asked, replicate), stream_mode="updates")
            # It is a generator, whatever its annotation says; closing it cancels what still runs.
            closing = aclosing(cast("AsyncGenerator[dict[str, Any], None]", updates))
            async for update in await stack.enter_async_context(closing):
                for name, value in update.items():
                    yield NodeOutcome.from_json(value) if name in self.configuration.nodes else value

    def as_langgraph(self, *, checkpointer: BaseCheckpointSaver[Any] | None = None) -> Pregel[Any, Any, Any, Any]:
        """The compiled LangGraph object, for use inside another LangGraph application.

        Its input is ``{"messages": [...]}`` (LangChain messages or OpenAI-style mappings), a question, or a
        ``Task``; its output is ``{"messages": [the answer], "answer", "tokens", "cost_usd", "truncated",
        "error"}``. Enter the workflow (``async with workflow:``) around its use, so that its models are running.

        Args:
            checkpointer: Keeps finished nodes, so that a thread which is taken up again does not repeat them. It
                also keeps the input, which should then be messages or a question.
        """

        async def start(given: object) -> Execution:
            if self._models is None:
                raise UsageError("this workflow has no running models.", hint="Enter it first: 'async with workflow:'.")
            return await self._start(_Run(self._models, read_task(given)))

        return compile_graph(self._title, start, write_result, checkpointer=checkpointer)

    @cached_property
    def _graph(self) -> Pregel[Any, Any, Any, Any]:
        """What :meth:`stream` runs; its last update is the result."""
        return compile_graph(self._title, self._start, lambda result: result)

    @property
    def _title(self) -> str:
        """Name of the compiled graph, which LangGraph's streams must tell from the nodes."""
        name = self.configuration.name
        return f"{name} (workflow)" if name in self.configuration.nodes else name

    @property
    def _models(self) -> ModelPool | None:
        return self._pool or self._own

    async def _start(self, run: _Run) -> Execution:
        samplers = await self._samplers(run.pool)
        if self._streams is None:
            self._streams = stream_ordinals(self.configuration, samplers)
            self._beginnings = self._memo.beginnings(self.configuration, self._streams) if self._memo else {}
        memo = self._memo.of(self._beginnings, run.task, run.replicate) if self._memo else None
        return Execution(self.configuration, samplers, self._streams, run.task, replicate=run.replicate, memo=memo)

    async def _samplers(self, pool: ModelPool) -> Samplers:
        """Those of this pool; looked up once where it stays the same."""
        if pool is not self._pool:
            return await pool.samplers(self.configuration)
        if self._ready is None:
            self._ready = await pool.samplers(self.configuration)
        return self._ready


def configuration_of(document: Document) -> Configuration:
    """The configuration of a document without holes.

    Raises:
        OpenChoicesError: it has holes, all of which are named.
    """
    if document.holes:
        names = ", ".join(hole.name for hole in document.holes)
        raise OpenChoicesError(
            f"{document.source}: {len(document.holes)} choices are open: {names}.",
            hint="Search it with 'archloom search', or write one option for each.",
        )
    return document.configure()

"""A workflow that runs: a configuration with its models and its store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping
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
from archloom.orchestrator._outcome import NodeOutcome, RunResult
from archloom.orchestrator._streams import Asker, stream_ordinals
from archloom.orchestrator.errors import OpenChoicesError
from archloom.orchestrator.models import Client, MemoryStore, Sampler, Samplers, SampleStore, open_client
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
        environ: Mapping[str, str] | None = None,
        client: Callable[[ModelSpec], Client] | None = None,
    ) -> None:
        """Prepares the pool.

        Args:
            store: Where samples are kept.
            budget: Hard limits of all that is paid in this process.
            environ: Where ``${NAME}`` is looked up; by default the environment.
            client: Makes the client of a model; by default that of its provider.
        """
        self.store = store
        self.charged = Ledger(budget or Budget())
        """What has really been paid in this process, against the budget of the whole search."""
        self._client = client or partial(open_client, environ=os.environ if environ is None else environ)
        self._samplers: dict[str, Sampler] = {}
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
        for sampler in samplers.values():
            if sampler not in self._entered:
                self._entered.add(sampler)
                await self._stack.enter_async_context(sampler)
        return samplers

    def peek(self, configuration: Configuration) -> Samplers:
        """The same for looking at prices and addresses only, without entering the pool."""
        return {name: self._sampler(configuration.models[name]) for name in configuration.used_models}

    def _sampler(self, spec: ModelSpec) -> Sampler:
        key = spec.model_dump_json()
        if key not in self._samplers:
            self._samplers[key] = Sampler(spec, self._client(spec), self.store, charged=self.charged)
        return self._samplers[key]


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

    def __init__(self, configuration: Configuration, *, pool: ModelPool | None = None) -> None:
        self.configuration = configuration
        self._pool = pool
        self._own: ModelPool | None = None
        self._ordinals: Mapping[Asker, int] | None = None

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
        events = [event async for event in self.stream(task, replicate=replicate)]
        assert isinstance(events[-1], RunResult), "a stream ends with its result"
        return events[-1]

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
        samplers = await run.pool.samplers(self.configuration)
        if self._ordinals is None:
            self._ordinals = stream_ordinals(self.configuration, samplers)
        return Execution(self.configuration, samplers, self._ordinals, run.task, replicate=run.replicate)


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

"""The embedded engine: llama.cpp in a child process, spoken to like any other server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from archloom.graphs import LlamaCppModel, OpenAIModel
from archloom.nodes import Completion, Messages, Sampling
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError
from archloom.orchestrator.models._client import Progress
from archloom.orchestrator.models.llamacpp._engine import CHILD, Command, Engine, Settings, acquire, release
from archloom.orchestrator.models.llamacpp._weights import card, checksum, installed, models_folder
from archloom.orchestrator.models.openai._chat import prompt_tokens_bound, reply_begun
from archloom.orchestrator.models.openai._client import OpenAIClient
from archloom.orchestrator.models.openai._replies import Json

_DEATH_S = 1.0


class LlamaCppClient:
    """Starts llama.cpp for these weights on entering, or joins the one that already runs in this process.

    The same seed gives the same text however many requests run beside it.
    """

    seeds_by_index: ClassVar[bool] = False

    def __init__(self, spec: LlamaCppModel, *, environ: Mapping[str, str], command: Command = CHILD) -> None:
        """Starts nothing yet.

        Args:
            spec: The model of the document.
            environ: Says where weights are kept (``ARCHLOOM_HOME``).
            command: The program that runs the engine; see ``_child.py`` for what it must do.
        """
        self._spec = spec
        self._folder = models_folder(environ)
        self._command = command
        self._engine: Engine | None = None
        self._http: _Http | None = None

    def __repr__(self) -> str:
        return f"LlamaCppClient({self._spec.model!r})"

    @cached_property
    def identity(self) -> str:
        """Name of the weights and the first digits of their checksum.

        Raises:
            UsageError: the name is in no registry.
            ModelUnavailableError: the file of a model that is given by its path is not there.
        """
        if self._is_path:
            path = self._weights()
            return f"llamacpp/{path.name}@{checksum(path, folder=self._folder)[:12]}"
        return f"llamacpp/{self._spec.model}@{card(self._spec.model).sha256[:12]}"

    @property
    def endpoint(self) -> str:
        """Its identity."""
        return self.identity

    @property
    def local(self) -> bool:
        """Always: nothing leaves this machine."""
        return True

    async def __aenter__(self) -> LlamaCppClient:
        if self._engine is not None:
            raise RuntimeError(f"{self!r} is already open; enter a client once at a time")
        spec = self._spec
        weights = await asyncio.to_thread(self._weights)
        threads = spec.threads or max(1, _cores() - 1)
        engine = acquire(Settings(str(weights), spec.context, spec.max_concurrency, threads), self._command)
        try:
            address = await asyncio.to_thread(engine.address)
            http = OpenAIModel(
                model=spec.model,
                base_url=f"{address}/v1",
                api_key=engine.key,
                timeout_s=spec.timeout_s,
                max_concurrency=spec.max_concurrency,
            )
            self._http = await _Http(http, environ={}).__aenter__()
        except BaseException:
            await asyncio.to_thread(release, engine)
            raise
        self._engine = engine
        return self

    async def __aexit__(self, *exc: object) -> None:
        engine, self._engine = self._engine, None
        http, self._http = self._http, None
        try:
            if http is not None:
                await http.__aexit__(*exc)
        finally:
            if engine is not None:
                await asyncio.to_thread(release, engine)

    async def complete(
        self, messages: Messages, sampling: Sampling, *, seed: int, progress: Progress | None = None
    ) -> Completion:
        """One request; see :class:`~archloom.orchestrator.models.Client`."""
        if self._http is None or self._engine is None:
            raise RuntimeError(f"{self!r} is not open; use it inside 'async with'")
        begun = reply_begun(messages)
        # A stream leaves out the beginning of the reply and tells no stop string; in one piece both are there.
        whole = begun is not None or bool(sampling.pause)
        try:
            completion = await self._http.complete(messages, sampling, seed=seed, progress=None if whole else progress)
        except ModelCallError as exc:
            end = await self._end_behind(exc)
            if end is None:
                raise
            raise ModelCallError(end, failure="connection", hint="Run the same command again.") from exc
        if begun:
            completion = _rest(completion, begun)
        if whole and progress is not None and progress.on_text is not None and completion.text:
            progress.on_text(completion.text)
        return completion

    def prompt_tokens_bound(self, messages: Messages) -> int:
        """As for any server, but never more than the context: longer prompts are refused."""
        return min(prompt_tokens_bound(messages), self._spec.context)

    @property
    def _is_path(self) -> bool:
        return self._spec.model.endswith(".gguf")

    def _weights(self) -> Path:
        if not self._is_path:
            path = installed(self._spec.model, folder=self._folder)
            if path is None:
                raise ModelUnavailableError(
                    f"The weights of {self._spec.model!r} are not on this machine.",
                    hint=f"Fetch them: archloom models pull {self._spec.model}",
                )
            return path
        path = Path(self._spec.model).expanduser()
        if not path.is_file():
            raise ModelUnavailableError(
                f"There is no file {str(path)!r}.",
                hint="Correct 'model'; 'archloom models list' names others.",
            )
        return path.resolve()

    async def _end_behind(self, failure: ModelCallError) -> str | None:
        """Why the engine is gone, if that is what made a request fail."""
        if self._engine is None or failure.failure not in {"connection", "malformed"}:
            return None
        return await asyncio.to_thread(self._engine.ended, _DEATH_S)


class _Http(OpenAIClient):
    """llama.cpp's server, which says on demand what ended a reply."""

    def _pause(self, pause: tuple[str, ...]) -> dict[str, object]:
        return {"stop": pause, "verbose": True}

    def _read(self, reply: Json, choice: Json, completion: Completion) -> Completion:
        told = reply.get("__verbose")
        word = told.get("stopping_word") if isinstance(told, dict) else None
        if not word or not isinstance(word, str):
            return completion
        return replace(completion, text=completion.text + word, finish="stop")


def _rest(completion: Completion, begun: str) -> Completion:
    """The completion without the beginning, which llama.cpp repeats."""
    text = completion.text.removeprefix(begun)
    empty = completion.finish == "stop" and not text
    return replace(completion, text=text, finish="empty" if empty else completion.finish)


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

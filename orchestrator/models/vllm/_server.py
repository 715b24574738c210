"""A vLLM server for all who want the same: started by the first of them, ended after the last, in any process."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import aiohttp
from pydantic import BaseModel, ConfigDict

from archloom.orchestrator.errors import ModelUnavailableError
from archloom.orchestrator.models.vllm._log import cause_in, hint_for

_KEEPER = (sys.executable, "-P", str(Path(__file__).with_name("_keeper.py")))
_POLL_S = 0.1
_ANSWER_S = 5.0


@dataclass(frozen=True)
class Recipe:
    """What makes two servers the same one.

    Attributes:
        command: Program and flags, but for host and port.
        env: What is added to the environment.
        weights: Changes when the weights do, where they are on this machine.
    """

    command: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    weights: str = ""

    @property
    def digest(self) -> str:
        """Names it; holds nothing of it that could be secret."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]


class State(BaseModel):
    """What the keeper says of a server; see ``_keeper.py``."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, frozen=True)

    key: str
    port: int
    pid: int | None = None
    ended: str | None = None


class Server:
    """One user's place at the server of a recipe; an async context manager.

    Entering it starts the server, or finds the one that runs, and waits until it answers. As long as one place is
    taken the server runs; a process that is killed leaves its places with it.
    """

    def __init__(self, recipe: Recipe, *, name: str, home: Path, ready_s: float) -> None:
        """Starts nothing.

        Args:
            recipe: The server.
            name: Of what it serves, for errors.
            home: Where the folders of all servers are.
            ready_s: Longest wait until it answers.
        """
        self._recipe, self._name, self._ready_s = recipe, name, ready_s
        self.folder = home / recipe.digest
        """Has its log and its state."""
        self._place: int | None = None
        self._state: State | None = None

    @property
    def address(self) -> str:
        """Its API, up to and including ``/v1``."""
        return f"http://127.0.0.1:{self._entered.port}/v1"

    @property
    def key(self) -> str:
        """The bearer key that it wants."""
        return self._entered.key

    async def __aenter__(self) -> Self:
        """Takes a place.

        Raises:
            ModelUnavailableError: the server ended instead of answering, or takes too long.
        """
        if self._place is not None:
            raise RuntimeError("a place is taken already; enter a server once at a time")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._place = os.open(self.folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(self._ready_s):
                self._state = await self._joined(self._place)
        except TimeoutError as exc:
            self._leave()
            raise self._unavailable(f"did not answer within {self._ready_s:g} s (launch.ready_s)") from exc
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._leave()

    async def ended(self, wait_s: float) -> ModelUnavailableError | None:
        """How it ended, and what its log says; ``None`` when it still runs after this time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while True:
                    if (alive := self._alive()) is not None:
                        os.close(alive)
                        return self._unavailable(self._end())
                    await asyncio.sleep(_POLL_S)
        return None

    @property
    def _entered(self) -> State:
        if self._state is None:
            raise RuntimeError("no place is taken; use it inside 'async with'")
        return self._state

    def _leave(self) -> None:
        place, self._place, self._state = self._place, None, None
        if place is not None:
            os.close(place)

    async def _joined(self, place: int) -> State:
        """Waits for the server, and starts it when there is none."""
        while not _locked(place, fcntl.LOCK_SH):  # noqa: ASYNC110  # another process holds it: the keeper that ends
            await asyncio.sleep(_POLL_S)
        seen = False
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_S)) as session:
            while True:
                if (alive := self._alive()) is not None:
                    try:
                        if seen:
                            raise self._unavailable(self._end())
                        self._start(alive)
                    finally:
                        os.close(alive)
                    seen = True
                elif (state := self._read()) is not None and state.ended is None:
                    seen = True
                    if await _answers(session, state):
                        return state
                await asyncio.sleep(_POLL_S)

    def _alive(self) -> int | None:
        """The lock that says that neither server nor keeper runs; ``None`` while somebody has it."""
        lock = os.open(self.folder / "alive", os.O_RDWR | os.O_CREAT, 0o600)
        if _locked(lock, fcntl.LOCK_EX):
            return lock
        os.close(lock)
        return None

    def _start(self, alive: int) -> None:
        """Starts a keeper, which takes the lock over; one that fails lets it go, and its log tells why."""
        (self.folder / "state.json").unlink(missing_ok=True)
        key = secrets.token_hex(16)
        order = {
            "key": key,
            "folder": str(self.folder),
            "lock": alive,
            "command": self._recipe.command,
            "env": {"VLLM_NO_USAGE_STATS": "1", **os.environ, **dict(self._recipe.env), "VLLM_API_KEY": key},
        }
        with os.fdopen(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:
            subprocess.run(
                _KEEPER, input=json.dumps(order).encode(), stdout=log, stderr=log, pass_fds=(alive,), check=False
            )

    def _read(self) -> State | None:
        try:
            return State.model_validate_json((self.folder / "state.json").read_bytes())
        except FileNotFoundError:
            return None  # its keeper has not come so far

    def _end(self) -> str:
        state = self._read()
        return state.ended if state is not None and state.ended else "was killed"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _unavailable(self, what: str) -> ModelUnavailableError:
        said = cause_in(self._log)
        quoted = f" It said: {said}" if said else " It said nothing."
        told = f"The vLLM server of {self._name!r} {what}.{quoted}"
        return ModelUnavailableError(told, hint=hint_for(told, self._log))


async def _answers(session: aiohttp.ClientSession, state: State) -> bool:
    """Whether it is this server that answers, and its engine runs."""
    for path in ("health", "v1/models"):
        url, headers = f"http://127.0.0.1:{state.port}/{path}", {"Authorization": f"Bearer {state.key}"}
        try:
            async with session.get(url, headers=headers) as response:
                if response.status != 200:
                    return False
        except (aiohttp.ClientError, TimeoutError):
            return False
    return True


def _locked(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in {errno.EWOULDBLOCK, errno.EAGAIN}:
            raise
        return False
    return True

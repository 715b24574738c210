"""The embedded engine: its process with a stand-in program, and (slow) the real one with real weights."""

from __future__ import annotations

import asyncio
import hashlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from archloom.graphs import LlamaCppModel
from archloom.nodes import Messages, Sampling
from archloom.orchestrator.errors import ChecksumError, ModelCallError, ModelUnavailableError
from archloom.orchestrator.models import Client, Progress
from archloom.orchestrator.models.llamacpp._client import LlamaCppClient
from archloom.orchestrator.models.llamacpp._engine import CHILD, Command
from archloom.orchestrator.models.llamacpp._weights import SMOLLM2_135M, installed, models_folder
from archloom.testing._clients import ClientConformance
from archloom.tools.errors import UsageError

ASK: Messages = ({"role": "user", "content": "Tell me a story about a fox."},)

STAND_IN = """
import http.server, json, os, sys, threading

settings, mode = json.loads(sys.stdin.readline()), sys.argv[1]

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer " + settings["key"]:
            self.send_error(401)
            return
        if mode == "dies":
            print("one\\ntwo\\nggml_abort: out of memory", file=sys.stderr, flush=True)
            os._exit(3)
        words = f"{asked['seed']} a fox came to the river".split() if mode == "tells" else [str(os.getpid())]
        words = words[: asked["max_tokens"]]
        last = asked["messages"][-1]
        begun = last["content"] if last["role"] == "assistant" else ""  # which llama.cpp repeats
        ended = {"__verbose": {"stopping_word": asked["stop"][0]}} if asked.get("verbose") else {}
        body = json.dumps({
            "choices": [{"message": {"content": begun + " ".join(words)}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 30, "completion_tokens": len(words)},
            **ended,
        }).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

if mode == "crashes":
    sys.exit("error loading model: tensor data is not within the file bounds")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
if mode == "hangs":
    print(os.getpid(), file=open(settings["path"] + ".pid", "w"), flush=True)
else:
    print(json.dumps({"address": f"http://127.0.0.1:{server.server_port}"}), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "some.gguf"
    path.write_bytes(b"GGUF")
    return path


def client_of(path: Path, mode: str = "pid", **fields: object) -> LlamaCppClient:
    spec = LlamaCppModel.model_validate({"model": str(path), **fields})
    return LlamaCppClient(spec, environ={"ARCHLOOM_HOME": str(path.parent)}, command=stand_in(mode))


def stand_in(mode: str) -> Command:
    return (sys.executable, "-c", STAND_IN, mode)


async def pid_of(client: Client) -> int:
    return int((await client.complete(ASK, Sampling(), seed=1)).text)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestConformanceOfTheProcess(ClientConformance):
    @pytest.fixture
    def client(self, weights: Path) -> Client:
        return client_of(weights, "tells")


async def test_the_beginning_of_a_reply_is_not_part_of_the_rest(weights: Path) -> None:
    opened: Messages = (*ASK, {"role": "assistant", "content": "Once "})
    async with client_of(weights, "tells") as client:
        rest = await client.complete(opened, Sampling(), seed=7)
        nothing = await client.complete(opened, Sampling(max_tokens=0), seed=7)
    assert (rest.text, rest.finish) == ("7 a fox came to the river", "stop")
    assert (nothing.text, nothing.finish) == ("", "empty")


async def test_a_reply_ends_with_the_string_that_it_paused_at(weights: Path) -> None:
    told: list[str] = []
    async with client_of(weights, "tells") as client:
        watched = Progress(on_text=told.append)
        paused = await client.complete(ASK, Sampling(pause=(". Wait",)), seed=7, progress=watched)
        stopped = await client.complete(ASK, Sampling(stop=(". Wait",)), seed=7)
    assert (paused.text, paused.finish) == ("7 a fox came to the river. Wait", "stop")
    assert told == [paused.text]
    assert stopped.text == "7 a fox came to the river"


async def test_leaving_ends_and_reaps_the_process(weights: Path) -> None:
    async with client_of(weights) as client:
        pid = await pid_of(client)
        assert is_running(pid)
    assert not is_running(pid)


async def test_clients_of_the_same_weights_and_settings_share_a_process(weights: Path) -> None:
    async with client_of(weights) as first:
        async with (
            client_of(weights, timeout_s=5, retries=0) as second,
            client_of(weights, threads=7) as other,
        ):
            pid = await pid_of(first)
            assert await pid_of(second) == pid
            assert await pid_of(other) != pid
        assert await pid_of(first) == pid
    assert not is_running(pid)


async def test_clients_in_different_event_loops_share_a_process(weights: Path) -> None:
    async def elsewhere() -> int:
        async with client_of(weights) as client:
            return await pid_of(client)

    async with client_of(weights) as client:
        pid = await asyncio.to_thread(asyncio.run, elsewhere())
        # The thread and the loop of the other user are gone; the process must not go with them.
        assert pid == await pid_of(client)


async def test_a_crash_at_the_start_tells_the_last_log_lines(weights: Path) -> None:
    client = client_of(weights, "crashes")
    with pytest.raises(ModelUnavailableError, match="status 1") as caught:
        await client.__aenter__()
    assert "not within the file bounds" in str(caught.value)
    assert "Check that the weights are whole" in str(caught.value)


async def test_a_crash_under_way_is_a_connection_failure_with_the_log(weights: Path) -> None:
    async with client_of(weights, "dies") as client:
        for _ in range(2):  # and again for the next caller
            with pytest.raises(ModelCallError, match="ggml_abort: out of memory") as caught:
                await client.complete(ASK, Sampling(), seed=1)
            assert caught.value.failure == "connection"


async def test_a_dead_process_is_not_shared(weights: Path) -> None:
    async with client_of(weights) as first:
        dead = await pid_of(first)
        os.kill(dead, signal.SIGKILL)
        with pytest.raises(ModelCallError, match="status -9"):
            await first.complete(ASK, Sampling(), seed=1)
        async with client_of(weights) as second:
            fresh = await pid_of(second)
            assert fresh != dead
    assert not is_running(fresh)


async def test_cancelling_the_start_ends_the_process(weights: Path) -> None:
    told = weights.with_suffix(".gguf.pid")
    os.mkfifo(told)
    start = asyncio.ensure_future(client_of(weights, "hangs").__aenter__())
    pid = int(await asyncio.to_thread(told.read_text))
    assert is_running(pid)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert not is_running(pid)


async def test_a_missing_engine_names_the_extra(weights: Path) -> None:
    spec = LlamaCppModel(model=str(weights))
    bare = (sys.executable, "-I", "-S", CHILD[-1])  # the real child without any installed package
    with pytest.raises(ModelUnavailableError, match=r'pip install "archloom\[local\]"'):
        await LlamaCppClient(spec, environ={}, command=bare).__aenter__()


async def test_a_program_that_is_not_there_is_told(weights: Path) -> None:
    spec = LlamaCppModel(model=str(weights))
    with pytest.raises(ModelUnavailableError, match="could not be started"):
        await LlamaCppClient(spec, environ={}, command=("/no/such/program",)).__aenter__()


@pytest.mark.parametrize(
    ("model", "expected", "told"),
    [
        ("smollm2-135m-instruct", ModelUnavailableError, "archloom models pull smollm2-135m-instruct"),
        ("{home}/missing.gguf", ModelUnavailableError, "There is no file"),
        ("smol", UsageError, "it has smollm2-135m-instruct"),
    ],
    ids=["not pulled", "no file", "unknown name"],
)
async def test_missing_weights_tell_the_next_step(
    tmp_path: Path, model: str, expected: type[Exception], told: str
) -> None:
    spec = LlamaCppModel(model=model.format(home=tmp_path))
    with pytest.raises(expected, match=told):
        await LlamaCppClient(spec, environ={"ARCHLOOM_HOME": str(tmp_path)}).__aenter__()


async def test_damaged_weights_of_the_registry_are_refused(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / SMOLLM2_135M.file).write_bytes(b"GGUF")
    with pytest.raises(ChecksumError):
        await LlamaCppClient(LlamaCppModel(), environ={"ARCHLOOM_HOME": str(tmp_path)}).__aenter__()


def test_the_identity_is_the_name_and_the_checksum(weights: Path) -> None:
    registered = LlamaCppClient(LlamaCppModel(), environ={"ARCHLOOM_HOME": str(weights.parent)})
    assert registered.identity == "llamacpp/smollm2-135m-instruct@b179c9523d0e"  # without having the weights
    before = client_of(weights).identity
    assert before == f"llamacpp/some.gguf@{hashlib.sha256(b'GGUF').hexdigest()[:12]}"
    assert client_of(weights, threads=3, max_concurrency=9).identity == before
    weights.write_bytes(b"GGUF v2")
    assert client_of(weights).identity != before


def test_a_prompt_is_never_longer_than_the_context(weights: Path) -> None:
    assert client_of(weights, context=256).prompt_tokens_bound(ASK * 50) == 256


def test_the_parent_does_not_import_the_engine() -> None:
    code = "import sys, archloom.orchestrator.models.llamacpp._client; sys.exit('xllamacpp' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def real() -> Callable[..., LlamaCppClient]:
    """Makes clients of real weights."""
    pytest.importorskip("xllamacpp")
    if installed("smollm2-135m-instruct", folder=models_folder(os.environ)) is None:
        pytest.skip("weights are not on this machine; run: archloom models pull smollm2-135m-instruct")

    def make(**fields: object) -> LlamaCppClient:
        return LlamaCppClient(LlamaCppModel.model_validate(fields), environ=os.environ)

    return make


@pytest.mark.slow
class TestConformanceOfTheEngine(ClientConformance):
    @pytest.fixture
    def client(self, real: Callable[..., LlamaCppClient]) -> Client:
        return real()


@pytest.mark.slow
async def test_the_same_seed_gives_the_same_text_at_any_concurrency(
    real: Callable[..., LlamaCppClient],
) -> None:
    """Also with a cached prompt: the second round finds all its prompts in the slots."""
    questions: list[Messages] = [ASK, ({"role": "user", "content": "What is 12*7? Think step by step."},)]
    asked = [(question, seed) for question in questions for seed in range(4)]
    sampling = Sampling(temperature=0.8, max_tokens=24)
    async with real() as client:
        alone = [(await client.complete(question, sampling, seed=seed)).text for question, seed in asked]
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(client.complete(q, sampling, seed=seed)) for q, seed in reversed(asked)]
    assert [call.result().text for call in reversed(calls)] == alone
    assert len(set(alone)) > len(questions)


@pytest.mark.slow
async def test_a_reply_goes_on_where_it_was_cut(real: Callable[..., LlamaCppClient]) -> None:
    """The prefix is tokenized as a whole, which for a text that ends between words gives the tokens that were drawn."""
    cold = Sampling(temperature=0, max_tokens=24)
    async with real() as client:
        whole = await client.complete(ASK, cold, seed=1)
        begun = await client.complete(ASK, replace(cold, max_tokens=10), seed=1)
        opened = (*ASK, {"role": "assistant", "content": begun.text})
        told: list[str] = []
        rest = await client.complete(
            opened, replace(cold, max_tokens=14), seed=1, progress=Progress(on_text=told.append)
        )
        done = await client.complete((*ASK, {"role": "assistant", "content": whole.text}), cold, seed=1)
    assert begun.finish == "length"
    assert begun.text + rest.text == whole.text
    assert begun.tokens_out + rest.tokens_out == whole.tokens_out
    assert "".join(told) == rest.text
    assert not done.text.startswith(whole.text)


@pytest.mark.slow
async def test_a_reply_pauses_and_goes_on(real: Callable[..., LlamaCppClient]) -> None:
    cold = Sampling(temperature=0, max_tokens=24)
    async with real() as client:
        whole = await client.complete(ASK, cold, seed=1)
        word = whole.text.split(maxsplit=3)[2]
        begun = await client.complete(ASK, replace(cold, pause=("no such word", word)), seed=1)
        opened = (*ASK, {"role": "assistant", "content": begun.text})
        rest = await client.complete(opened, replace(cold, pause=(word,)), seed=1)
    assert begun.text == whole.text[: whole.text.index(word) + len(word)]
    assert begun.finish == "stop"
    assert rest.text, "the word that is there already does not stop it again"
    assert whole.text.startswith(begun.text + rest.text) or (begun.text + rest.text).startswith(whole.text)


@pytest.mark.slow
async def test_a_prompt_that_is_too_long_says_so(real: Callable[..., LlamaCppClient]) -> None:
    async with real(context=128, max_concurrency=1) as client:
        with pytest.raises(ModelCallError) as caught:
            await client.complete(({"role": "user", "content": "a b c " * 200},), Sampling(), seed=1)
    assert caught.value.failure == "context_length"


@pytest.mark.slow
async def test_nobody_else_may_use_the_server(real: Callable[..., LlamaCppClient]) -> None:
    async with real() as client, aiohttp.ClientSession() as session:
        assert client._engine is not None
        address = client._engine.address()
        assert address.startswith("http://127.0.0.1:")
        asked = {"messages": list(ASK), "max_tokens": 1}
        for key in ("", "Bearer ", "Bearer x"):
            async with session.post(
                f"{address}/v1/chat/completions", json=asked, headers={"Authorization": key}
            ) as got:
                assert got.status == 401


@pytest.mark.slow
def test_the_engine_dies_with_a_killed_parent(real: Callable[..., LlamaCppClient]) -> None:
    del real  # only to be skipped with it
    code = """
import asyncio, os, sys
from archloom.graphs import LlamaCppModel
from archloom.orchestrator.models.llamacpp._client import LlamaCppClient

async def main():
    async with LlamaCppClient(LlamaCppModel(max_concurrency=1), environ=os.environ) as client:
        print(client._engine._process.result().pid, flush=True)
        sys.stdin.read()

asyncio.run(main())
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        assert select.select([child], [], [], 0)[0] == []
        parent.kill()
        assert select.select([child], [], [], 10)[0] == [child]
    os.close(child)

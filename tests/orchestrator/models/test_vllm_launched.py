"""Launching: one server for all who want the same, with a stand-in program in vLLM's place."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from archloom.graphs import VLLMModel
from archloom.nodes import Messages, Sampling
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError
from archloom.orchestrator.models import Client, open_client
from archloom.orchestrator.models.vllm._flags import Command
from archloom.orchestrator.models.vllm._launched import LaunchedVLLMClient
from archloom.testing._clients import ClientConformance
from archloom.tools.errors import UsageError

ASK: Messages = ({"role": "user", "content": "Tell me a story about a fox."},)

STAND_IN = """
import http.server, json, os, socket, subprocess, sys

mode, flags = sys.argv[1], sys.argv[2:]
told = {name: value for name, value in zip(flags, flags[1:])}
if mode == "crashes":
    print("(Worker pid=7) ERROR 11-22 20:34:36 [executor.py:953] ValueError: Available memory is less than desired")
    print("(EngineCore pid=6) ERROR 11-22 20:34:39 [core.py:1510] RuntimeError: Engine core initialization failed.")
    sys.exit(1)
if mode.startswith("hangs:"):
    print(os.getpid(), file=open(mode.partition(":")[2], "w"), flush=True)
    sys.stdin = open(os.pipe()[0]).read()
worker = subprocess.Popen([sys.executable, "-c", "import os; os.read(os.pipe()[0], 1)"]) if mode == "works" else None

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/metrics":
            self.reply(200, b'vllm:num_requests_running{engine="0",model_name="a b}c"} 3.0\\n')
        elif self.path == "/v1/models" and self.headers["Authorization"] != "Bearer " + os.environ["VLLM_API_KEY"]:
            self.reply(401, b"")
        else:
            self.reply(200, b"{}")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer " + os.environ["VLLM_API_KEY"]:
            return self.reply(401, b"")
        if mode == "dies":
            print("RuntimeError: CPU Generator does not use offset", flush=True)
            os._exit(3)
        facts = {"pid": os.getpid(), "keeper": os.getppid(), "flags": flags, "model": asked["model"],
                 "worker": worker and worker.pid, "greeting": os.environ.get("GREETING")}
        text = f"{asked['seed']} a fox came to the river" if mode == "tells" else json.dumps(facts)
        text = " ".join(text.split()[: asked["max_tokens"]])
        self.reply(200, json.dumps({
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 30, "completion_tokens": len(text.split()[: asked["max_tokens"]])},
        }).encode())

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer((told["--host"], int(told["--port"])), Handler).serve_forever()
"""


def stand_in(mode: str) -> Command:
    return (sys.executable, "-c", STAND_IN, mode)


class Machine:
    """A user's home, with weights in it."""

    def __init__(self, home: Path) -> None:
        self.home, self.environ = home, {"ARCHLOOM_HOME": str(home)}
        self.weights = home / "tiny"
        self.weights.mkdir()
        (self.weights / "config.json").write_text("{}")
        (self.weights / "model.safetensors").write_bytes(b"weights")

    def spec(self, **fields: object) -> VLLMModel:
        return VLLMModel.model_validate({"model": str(self.weights), **fields})

    def client(self, mode: str = "facts", **fields: object) -> LaunchedVLLMClient:
        return LaunchedVLLMClient(self.spec(**fields), environ=self.environ, command=stand_in(mode))

    def user(self, mode: str = "facts") -> subprocess.Popen[str]:
        """Another process that prints the server's facts, and uses it until its standard input ends."""
        code = """
import asyncio, os, sys
from archloom.graphs import VLLMModel
from archloom.nodes import Sampling
from archloom.orchestrator.models.vllm._launched import LaunchedVLLMClient

async def main():
    spec, command = VLLMModel(model=sys.argv[1]), tuple(sys.argv[2:])
    async with LaunchedVLLMClient(spec, environ=os.environ, command=command) as client:
        reply = await client.complete(({"role": "user", "content": "?"},), Sampling(), seed=1)
        print(reply.text, flush=True)
        sys.stdin.read()

asyncio.run(main())
"""
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.weights), *stand_in(mode)],
            env=os.environ | self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def folder(self) -> Path:
        [folder] = (self.home / "servers").iterdir()
        return folder


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def facts(client: Client) -> dict[str, object]:
    told = json.loads((await client.complete(ASK, Sampling(), seed=1)).text)
    assert isinstance(told, dict)
    return told


def said(user: subprocess.Popen[str]) -> dict[str, object]:
    assert user.stdout is not None
    told = json.loads(user.stdout.readline())
    assert isinstance(told, dict)
    return told


class Process:
    """Waits for the end of a process that is no child of this one."""

    def __init__(self, pid: object) -> None:
        assert isinstance(pid, int)
        self.pid, self._file = pid, os.pidfd_open(pid)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._file)

    def runs(self) -> bool:
        return select.select([self._file], [], [], 0)[0] == []

    async def ends(self, within_s: float = 10) -> bool:
        return (await asyncio.to_thread(select.select, [self._file], [], [], within_s))[0] == [self._file]


class TestConformance(ClientConformance):
    @pytest.fixture
    async def client(self, machine: Machine) -> AsyncIterator[Client]:
        async with machine.client("tells"):  # so that the others find it
            yield machine.client("tells")


async def test_the_server_is_gone_after_its_last_user(machine: Machine) -> None:
    async with machine.client() as first:
        told = await facts(first)
        with Process(told["pid"]) as server, Process(told["keeper"]) as keeper:
            async with machine.client(timeout_s=5, max_concurrency=3) as second:
                assert (await facts(second))["pid"] == server.pid
                await first.__aexit__(None, None, None)
                assert (await facts(second))["pid"] == server.pid
            assert await server.ends()
            assert await keeper.ends()


async def test_a_server_takes_all_that_it_started_with_it(machine: Machine) -> None:
    async with machine.client("works") as client:
        worker = Process((await facts(client))["worker"])
    with worker:
        assert await worker.ends()


async def test_other_flags_are_another_server(machine: Machine) -> None:
    async with machine.client() as one, machine.client(launch={"max_num_seqs": 2}) as other:
        assert (await facts(one))["pid"] != (await facts(other))["pid"]


async def test_other_weights_are_another_server(machine: Machine) -> None:
    async with machine.client() as one:
        (machine.weights / "model.safetensors").write_bytes(b"trained on")
        async with machine.client() as other:
            assert (await facts(one))["pid"] != (await facts(other))["pid"]


async def test_clients_that_start_at_once_share_a_server(machine: Machine) -> None:
    clients = [machine.client() for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.__aenter__())
    assert len({str((await facts(client))["pid"]) for client in clients}) == 1
    for client in clients:
        await client.__aexit__(None, None, None)


async def test_processes_that_start_at_once_share_a_server_that_outlives_killed_ones(machine: Machine) -> None:
    users = [machine.user() for _ in range(3)]
    told = [await asyncio.to_thread(said, user) for user in users]
    assert len({str(each["pid"]) for each in told}) == 1
    with Process(told[0]["pid"]) as server:
        async with machine.client() as client:
            for user in users:
                user.kill()
                user.communicate()
            assert (await facts(client))["pid"] == server.pid
        assert await server.ends()


async def test_a_server_ends_when_its_only_user_is_killed(machine: Machine) -> None:
    with machine.user() as user, Process(said(user)["pid"]) as server:
        assert server.runs()
        user.kill()
        assert await server.ends()


async def test_an_interrupt_is_for_the_user_alone(machine: Machine) -> None:
    async with machine.client() as client:
        pid = (await facts(client))["pid"]
        assert isinstance(pid, int)
        assert os.getsid(pid) != os.getsid(0)
        assert os.getpgid(pid) == pid


async def test_a_server_does_not_outlive_its_keeper_and_is_started_again(machine: Machine) -> None:
    async with machine.client() as client:
        told = await facts(client)
        assert isinstance(told["keeper"], int)
        with Process(told["pid"]) as server:
            os.kill(told["keeper"], signal.SIGKILL)
            assert await server.ends()
        with pytest.raises(ModelCallError, match="was killed") as caught:
            await client.complete(ASK, Sampling(), seed=1)
        assert caught.value.failure == "connection"
        async with machine.client() as again:
            assert (await facts(again))["pid"] != told["pid"]


async def test_a_keeper_that_is_asked_to_end_ends_its_server(machine: Machine) -> None:
    async with machine.client() as client:
        told = await facts(client)
        assert isinstance(told["keeper"], int)
        with Process(told["pid"]) as server:
            os.kill(told["keeper"], signal.SIGTERM)
            assert await server.ends()


async def test_a_server_that_is_killed_is_started_again(machine: Machine) -> None:
    async with machine.client() as client:
        told = await facts(client)
        assert isinstance(told["pid"], int)
        os.kill(told["pid"], signal.SIGKILL)
        with pytest.raises(ModelCallError, match="ended with status -9"):
            await client.complete(ASK, Sampling(), seed=1)
        async with machine.client() as again:
            assert (await facts(again))["pid"] != told["pid"]


async def test_a_state_that_a_dead_keeper_left_is_not_believed(machine: Machine) -> None:
    async with machine.client() as client:
        told = await facts(client)
        left = (machine.folder / "state.json").read_bytes()
        keeper = Process(told["keeper"])
    with keeper:
        assert await keeper.ends()
    (machine.folder / "state.json").write_bytes(left)
    async with machine.client() as client:
        assert (await facts(client))["pid"] != told["pid"]


async def test_a_crash_under_way_tells_the_log_and_what_to_do(machine: Machine) -> None:
    async with machine.client("dies") as client:
        for _ in range(2):  # and again for the next caller
            with pytest.raises(ModelCallError, match="CPU Generator does not use offset") as caught:
                await client.complete(ASK, Sampling(), seed=1)
            assert caught.value.failure == "connection"
            assert "enable-chunked-prefill: false" in str(caught.value)


async def test_a_crash_at_the_start_tells_its_cause_and_where_the_log_is(machine: Machine) -> None:
    with pytest.raises(ModelUnavailableError, match="ended with status 1") as caught:
        await machine.client("crashes").__aenter__()
    assert "It said: ValueError: Available memory is less than desired" in caught.value.message
    assert "gpu_memory_utilization" in str(caught.value)
    assert f"{machine.folder / 'log'}" in str(caught.value)


async def test_all_who_wait_for_a_start_learn_that_it_failed(machine: Machine) -> None:
    results = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(failure(machine.client("crashes"))) for _ in range(3)]
    results = [task.result().message for task in tasks]
    assert results[0].startswith("The vLLM server")
    assert len(set(results)) == 1


async def failure(client: LaunchedVLLMClient) -> ModelUnavailableError:
    with pytest.raises(ModelUnavailableError) as caught:
        await client.__aenter__()
    return caught.value


async def test_a_start_that_takes_too_long_is_given_up(machine: Machine) -> None:
    told = machine.home / "told"
    os.mkfifo(told)
    start = asyncio.ensure_future(failure(machine.client(f"hangs:{told}", launch={"ready_s": 1.0})))
    with Process(int(await asyncio.to_thread(told.read_text))) as server:
        assert "did not answer within 1 s (launch.ready_s)" in (await start).message
        assert await server.ends()


async def test_cancelling_the_start_ends_the_server(machine: Machine) -> None:
    told = machine.home / "told"
    os.mkfifo(told)
    start = asyncio.ensure_future(machine.client(f"hangs:{told}").__aenter__())
    with Process(int(await asyncio.to_thread(told.read_text))) as server:
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert await server.ends()


@pytest.mark.parametrize(
    ("launch", "told"),
    [
        ({"python": "/no/such/python"}, "No such file"),
        ({"python": sys.executable}, "No module named 'vllm'"),
    ],
    ids=["no interpreter", "no vllm in it"],
)
async def test_a_missing_vllm_says_how_to_get_it(machine: Machine, launch: dict[str, str], told: str) -> None:
    client = LaunchedVLLMClient(machine.spec(launch=launch), environ=machine.environ)
    error = await failure(client)
    assert told in error.message
    assert "make vllm" in str(error)
    assert "launch.python" in str(error)


@pytest.mark.parametrize(
    ("model", "told"),
    [("smollm2-135m-instruct", "make vllm"), ("/no/such/folder", "no config.json")],
    ids=["not converted", "no folder"],
)
async def test_missing_weights_tell_the_next_step(machine: Machine, model: str, told: str) -> None:
    assert told in str(await failure(machine.client(model=model)))


async def test_the_key_is_seen_by_nobody_else(machine: Machine) -> None:
    async with machine.client() as client:
        told = await facts(client)
        state = machine.folder / "state.json"
        key = json.loads(state.read_text())["key"]
        assert stat.S_IMODE(state.stat().st_mode) == 0o600
        assert stat.S_IMODE(machine.folder.stat().st_mode) == 0o700
        command = ["ps", "-ww", "-o", "args=", str(told["pid"]), str(told["keeper"])]
        listed = await asyncio.to_thread(subprocess.check_output, command, text=True)
        assert "_keeper" in listed
        assert key not in listed
        assert key not in f"{client!r} {client.identity} {client.endpoint}"


async def test_the_program_gets_name_flags_and_environment(machine: Machine) -> None:
    launch = {"max_model_len": 2048, "args": {"enforce_eager": True}, "env": {"GREETING": "hello"}}
    async with machine.client(launch=launch) as client:
        told = await facts(client)
    flags = told["flags"]
    assert isinstance(flags, list)
    assert flags[:4] == ["--model", str(machine.weights), "--served-model-name", "tiny"]
    own = [flag for flag in flags[4:-4] if flag != "--no-enable-chunked-prefill"]  # there once 'make vllm' was run here
    assert own == ["--disable-uvicorn-access-log", "--max-model-len", "2048", "--enforce-eager"]
    assert flags[-4:-1] == ["--host", "127.0.0.1", "--port"]
    assert (told["model"], told["greeting"]) == ("tiny", "hello")


async def test_it_can_be_watched(machine: Machine) -> None:
    async with machine.client() as client, client.watch() as watch:
        assert (await client.metrics()).running == 3
    assert (watch.load.readings, watch.load.peak_running) == (2, 3)


def test_the_identity_is_what_decides_answers_and_no_place(machine: Machine) -> None:
    def of(**fields: object) -> str:
        return machine.client(**fields).identity  # type: ignore[arg-type]  # a mode is not among them

    plain = of()
    assert plain.startswith("vllm/tiny@")
    assert str(machine.home) not in plain
    assert of(max_concurrency=3, launch={"max_num_seqs": 3, "gpu_memory_utilization": 0.5}) == plain
    template = machine.home / "chat.jinja"
    template.write_text("{{ messages }}")
    different = [
        of(launch={"dtype": "float16"}),
        of(launch={"quantization": "fp8"}),
        of(launch={"revision": "main"}),
        of(launch={"args": {"seed": 3}}),
        of(launch={"chat_template": str(template)}),
        of(extra={"top_k": 1}),
    ]
    template.write_text("{{ messages[-1] }}")
    different.append(of(launch={"chat_template": str(template)}))
    (machine.weights / "model.safetensors").write_bytes(b"other weights")
    different.append(of())
    assert len({plain, *different}) == 1 + len(different)


def test_the_identity_of_a_registered_model_needs_no_weights(machine: Machine) -> None:
    assert machine.client(model="smollm2-135m-instruct").identity == "vllm/smollm2-135m-instruct@b179c9523d0e"
    assert machine.client(model="Qwen/Qwen2.5-7B-Instruct").identity == "vllm/Qwen/Qwen2.5-7B-Instruct"


def test_a_prompt_is_never_longer_than_the_context_that_is_set(machine: Machine) -> None:
    assert machine.client(launch={"max_model_len": 256}).prompt_tokens_bound(ASK * 50) == 256
    assert machine.client().prompt_tokens_bound(ASK * 50) > 2000


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"api_key": "x" * 9}, "a key of its own"),
        ({"launch": {"args": {"port": 1}}}, "must not set 'port'"),
        ({"launch": {"args": {"served_model_name": "x"}}}, "must not set 'served_model_name'"),
        ({"extra": {"seed": 3}}, "must not set 'seed'"),
    ],
    ids=["key", "port", "name", "extra"],
)
def test_what_archloom_sets_is_refused_before_anything_starts(
    machine: Machine, fields: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        machine.client(**fields)  # type: ignore[arg-type]  # a mode is not among them


def test_a_model_without_address_is_launched(machine: Machine) -> None:
    assert isinstance(open_client(machine.spec(), environ=machine.environ), LaunchedVLLMClient)


async def test_a_client_is_not_entered_twice_at_once(machine: Machine) -> None:
    client = machine.client()
    start = asyncio.ensure_future(client.__aenter__())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="once at a time"):
        await client.__aenter__()
    await start
    with Process((await facts(client))["pid"]) as server:
        await client.__aexit__(None, None, None)
        assert await server.ends(), "no place is left taken"


async def test_a_client_that_is_not_open_says_so(machine: Machine) -> None:
    client = machine.client()
    with pytest.raises(RuntimeError, match="async with"):
        await client.complete(ASK, Sampling(), seed=1)
    async with client:
        with pytest.raises(RuntimeError, match="already open"):
            await client.__aenter__()

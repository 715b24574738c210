"""The provider ``vllm`` with the real thing: one server for all tests, started through archloom (``--run-vllm``).

It takes the interpreter of ``ARCHLOOM_VLLM_PYTHON``, or that of ``make vllm``.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from archloom.graphs import VLLMModel
from archloom.nodes import Completion, Messages, OutputFormat, Sampling
from archloom.orchestrator import Workflow
from archloom.orchestrator.errors import ModelCallError, ModelUnavailableError
from archloom.orchestrator.models import Client, Progress
from archloom.orchestrator.models.vllm._launched import LaunchedVLLMClient
from archloom.testing._clients import ClientConformance

pytestmark = pytest.mark.vllm

MODEL = "smollm2-135m-instruct"
LAUNCH = {
    "max_model_len": 2048,
    "prefix_caching": True,
    # Left free, a model this small fills its JSON with blanks until its tokens are used up.
    "args": {"structured-outputs-config": '{"backend": "guidance", "disable_any_whitespace": true}'},
}
ASK: Messages = ({"role": "user", "content": "Tell me a story about a fox."},)
LONG: Messages = ({"role": "user", "content": "Count the words. " + "The fox went down to the river again. " * 60},)

USER = """
import asyncio, json, os, sys
from archloom.graphs import VLLMModel
from archloom.orchestrator.models.vllm._launched import LaunchedVLLMClient

async def main():
    async with LaunchedVLLMClient(VLLMModel.model_validate_json(sys.argv[1]), environ=os.environ) as client:
        state = json.loads((client.server.folder / "state.json").read_text())
        print(state["pid"], flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def spec(**fields: object) -> VLLMModel:
    return VLLMModel.model_validate({"model": MODEL, "launch": LAUNCH, **fields})


def make(**fields: object) -> LaunchedVLLMClient:
    return LaunchedVLLMClient(spec(**fields), environ=os.environ)


@dataclass
class Holder:
    """Another process, which has started the server and uses it."""

    process: subprocess.Popen[str]
    server: int
    start_s: float

    def server_ends(self, within_s: float) -> bool:
        return select.select([self.server], [], [], within_s)[0] == [self.server]


@pytest.fixture(scope="module")
def holder() -> Iterator[Holder]:
    started = time.monotonic()
    command = [sys.executable, "-c", USER, spec().model_dump_json()]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told, "vLLM did not come up"
        server = os.pidfd_open(int(told))
        yield Holder(process, server, time.monotonic() - started)
        process.kill()
    os.close(server)


@pytest.fixture
async def client(holder: Holder) -> AsyncIterator[LaunchedVLLMClient]:
    async with make() as client:
        yield client


class TestConformance(ClientConformance):
    deterministic = False  # what a batch holds changes the roundings of all that is in it

    @pytest.fixture
    def client(self, holder: Holder) -> Client:
        return make()


class TestConformanceOfStreams(ClientConformance):
    deterministic = False

    @pytest.fixture
    def client(self, holder: Holder) -> Client:
        return make(stream=True)


async def drawn(client: Client, count: int, sampling: Sampling, question: Messages = ASK) -> list[Completion]:
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(client.complete(question, sampling, seed=seed)) for seed in range(count)]
    return [call.result() for call in calls]


async def test_the_same_seed_gives_the_same_text_on_an_idle_server(client: LaunchedVLLMClient) -> None:
    sampling = Sampling(temperature=0.9, max_tokens=24)
    first, again = [[(await client.complete(ASK, sampling, seed=seed)).text for seed in range(4)] for _ in range(2)]
    assert again == first
    assert len(set(first)) > 1


async def test_seeds_give_different_texts_and_many_at_once_do_not_break_the_engine(client: LaunchedVLLMClient) -> None:
    """Prompts that a chunked prefill would compute in parts kill a server on a CPU."""
    started = time.monotonic()
    samples = await drawn(client, 48, Sampling(temperature=0.9, max_tokens=16), LONG)
    print(f"{sum(each.tokens_out for each in samples) / (time.monotonic() - started):.0f} tokens/s")
    assert len({each.text for each in samples}) > 20
    assert not any(each.estimated for each in samples)


async def test_logprobs_belong_to_the_tokens_and_their_mean_is_told(client: LaunchedVLLMClient) -> None:
    sampling = Sampling(temperature=0, max_tokens=12, logprobs=3)
    got = await client.complete(ASK, sampling, seed=1)
    assert "".join(token.text for token in got.tokens) == got.text
    assert len(got.tokens) == got.tokens_out
    assert all(token.logprob == token.top[0][1] for token in got.tokens), "greedy takes the likeliest"
    assert all(sum(math.exp(logprob) for _, logprob in token.top) <= 1 + 1e-6 for token in got.tokens)
    assert got.logprob == pytest.approx(sum(token.logprob for token in got.tokens) / got.tokens_out)


@pytest.mark.parametrize("alternatives", [None, 2], ids=["alone", "with alternatives"])
async def test_prompt_logprobs_spell_the_prompt(client: LaunchedVLLMClient, alternatives: int | None) -> None:
    sampling = Sampling(max_tokens=1, prompt_logprobs=True, logprobs=alternatives)
    got = await client.complete(ASK, sampling, seed=1)
    assert len(got.prompt_tokens) == got.tokens_in
    text = "".join(token.text for token in got.prompt_tokens)
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("<|im_start|>user\nTell me a story about a fox.<|im_end|>\n<|im_start|>assistant\n")
    assert got.prompt_tokens[0].logprob == 0
    assert all(token.logprob < 0 for token in got.prompt_tokens[1:])
    assert all(bool(token.top) == (alternatives is not None) for token in got.prompt_tokens[20:30])


async def test_a_likely_continuation_has_likelier_prompt_tokens(client: LaunchedVLLMClient) -> None:
    async def of(answer: str) -> float:
        asked: Messages = (
            {"role": "user", "content": "The capital of France?"},
            {"role": "assistant", "content": answer},
        )
        got = await client.complete(asked, Sampling(max_tokens=1, prompt_logprobs=True), seed=1)
        return got.prompt_tokens[-1].logprob

    assert await of("The capital of France is Paris") > await of("The capital of France is banana")


async def test_a_reply_goes_on_where_it_was_cut(client: LaunchedVLLMClient) -> None:
    """Compared by their first words: another prompt length may round another way and so draw another word later."""
    cold = Sampling(temperature=0, max_tokens=24)
    whole = await client.complete(ASK, cold, seed=1)
    begun = await client.complete(ASK, replace(cold, max_tokens=10), seed=1)
    opened: Messages = (*ASK, {"role": "assistant", "content": begun.text})
    rest = await client.complete(opened, replace(cold, max_tokens=14), seed=1)
    assert begun.finish == "length"
    assert abs(rest.tokens_in - begun.tokens_in - begun.tokens_out) <= 1, "a prefix may be tokenized another way"
    assert (begun.text + rest.text)[: len(begun.text) + 12] == whole.text[: len(begun.text) + 12]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_reply_pauses_and_goes_on(holder: Holder, stream: bool) -> None:
    cold = Sampling(temperature=0, max_tokens=24)
    async with make(stream=stream) as client:
        whole = await client.complete(ASK, cold, seed=1)
        word = whole.text.split(maxsplit=3)[2]
        begun = await client.complete(ASK, replace(cold, pause=("no such word", word)), seed=1)
        opened: Messages = (*ASK, {"role": "assistant", "content": begun.text})
        rest = await client.complete(opened, replace(cold, pause=(word,)), seed=1)
    assert (begun.text, begun.finish) == (whole.text[: whole.text.index(word) + len(word)], "stop")
    assert rest.text, "the word that is there already does not stop it again"


SCHEMA = {
    "type": "object",
    "properties": {"animal": {"enum": ["fox", "bear"]}, "age": {"type": "integer", "minimum": 1, "maximum": 20}},
    "required": ["animal", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("kind", "value", "pattern"),
    [
        ("choice", ["fox", "a grey wolf"], r"fox|a grey wolf"),
        ("regex", r"[0-9]{3}-[A-C]{2}", r"[0-9]{3}-[A-C]{2}"),
        ("json_schema", SCHEMA, r"\{.*\}"),
    ],
    ids=["choice", "regex", "json"],
)
async def test_output_has_the_form_that_was_asked_for(
    client: LaunchedVLLMClient, kind: str, value: object, pattern: str
) -> None:
    output = OutputFormat(kind, json.dumps(value))  # type: ignore[arg-type]  # a parameter is any string
    for seed in range(3):
        got = await client.complete(ASK, Sampling(temperature=1.2, max_tokens=60, output=output), seed=seed)
        assert re.fullmatch(pattern, got.text.strip(), re.DOTALL), got.text
        if kind == "json_schema":
            assert json.loads(got.text)["animal"] in ("fox", "bear")


async def test_a_pattern_that_is_none_is_a_bad_request(client: LaunchedVLLMClient) -> None:
    with pytest.raises(ModelCallError, match="regex") as caught:
        await client.complete(ASK, Sampling(output=OutputFormat("regex", json.dumps("("))), seed=1)
    assert caught.value.failure == "bad_request"


async def test_a_conversation_that_ends_with_the_assistant_goes_on_there(client: LaunchedVLLMClient) -> None:
    whole = await client.complete(ASK, Sampling(temperature=0, max_tokens=10, logprobs=0), seed=1)
    half = "".join(token.text for token in whole.tokens[:5])
    asked: Messages = (*ASK, {"role": "assistant", "content": half})
    rest = await client.complete(asked, Sampling(temperature=0, max_tokens=5), seed=1)
    assert half + rest.text == whole.text


async def test_a_stream_tells_its_tokens_as_they_come_and_stops_when_cancelled(client: LaunchedVLLMClient) -> None:
    heard: list[int | None] = []
    enough = asyncio.Event()

    def hear(text: str) -> None:
        heard.append(progress.tokens_out)
        if len(heard) == 5:
            enough.set()

    progress = Progress(on_text=hear)
    before = (await client.metrics()).tokens_out
    call = asyncio.ensure_future(client.complete(ASK, Sampling(max_tokens=1500), seed=1, progress=progress))
    await enough.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert progress.tokens_in is not None and progress.tokens_in > 20
    assert progress.tokens_out is not None and 5 <= progress.tokens_out < 100
    # The next call is answered by an idle server that has not gone on writing.
    await client.complete(ASK, Sampling(max_tokens=64), seed=2)
    after = await client.metrics()
    assert after.tokens_out - before < 400
    assert after.running == 0


async def test_a_prompt_that_is_too_long_says_so(client: LaunchedVLLMClient) -> None:
    with pytest.raises(ModelCallError) as caught:
        await client.complete(({"role": "user", "content": "a b c " * 2000},), Sampling(), seed=1)
    assert caught.value.failure == "context_length"


async def test_several_samples_of_one_request_are_different(holder: Holder) -> None:
    async with make(n=4) as client:
        samples = await drawn(client, 4, Sampling(temperature=1.0, max_tokens=12))
        assert len({each.text for each in samples}) > 1
        assert sum(each.tokens_in for each in samples) < 100, "the prompt is paid once"


async def test_a_prompt_that_was_seen_is_found_in_the_cache(client: LaunchedVLLMClient) -> None:
    async with client.watch(every_s=0.2) as watch:
        await client.complete(LONG, Sampling(max_tokens=2), seed=1)
        await drawn(client, 6, Sampling(max_tokens=24), LONG)
    load = watch.load
    assert load.prefix_hit_rate is not None and load.prefix_hit_rate > 0.4
    assert load.peak_kv_cache_use > 0
    assert load.peak_running > 1
    assert load.tokens_out >= 6 * 2
    assert load.readings > 2


async def test_two_workflows_use_one_server(client: LaunchedVLLMClient, tmp_path: Path) -> None:
    before = await client.metrics()
    workflows = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.yaml"
        model = json.dumps({"provider": "vllm", "model": MODEL, "launch": LAUNCH})
        node = "{type: generator, model: tiny, samples: 2, max_tokens: 8}"
        path.write_text(
            f"archloom: 1\nname: {name}\nmodels: {{tiny: {model}}}\nnodes: {{draft: {node}}}\noutput: draft\n"
        )
        workflows.append(Workflow.load(path))
    async with asyncio.TaskGroup() as group:
        runs = [group.create_task(workflow.arun("Tell me about foxes.")) for workflow in workflows]
    assert [run.result().error for run in runs] == [None, None]
    used = sum(run.result().usage.tokens_out for run in runs)
    assert (await client.metrics()).tokens_out - before.tokens_out == used > 0


async def test_a_bad_flag_is_told_by_its_name(holder: Holder) -> None:
    with pytest.raises(ModelUnavailableError, match="unrecognized arguments: --no-such-flag"):
        await make(launch={"args": {"no-such-flag": 3}}).__aenter__()


async def test_the_server_outlives_a_killed_user_and_is_gone_after_the_last(holder: Holder) -> None:
    async with make() as client:
        holder.process.kill()
        await asyncio.to_thread(holder.process.wait)
        assert (await client.complete(ASK, Sampling(max_tokens=2), seed=1)).tokens_in
        assert not holder.server_ends(0.5)
    assert await asyncio.to_thread(holder.server_ends, 30)
    print(f"start {holder.start_s:.0f} s")

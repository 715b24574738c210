"""What the log of a vLLM server says about its end, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 1 << 20
_TAIL_LINES = 300
"""The tracebacks of one end take about 170; what went wrong long before was something else."""
_LAST_LINES = 3
_LONGEST = 600

_PREFIX = re.compile(r"^\([^)]*\) (?:ERROR [^\]]*\] )?")
"""``(Worker pid=7961) ERROR 11-22 20:41:34 [multiproc_executor.py:1063] ``."""
_CAUSE = re.compile(r"^(?:[\w.]+(?:Error|Exception)\b.*: |.*: error: |.*No module named )")
"""The last line of a traceback, or what a command line says that is wrong."""
_NOISE = ("resource_tracker", "warnings.warn(")
_CONSEQUENCES = ("Engine core initialization failed", "WorkerProc initialization failed", "Cancelled by lifecycle")

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"No module named '?vllm|could not be started",
        "Install vLLM (make vllm, or: pip install vllm), or name an interpreter that has it: launch.python of the "
        "model, or ARCHLOOM_VLLM_PYTHON.",
    ),
    (
        r"unrecognized arguments|error: argument|ValidationError",
        "Correct 'launch' of the model; the names in launch.args are vLLM's engine flags.",
    ),
    (
        r"CPU Generator does not use offset",
        "This vLLM breaks when it computes the prompt of a request with a seed in parts: set launch.args of the "
        "model to {enable-chunked-prefill: false}.",
    ),
    (
        r"out ?of ?memory|(available|free|allocate) memory|KV cache is|max seq len",
        "Lower launch.gpu_memory_utilization or launch.max_model_len of the model, or make room: on a CPU the share "
        "is one of the memory.",
    ),
    (
        r"not a valid model identifier|not a local folder|RepositoryNotFound|LocalEntryNotFound|couldn't connect"
        r"|No such file or directory|Can't load|Cannot find any model weights|does not appear to have",
        "Correct 'model': a name at its hub (and there must be a way to it), a local folder, or a name of "
        "'archloom models list'.",
    ),
    (r"address already in use", "Run the same command again."),
)


def cause_in(log: Path) -> str:
    """The line that says why it ended, and the last lines; nothing when the log is empty.

    vLLM ends with the traceback of the process that noticed, some screens below that of the process that failed.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    lines = [line for each in text.splitlines() if (line := _PREFIX.sub("", each).strip())]
    lines = [line for line in lines if not any(word in line for word in _NOISE)][-_TAIL_LINES:]
    causes = [place for place, line in enumerate(lines) if _is_cause(line)]
    told = lines[-_LAST_LINES:]
    if causes:
        told = [lines[causes[0]], *lines[causes[0] + 1 :][-_LAST_LINES:]]
    return " | ".join(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in told)


def _is_cause(line: str) -> bool:
    return _CAUSE.match(line) is not None and not any(word in line for word in _CONSEQUENCES)


def hint_for(said: str, log: Path) -> str:
    """The next step after this end."""
    for pattern, hint in _HINTS:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{hint} The whole log: {log}"
    return f"The whole log: {log}"

"""What is told when a vLLM server does not come up, from logs of version 0.32."""

from __future__ import annotations

from pathlib import Path

import pytest

from archloom.orchestrator.models.vllm._log import cause_in, hint_for

MEMORY = """\
(APIServer pid=7463) WARNING 11-22 20:34:04 [system_utils.py:255] This can cause errors like `OSError: [Errno 24] Too
(VllmWorker-0 pid=7605) ERROR 11-22 20:34:36 [multiproc_executor.py:953] WorkerProc failed to start.
(VllmWorker-0 pid=7605) ERROR 11-22 20:34:36 [multiproc_executor.py:953]     raise ValueError(
(VllmWorker-0 pid=7605) ERROR 11-22 20:34:36 [multiproc_executor.py:953] ValueError: Available memory on node 0 is less
(EngineCore pid=7550) ERROR 11-22 20:34:39 [core.py:1510] EngineCore failed to start.
(EngineCore pid=7550) ERROR 11-22 20:34:39 [core.py:1510] Exception: WorkerProc initialization failed due to an exception
    raise RuntimeError(
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore': 1}
"""
FLAG = """\
usage: api_server.py [-h] [--headless] [--api-server-count API_SERVER_COUNT]
                     [model_tag]
api_server.py: error: unrecognized arguments: --max-model-lem
"""
NOT_THERE = """\
OSError: We couldn't connect to the hub to load the files, and couldn't find them in the cached files.
Check your internet connection or see how to run the library in offline mode.
"""
NOT_INSTALLED = (
    "/usr/bin/python: Error while finding module specification for 'vllm.entrypoints.openai.api_server' "
    "(ModuleNotFoundError: No module named 'vllm')\n"
)
TOO_LONG = """\
pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig
  Value error, User-specified max_model_len (900000) is greater than the derived max_model_len
    For further information visit https://errors.pydantic.dev/2.14/v/value_error
"""
KILLED = """\
/usr/lib/python3.11/resource_tracker.py:254: UserWarning: There appear to be 2 leaked shared_memory objects
  warnings.warn('resource_tracker: There appear to be %d '
INFO: Started
INFO: Ready
"""
OFFSET = "(Worker pid=7961) ERROR 11-22 20:41:34 [executor.py:1063] RuntimeError: CPU Generator does not use offset\n"


@pytest.mark.parametrize(
    ("log", "cause", "hint"),
    [
        (MEMORY, "ValueError: Available memory on node 0 is less", "launch.gpu_memory_utilization"),
        (FLAG, "api_server.py: error: unrecognized arguments: --max-model-lem", "Correct 'launch'"),
        (NOT_THERE, "OSError: We couldn't connect to the hub", "Correct 'model'"),
        (NOT_INSTALLED, "/usr/bin/python: Error while finding module", "make vllm"),
        (TOO_LONG, "pydantic_core._pydantic_core.ValidationError: 1 validation error", "Correct 'launch'"),
        (OFFSET, "RuntimeError: CPU Generator does not use offset", "{enable-chunked-prefill: false}"),
        (KILLED, "INFO: Started", "The whole log"),
    ],
    ids=["memory", "flag", "model", "not installed", "too long", "seeds on a CPU", "killed"],
)
def test_the_cause_comes_first_and_the_next_step_fits(tmp_path: Path, log: str, cause: str, hint: str) -> None:
    path = tmp_path / "log"
    path.write_text(log)
    said = cause_in(path)
    assert said.startswith(cause)
    assert said.endswith(log.strip().splitlines()[-1].strip()[-20:]), "the last line is there"
    assert hint in hint_for(said, path)
    assert str(path) in hint_for(said, path)


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_log_says_nothing(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "log"
    if exists:
        path.touch()
    assert cause_in(path) == ""


def test_an_error_that_was_survived_is_not_the_cause(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ValueError: a bad request\n" + "all is well\n" * 500 + OFFSET)
    assert cause_in(path) == "RuntimeError: CPU Generator does not use offset"


def test_a_huge_log_is_not_read_as_a_whole_and_long_lines_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ValueError: long ago\n" + "x" * (2 << 20) + "\nlast\n")
    said = cause_in(path)
    assert "long ago" not in said
    assert said.endswith("… | last")
    assert len(said) < 2000

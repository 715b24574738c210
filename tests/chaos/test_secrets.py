"""Keys in the environment and in headers appear nowhere: not in logs, stores, events, reports, or on the screen."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import archloom
from archloom.testing import Asked, LoopbackServer, Served

KEY, HEADER = "sk-planted-0123456789", "header-planted-0123456789"
SPACE = """\
archloom: 1
answer: number
models:
  m:
    provider: openai
    model: m
    base_url: "{url}"
    api_key: "${{PLANTED_KEY}}"
    headers: {{X-Secret-Token: "${{PLANTED_HEADER}}"}}
    retries: 1
nodes:
  draft: {{type: generator, model: m, samples: {{choose: [1, 2]}}, max_tokens: 32}}
  answer: {{type: vote, after: draft}}
output: answer
search: {{tasks: "simulated:t?size=12", search_tasks: 4, report_tasks: 4}}
"""


def answering(asked: Asked) -> Served:
    return Served(f"The answer is {asked.number % 5}.")


@pytest.mark.slow
async def test_planted_keys_are_nowhere(tmp_path: Path) -> None:
    shares = {"server": 0.2, "rate_limit": 0.1, "html": 0.1, "truncated": 0.1}
    async with LoopbackServer(answering, fault_shares=shares, seed=3, retry_after_s=0) as server:  # type: ignore[arg-type]
        (tmp_path / "space.yaml").write_text(SPACE.format(url=server.url))
        environ = {
            **os.environ,
            "PLANTED_KEY": KEY,
            "PLANTED_HEADER": HEADER,
            "PYTHONPATH": str(Path(archloom.__file__).parent.parent),
            "PYTHONASYNCIODEBUG": "1",  # the most talkative there is
            "ARCHLOOM_HOME": str(tmp_path / "home"),
        }
        said = ""
        for command in (
            ["search", "space.yaml", "--out", "run"],
            ["eval", "run/best.yaml", "--tasks", "simulated:t?size=12", "--out", "eval"],
            ["run", "run/best.yaml", "Simulated task t/12/0: find its number.", "--trace", "--json"],
            ["store", "export", "samples.jsonl"],
            ["report", "run", "--json"],
        ):
            ended = await _run(command, tmp_path, environ)
            assert ended[0] in {0, 1}, ended
            said += ended[1]
    assert server.requests
    assert {asked.headers["authorization"] for asked in server.requests} == {f"Bearer {KEY}"}
    assert {asked.headers["x-secret-token"] for asked in server.requests} == {HEADER}
    _look_for_secrets(tmp_path, said)


def _look_for_secrets(folder: Path, said: str) -> None:
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert {"events.jsonl", "report.html", "best.yaml", "samples.sqlite", "samples.jsonl"} <= {p.name for p in written}
    for secret in (KEY, HEADER):
        assert secret not in said
        for path in written:
            assert secret.encode() not in path.read_bytes(), path.name


async def _run(command: list[str], folder: Path, environ: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from archloom.cli import main; main()", *command),
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()

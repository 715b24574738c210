"""Shared by all tests: tiers, and data that may be absent."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))

# How long an example takes says how busy the machine is, and nothing of the code. In CI a commit is judged by the same
# examples each time; elsewhere they are new ones, which find more.
settings.register_profile("archloom", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("archloom")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="also run tests that start a real model")
    parser.addoption("--run-vllm", action="store_true", help="also run tests that start vLLM (make vllm)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    tiers = {
        "slow": "starts a real model or takes long; run with --run-slow",
        "vllm": "starts vLLM; run with --run-vllm",
    }
    # A tier that was not asked for is skipped with its reason; .ci/run asks for all of them, one after the other.
    for tier, reason in tiers.items():
        if not config.getoption(f"--run-{tier}"):
            for item in items:
                if tier in item.keywords:
                    item.add_marker(pytest.mark.skip(reason=reason))  # run by .ci/run


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is not beside this repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Connection string of a fresh PostgreSQL, without a user; owned by nobody, since it refuses to run as root."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed (/usr/lib/postgresql/*/bin)")
    folder = Path(tempfile.mkdtemp(prefix="archloom-pg-"))  # pytest's folders are closed to nobody
    prefix: list[str] = []
    if os.geteuid() == 0:
        prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        os.chown(folder, 65534, 65534)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"

    def call(program: str, *arguments: str) -> None:
        subprocess.run([*prefix, str(POSTGRES[-1] / program), *arguments], check=True, capture_output=True, cwd="/")

    try:
        call("initdb", "-D", str(data), "-U", "owner", "-A", "trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        call("pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", options, "start")
        yield f"host=127.0.0.1 port={port} dbname=postgres"
    finally:
        subprocess.run(
            [*prefix, str(POSTGRES[-1] / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"],
            check=False, capture_output=True, cwd="/",
        )  # fmt: skip
        shutil.rmtree(folder)

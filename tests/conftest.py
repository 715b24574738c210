"""Shared by all tests: tiers, and data that may be absent."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
                    item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real data is not beside this repository (../shared/data)")
    return folder

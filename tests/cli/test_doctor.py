"""What ``archloom doctor`` says of the sandbox: which level is used, which others there are, and why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from archloom.tools.sandboxes import sandbox_levels

Cli: TypeAlias = Callable[..., tuple[int, str, str]]


def _sandboxes(cli: Cli) -> dict[str, dict[str, Any]]:
    _, out, _ = cli("doctor", "--json")
    return {each["what"]: each for each in json.loads(out) if each["what"].startswith("sandbox")}


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text("#!/bin/sh\necho 'is the engine running?' >&2\nexit 1\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(docker.parent))


@pytest.mark.usefixtures("no_docker")
def test_used_level_and_the_others_are_named_with_reasons(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHLOOM_SANDBOX", raising=False)
    if sandbox_levels()["bwrap"] is not None:
        pytest.skip("bubblewrap does not work here")
    found = _sandboxes(cli)
    assert list(found) == ["sandbox", "sandbox level docker", "sandbox level none"]
    assert found["sandbox"]["ok"] is True
    assert found["sandbox"]["detail"].startswith("bwrap: ")
    assert found["sandbox level docker"] == {
        "what": "sandbox level docker",
        "ok": False,
        "detail": "is the engine running?",
        "needed": False,
    }
    assert "WITHOUT a sandbox" in found["sandbox level none"]["detail"]


@pytest.mark.usefixtures("no_docker")
def test_level_that_was_chosen_and_does_not_work_is_a_miss(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLOOM_SANDBOX", "docker")
    assert cli("doctor")[0] == 1
    found = _sandboxes(cli)["sandbox"]
    assert (found["ok"], found["needed"]) == (False, True)
    assert "is the engine running?" in found["detail"]
    assert "docker pull" in found["detail"]


def test_no_sandbox_is_called_by_its_name(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLOOM_SANDBOX", "none")
    assert _sandboxes(cli)["sandbox"]["detail"] == "none: model-written programs run WITHOUT a sandbox"


def test_choice_that_does_not_exist_is_a_miss_with_those_that_do(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHLOOM_SANDBOX", "chroot")
    found = _sandboxes(cli)["sandbox"]
    assert found["ok"] is False
    assert "unknown level 'chroot'. Known are bwrap, docker, none." in found["detail"]


def test_machine_without_docker_is_told_so(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _sandboxes(cli)["sandbox level docker"]["detail"] == "there is no 'docker' to be run"

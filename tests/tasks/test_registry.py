"""Kinds of task sets that plug-ins bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from archloom.tasks import TaskSet, load_tasks, register, task_loaders


def test_registered_loader_gets_what_follows_the_prefix() -> None:
    def load(rest: str, base: Path) -> TaskSet:
        assert (rest, base) == ("a:b?c", Path("folder"))
        return load_tasks("simulated:from-plugin?size=1")

    register("test-registry")(load)
    assert load_tasks("test-registry:a:b?c", base=Path("folder")).name.startswith("simulated:from-plugin")
    assert "test-registry" in task_loaders()
    register("test-registry")(load)  # the same one again is no conflict
    with pytest.raises(ValueError, match="registered twice"):
        register("test-registry")(lambda rest, base: load(rest, base))

"""What a user sees: names, their order, what an import costs, and errors with codes."""

from __future__ import annotations

import json
import os
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import archloom
from archloom.tools.errors import ArchloomError

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("langgraph", "langchain_core", "optuna", "litellm", "vllm", "ray")


def _modules() -> Iterator[ModuleType]:
    yield archloom
    for found in pkgutil.walk_packages(archloom.__path__, "archloom."):
        if not found.name.endswith(("llamacpp._child", "vllm._convert")):  # programs, not modules
            yield import_module(found.name)


MODULES = list(_modules())
PACKAGES = [module for module in MODULES if hasattr(module, "__path__")]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_public_names_are_those_of_all(package: ModuleType) -> None:
    listed = list(package.__all__)
    assert listed == sorted(listed)
    assert not [name for name in listed if not hasattr(package, name)]
    of_python = {"annotations", "TYPE_CHECKING"}
    public = {
        name for name, value in vars(package).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public - of_python <= set(listed)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_package_and_public_class_or_function_has_a_docstring(package: ModuleType) -> None:
    assert package.__doc__
    undocumented = [
        name
        for name in package.__all__
        if callable(value := getattr(package, name))
        and str(getattr(value, "__module__", "")).startswith("archloom")
        and not value.__doc__
    ]
    assert undocumented == []


QUICK = {
    "help": ["--help"],
    "help of search": ["search", "--help"],
    "validate": ["validate", "space.yaml"],
    "graph": ["graph", "space.yaml"],
    "plan": ["plan", "space.yaml"],
    "plan of a workflow": ["plan", "space.yaml", "--set", "nodes.draft.samples=1"],
}
SPACE = """\
archloom: 1
models:
  m: {provider: openai, model: x}
nodes:
  draft: {type: generator, model: m, samples: {choose: [1, 2]}}
output: draft
"""


@pytest.mark.parametrize("arguments", QUICK.values(), ids=QUICK)
def test_command_that_only_looks_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    loaded = _loaded_by(arguments, tmp_path)
    heavy = HEAVY if arguments[0] == "plan" else (*HEAVY, "aiohttp", "numpy", "scipy", "reasoning_gym")
    assert [name for name in heavy if name in loaded] == []


def test_importing_archloom_imports_no_room_but_the_ground(tmp_path: Path) -> None:
    loaded = _loaded_by(None, tmp_path)
    assert {name for name in loaded if name.startswith("archloom.")} == {"archloom.tools", "archloom.tools.errors"} | {
        name for name in loaded if name.startswith("archloom.tools.")
    }


def _loaded_by(arguments: list[str] | None, folder: Path) -> set[str]:
    """Modules that a fresh process has loaded after this command, or after ``import archloom``."""
    run = "import archloom" if arguments is None else f"from archloom.cli import main; main({arguments!r})"
    program = f"import atexit, json, sys\natexit.register(lambda: print('\\n' + json.dumps(list(sys.modules))))\n{run}"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(archloom.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ended.stdout.splitlines()[-1]))


def _errors(cls: type[ArchloomError] = ArchloomError) -> Iterator[type[ArchloomError]]:
    yield cls
    for below in cls.__subclasses__():
        if below.__module__.startswith("archloom."):
            yield from _errors(below)


ERRORS = sorted(set(_errors()), key=lambda cls: cls.__name__)


def test_every_error_has_its_own_code() -> None:
    codes = Counter(cls.code for cls in ERRORS)
    assert [code for code, count in codes.items() if count > 1] == []
    assert all(re.fullmatch(r"E\d{3}", code) for code in codes)


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_error_is_explained_in_the_documentation(cls: type[ArchloomError]) -> None:
    assert re.search(rf"\b{cls.code}\b", (ROOT / "docs/errors.md").read_text())


def test_whole_tree_of_errors_is_drawn() -> None:
    drawn = _drawn_tree((archloom.__doc__ or "").partition("Errors, one tree::")[2])
    assert drawn == {cls.__name__: cls.__base__.__name__ for cls in ERRORS if cls is not ArchloomError and cls.__base__}


def _drawn_tree(text: str) -> dict[str, str]:
    """Error → its base, as drawn: a line may name several errors, and a deeper line belongs to the one above."""
    bases: dict[str, str] = {}
    above: dict[int, str] = {}
    for line in text.splitlines():
        if names := re.findall(r"\b\w+Error\b", line):
            depth = line.index(names[0])
            base = next((above[each] for each in sorted(above, reverse=True) if each < depth), None)
            above = {each: name for each, name in above.items() if each < depth} | {depth: names[-1]}
            bases.update({name: base for name in names if base is not None})
    return bases


def test_every_problem_code_of_documents_is_explained() -> None:
    codes = {code for path in (ROOT / "graphs").glob("*.py") for code in re.findall(r'"(E0\d\d)"', path.read_text())}
    assert codes
    documented = (ROOT / "docs/errors.md").read_text()
    assert sorted(code for code in codes if not re.search(rf"\b{code}\b", documented)) == []


@pytest.mark.parametrize("cls", ERRORS, ids=lambda cls: cls.__name__)
def test_exit_code_of_an_error_is_one_of_the_documented_ones(cls: type[ArchloomError]) -> None:
    assert cls.exit_code in {1, 2, 3}

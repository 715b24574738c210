"""What is installed is what the folders hold: packages, links, and the files that are not Python."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
ROOMS = {
    name.removeprefix("archloom."): folder for name, folder in SETUPTOOLS["package-dir"].items() if name != "archloom"
}


def _packages() -> dict[str, Path]:
    """All packages that lie in the folders, by their import name."""
    found = {"archloom": ROOT / "src/archloom"}
    for base, name in [(ROOT / "src/archloom", "archloom"), *((ROOT / f, f"archloom.{r}") for r, f in ROOMS.items())]:
        for init in base.rglob("__init__.py"):
            inside = init.parent.relative_to(base)
            if not (name == "archloom" and inside.parts and (base / inside.parts[0]).is_symlink()):
                found[".".join((name, *inside.parts))] = init.parent
    return found


PACKAGES = _packages()


def test_list_of_packages_is_that_of_the_folders() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(PACKAGES)


def test_folders_with_code_are_packages() -> None:
    with_code = {
        path.parent for base in (ROOT / "src", *(ROOT / f for f in ROOMS.values())) for path in base.rglob("*.py")
    }
    assert with_code - set(PACKAGES.values()) == set()


def test_list_of_packages_is_in_order() -> None:
    assert SETUPTOOLS["packages"] == sorted(SETUPTOOLS["packages"])


def test_every_room_is_linked_to_its_folder() -> None:
    links = {path.name: path for path in (ROOT / "src/archloom").iterdir() if path.is_symlink()}
    assert set(links) == set(ROOMS)
    for name, link in links.items():
        assert link.readlink() == Path("../..") / ROOMS[name]
        assert (link / "__init__.py").is_file()


def test_every_file_that_is_not_python_is_package_data() -> None:
    forgotten = []
    for name, folder in PACKAGES.items():
        patterns = SETUPTOOLS["package-data"].get(name, [])
        for path in _own_files(folder):
            inside = path.relative_to(folder).as_posix()
            if not any(fnmatch(inside, pattern.replace("**/", "*")) for pattern in patterns):
                forgotten.append(f"{name}: {inside}")
    assert forgotten == []


def test_every_pattern_of_package_data_finds_something() -> None:
    for name, patterns in SETUPTOOLS["package-data"].items():
        for pattern in patterns:
            assert list(PACKAGES[name].glob(pattern)), f"{name}: {pattern}"


def _own_files(folder: Path) -> list[Path]:
    """Files of a package that are neither Python nor of a package below it."""
    below = [each for each in PACKAGES.values() if each != folder and each.is_relative_to(folder)]
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc"}
        and not any(path.is_relative_to(each) for each in below)
    ]


def test_optional_libraries_are_extras() -> None:
    """A library that only an extra brings is imported inside a function, never when a module is imported."""
    extras = {"xllamacpp", "litellm", "vllm", "ray", "psycopg"}
    at_import = [
        f"{path.relative_to(ROOT)}: {module}"
        for folder in PACKAGES.values()
        for path in folder.glob("*.py")
        for module in _imports(ast.parse(path.read_text()).body)
        if module.partition(".")[0] in extras
    ]
    assert at_import == []


def _imports(body: list[ast.stmt]) -> list[str]:
    found = []
    for statement in body:
        if isinstance(statement, ast.Import):
            found += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            found.append(statement.module or "")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("links", [True, False], ids=["with links", "clone without links"])
def test_wheel_holds_everything(tmp_path: Path, links: bool) -> None:
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building a wheel without a download needs setuptools 77 or newer here")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("src", *ROOMS.values()):
        shutil.copytree(ROOT / folder, source / folder, symlinks=True, ignore=ignored)
    if not links:
        for path in (source / "src/archloom").iterdir():
            if path.is_symlink():
                path.unlink()
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.partition("/")[0].endswith(".dist-info")}
        metadata = archive.read(f"archloom-{PROJECT['project']['version']}.dist-info/entry_points.txt").decode()
    wanted = {
        f"{name.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
        for name, folder in PACKAGES.items()
        for path in (*folder.glob("*.py"), *_own_files(folder))
    }
    assert held == wanted
    assert {"archloom/py.typed", "archloom/nodes/prompts/critic.j2", "archloom/orchestrator/report.css"} <= held
    assert "archloom = archloom.cli:main" in metadata

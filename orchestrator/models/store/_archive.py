"""Archives of sample stores: a file to hand on, with which others replay a run."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archloom.nodes import FailedSample, Sample
from archloom.orchestrator.models._address import Address
from archloom.orchestrator.models.store._protocol import Added, Entry
from archloom.orchestrator.models.store._sqlite import SQLiteStore
from archloom.tools.errors import UsageError

_Count = Annotated[int, Field(ge=0)]
_M = TypeVar("_M", bound=BaseModel)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class _Header(_Closed):
    """The first line of an archive."""

    archloom_samples: Literal[1] = 1
    samples: _Count
    failures: _Count
    questions: _Count
    digest: str


class _Line(_Closed):
    """Each other line: what the store holds at one address."""

    key: str
    stream: _Count
    index: _Count
    model: str
    result: Sample | FailedSample
    question: str | None = None

    @classmethod
    def of(cls, entry: Entry) -> Self:
        question = None if entry.question is None else entry.question.decode()
        return cls(**entry.address._asdict(), model=entry.model, result=entry.result, question=question)

    def content(self) -> bytes:
        return self.model_dump_json(exclude_defaults=True, exclude={"result": {"index"}}).encode()

    def entry(self) -> Entry:
        question = None if self.question is None else self.question.encode()
        address = Address(self.key, self.stream, self.index)
        return Entry(address, self.model, replace(self.result, index=self.index), question)


class Exported(NamedTuple):
    """What an archive holds."""

    samples: int
    failures: int
    questions: int
    digest: str


class _Tally:
    """Counts lines and adds up their digests, so that the sum does not depend on their order."""

    def __init__(self) -> None:
        self.samples = self.failures = self.questions = self._sum = 0

    def add(self, entry: Entry, digest: bytes) -> None:
        self.samples += isinstance(entry.result, Sample)
        self.failures += isinstance(entry.result, FailedSample)
        self.questions += entry.question is not None
        self._sum = (self._sum + int.from_bytes(digest, "big")) % (1 << 256)

    def result(self) -> Exported:
        return Exported(self.samples, self.failures, self.questions, f"{self._sum:064x}")


def export_samples(
    store: str | os.PathLike[str], path: str | os.PathLike[str], *, model: str | None = None, key: str = ""
) -> Exported:
    """Writes what a store holds to a file, as JSON Lines; the same content gives the same bytes.

    Args:
        store: File of the store.
        path: The file, compressed when its name ends in ``.gz``; it appears when it is complete.
        model: Only what this model was asked.
        key: Only keys that begin like this.

    Raises:
        StoreError: the store cannot be read.
    """
    tally = _Tally()
    with (
        closing(SQLiteStore(store)) as opened,
        _appearing(Path(path)) as file,
        tempfile.TemporaryFile(dir=Path(path).parent) as body,
    ):
        for entry in opened.entries(model=model, key=key):
            content = _Line.of(entry).content()
            digest = hashlib.sha256(content)
            tally.add(entry, digest.digest())
            body.write(content[:-1] + _seal(digest.hexdigest()) + b"\n")
        body.seek(0)
        file.write(_Header(**tally.result()._asdict()).model_dump_json().encode() + b"\n")
        shutil.copyfileobj(body, file)
    return tally.result()


def import_samples(store: str | os.PathLike[str], path: str | os.PathLike[str]) -> Added:
    """Adds what an archive holds to a store: all of it, or nothing. The first written wins.

    Args:
        store: File of the store, which is made when there is none.
        path: What :func:`export_samples` wrote.

    Raises:
        UsageError: the file is no archive, is cut short, or is not as it was written.
        StoreError: the store cannot be written.
    """
    for _ in _read(Path(path)):
        pass  # the whole of it is checked before the store is touched
    with closing(SQLiteStore(store)) as opened:
        return opened.add(_read(Path(path)))


def _seal(digest: str) -> bytes:
    """The end of a line, which tells whether the rest of it is as it was written."""
    return b',"sum":"%b"}' % digest[:16].encode()


def _read(path: Path) -> Iterator[Entry]:
    """What an archive holds; raises, at its end at the latest, when it is not as it was written."""
    number = 0
    try:
        with path.open("rb") as raw, _plain(raw) as lines:
            number, header = 1, _parse(_Header, lines.readline(), path, 1)
            tally = _Tally()
            for number, line in enumerate(lines, 2):
                entry, digest = _unsealed(line, path, number)
                tally.add(entry, digest)
                yield entry
    except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
        raise _damaged(path, number + 1, f"{exc}") from exc
    _compare(header, tally.result(), path, number)


def _plain(raw: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """The file without its compression."""
    packed = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return gzip.open(raw) if packed else raw


def _unsealed(line: bytes, path: Path, number: int) -> tuple[Entry, bytes]:
    length = len(_seal("0" * 16)) + 1
    content = line[:-length] + b"}"
    digest = hashlib.sha256(content)
    if line[-length:] != _seal(digest.hexdigest()) + b"\n":
        raise _damaged(path, number, "cut short, or not as it was written")
    return _parse(_Line, content, path, number).entry(), digest.digest()


def _compare(header: _Header, found: Exported, path: Path, number: int) -> None:
    lines, promised = found.samples + found.failures, header.samples + header.failures
    if lines != promised:
        raise _damaged(path, number, f"ends here, after {lines:,} entries; line 1 promises {promised:,}")
    if found != Exported(header.samples, header.failures, header.questions, header.digest):
        raise _damaged(path, 1, f"its digest is not that of lines 2 to {number}")


def _parse(model: type[_M], content: bytes, path: Path, number: int) -> _M:
    try:
        return model.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        what = f"no {'header' if model is _Header else 'sample'} of an archive: {first['msg']}"
        raise _damaged(path, number, what) from exc


def _damaged(path: Path, number: int, what: str) -> UsageError:
    return UsageError(f"{path}:{number}: {what}.", hint="Nothing was imported; fetch or export the file again.")


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO | gzip.GzipFile]:
    """A file that takes its name when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as raw:
            if path.suffix == ".gz":
                # The header of a gzip file holds a name and a time, which are not to make a difference.
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0) as packed:
                    yield packed
            else:
                yield raw
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

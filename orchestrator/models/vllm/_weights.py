"""What a document's ``model`` means to a vLLM server that archloom launches."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from archloom.orchestrator.errors import ModelUnavailableError
from archloom.orchestrator.models.llamacpp._weights import ModelCard, checksum, model_cards, models_folder


@dataclass(frozen=True)
class ServedWeights:
    """Weights that vLLM can serve.

    Attributes:
        name: What requests and identities call the model.
        place: A folder, or a name at the hub.
        card: The registry's entry, for the weights of a registered model, converted.
        memory: Folder in which checksums are remembered.
    """

    name: str
    place: Path | str
    card: ModelCard | None
    memory: Path

    def digest(self) -> str | None:
        """First digits of a checksum of weights on this machine; ``None`` for a name at the hub.

        Raises:
            ModelUnavailableError: they are not there.
        """
        if self.card is not None:
            return self.card.sha256[:12]  # the conversion keeps it, so the weights need not be here
        if isinstance(self.place, str):
            return None
        self.check()
        sums = [f"{path.name} {checksum(path, folder=self.memory)}" for path in self._files()]
        return hashlib.sha256("\n".join(sums).encode()).hexdigest()[:12]

    def state(self) -> str:
        """Changes when files on this machine do; costs nothing, unlike a checksum."""
        stats = [(path.name, path.stat()) for path in self._files()]
        return " ".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)

    def check(self) -> None:
        """Whether they are there, as far as that can be seen on this machine.

        Raises:
            ModelUnavailableError: they are not.
        """
        if isinstance(self.place, str) or (self.place / "config.json").is_file():
            return
        if self.card is not None:
            raise ModelUnavailableError(
                f"The weights of {self.name!r} are not on this machine in the form that vLLM reads.",
                hint="Install vLLM and convert them: make vllm",
            )
        raise ModelUnavailableError(
            f"There is no model in {str(self.place)!r}: it has no config.json.",
            hint="Correct 'model': a folder with a checkpoint, or a name at its hub.",
        )

    def _files(self) -> list[Path]:
        if isinstance(self.place, str) or not self.place.is_dir():
            return []
        files = [path for path in self.place.iterdir() if path.is_file() and path.name[0] != "."]
        return sorted(path for path in files if path.suffix != ".md")


def weights_of(model: str, environ: Mapping[str, str]) -> ServedWeights:
    """The weights of a name of the registry, a local folder, or a name at the hub, looked for in this order."""
    folder = models_folder(environ)
    for card in model_cards():
        if card.name == model:
            return ServedWeights(model, folder / model, card, folder)
    path = Path(model).expanduser()
    if model.startswith(("/", "./", "../", "~")) or path.is_dir():
        path = path.resolve()
        return ServedWeights(path.name, path, None, folder)
    return ServedWeights(model, model, None, folder)

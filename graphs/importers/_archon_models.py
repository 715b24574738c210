"""Where Archon's ``model_type`` leads."""

from __future__ import annotations

import re

from archloom.graphs._yaml import Json
from archloom.graphs.importers._reading import Part

PAIR_RM = "llm-blender/PairRM"
"""A reward model that Archon loads into its own process; it is no chat model."""

_OPENAI_STYLE = {
    "OpenAI_API": (None, "OPENAI_API_KEY"),
    "Together_API": ("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    "Groq_API": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
}
_LITELLM_STYLE = {"Anthropic_API": "anthropic/", "Google_API": "gemini/", "Bedrock_API": "bedrock/"}


class Models:
    """The models of a configuration, each under one name."""

    def __init__(self) -> None:
        self.specs: dict[str, dict[str, Json]] = {}
        self._names: dict[tuple[str, str], str] = {}

    def name(self, part: Part) -> str:
        """The name of a component's model; declares it when it is new."""
        model, kind = part.text("model"), part.text("model_type")
        if (model, kind) not in self._names:
            name = _name(model, taken=set(self.specs))
            self._names[model, kind] = name
            self.specs[name] = _spec(model, kind, part)
        return self._names[model, kind]


def _spec(model: str, kind: str, part: Part) -> dict[str, Json]:
    """What stands under ``models``."""
    if kind in _OPENAI_STYLE:
        address, key = _OPENAI_STYLE[kind]
        where: dict[str, Json] = {} if address is None else {"base_url": address}
        return {"provider": "openai", "model": model, **where, "api_key": f"${{{key}}}"}
    if kind in _LITELLM_STYLE:
        prefix = _LITELLM_STYLE[kind]
        return {"provider": "litellm", "model": model if model.startswith(prefix) else prefix + model}
    if kind == "tgi":
        return {"provider": "openai", "model": "tgi", "base_url": model}
    if kind == "vLLM":
        return {"provider": "vllm", "model": model}
    part.remark(
        "model_type",
        "is a generator of somebody's own; imported as provider 'litellm' with this model name. Write the provider "
        "that speaks to it.",
    )
    return {"provider": "litellm", "model": model}


def _name(model: str, taken: set[str]) -> str:
    """The last part of the model's name, as a name of a document."""
    last = model.rstrip("/").rpartition("/")[2] or model
    name = re.sub(r"[^a-z0-9.-]+", "-", last.lower()).strip("-.")
    name = name if name[:1].isalpha() else f"model-{name}".rstrip("-")
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique

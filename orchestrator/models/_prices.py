"""What tokens cost: by the document, by litellm's price map, or by what the hardware costs that makes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson
import yarl

from archloom.graphs import GpuPrice, LiteLLMModel, ModelBase, OpenAIModel, Price

_MAP_FILE = "model_prices_and_context_window_backup.json"
_OPENAI_HOST = "api.openai.com"
_PER = 1e6

Entry: TypeAlias = Mapping[str, Any]
"""What litellm's map says about one model."""


class Priced(NamedTuple):
    """A price and where it comes from.

    Attributes:
        price: What tokens cost; ``None`` where nothing says so, and the model counts as free.
        source: For reports: ``document``, ``litellm 1.2.3 price map``, ``gpu: 2.00 USD/h at 2500 tokens/s``, ``none``.
    """

    price: Price | None
    source: str


def price_of(spec: ModelBase) -> Priced:
    """What a model's tokens cost: what the document says, else the price map, else the price of its hardware."""
    if spec.price is not None:
        return Priced(spec.price, "document")
    if (entry := _entry_of(spec)) is not None and (listed := _listed_price(entry)) is not None:
        return Priced(listed, f"litellm {version('litellm')} price map")
    if spec.gpu is not None:
        gpu = spec.gpu
        return Priced(_gpu_price(gpu), f"gpu: {gpu.usd_per_hour:.2f} USD/h at {gpu.output_tokens_per_s:g} tokens/s")
    return Priced(None, "none")


def map_entry(name: str) -> Entry | None:
    """What litellm's map says about a model by its full name, such as ``anthropic/claude-sonnet-4-5``.

    Many providers' models stand in the map without their provider's name; such an entry counts only when it names
    that provider itself.
    """
    if (entry := _price_map().get(name)) is not None:
        return entry
    provider, _, rest = name.partition("/")
    entry = _price_map().get(rest)
    # "vertex_ai-language-models" and "bedrock_converse" are kinds of the providers "vertex_ai" and "bedrock".
    return entry if entry is not None and str(entry.get("litellm_provider", "")).startswith(provider) else None


def _entry_of(spec: ModelBase) -> Entry | None:
    if isinstance(spec, LiteLLMModel):
        return map_entry(spec.model)
    if isinstance(spec, OpenAIModel) and _host(spec.base_url) == _OPENAI_HOST:
        return map_entry(f"openai/{spec.model}")
    return None  # another server sells the same name at another price


def _host(url: str) -> str | None:
    try:
        return yarl.URL(url).host
    except ValueError:  # the client says what is wrong with it
        return None


def _listed_price(entry: Entry) -> Price | None:
    given, written = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if not isinstance(given, int | float) or not isinstance(written, int | float):
        return None  # not sold by the token
    return Price(input=round(given * _PER, 9), output=round(written * _PER, 9))


def _gpu_price(gpu: GpuPrice) -> Price:
    usd_per_s = gpu.usd_per_hour / 3600
    prompt = usd_per_s / gpu.input_tokens_per_s if gpu.input_tokens_per_s else 0.0
    return Price(input=prompt * _PER, output=usd_per_s / gpu.output_tokens_per_s * _PER)


@cache
def _price_map() -> Mapping[str, Entry]:
    """The map of the litellm that is installed; empty without one. Importing litellm would take seconds."""
    package = find_spec("litellm")
    if package is None or not package.submodule_search_locations:
        return {}
    file = Path(package.submodule_search_locations[0]) / _MAP_FILE
    entries: dict[str, Entry] = orjson.loads(file.read_bytes())
    return entries

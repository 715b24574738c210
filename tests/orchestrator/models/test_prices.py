"""Where a price comes from: the document, litellm's map, the hardware, or nowhere."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

import pytest

from archloom.graphs import GpuPrice, LiteLLMModel, ModelBase, OpenAIModel, Price, ScriptedModel, VLLMModel
from archloom.orchestrator.models._prices import map_entry, price_of

OWN = Price(input=1.0, output=2.0)
GPU = GpuPrice(usd_per_hour=3.6, output_tokens_per_s=1000)

# An extra that the development environment has: CI does not skip these.
needs_map = pytest.mark.skipif(find_spec("litellm") is None, reason="the price map comes with litellm")


@pytest.mark.parametrize(
    ("spec", "price", "source"),
    [
        pytest.param(ScriptedModel(), None, "none", id="nothing said"),
        pytest.param(ScriptedModel(price=OWN, gpu=GPU), OWN, "document", id="the document before the hardware"),
        pytest.param(ScriptedModel(price=Price()), Price(), "document", id="free by the document"),
        pytest.param(
            ScriptedModel(gpu=GPU), Price(output=1.0), "gpu: 3.60 USD/h at 1000 tokens/s", id="prompts take no time"
        ),
        pytest.param(
            ScriptedModel(gpu=GPU.model_copy(update={"input_tokens_per_s": 10_000})),
            Price(input=0.1, output=1.0),
            "gpu: 3.60 USD/h at 1000 tokens/s",
            id="prompts take time",
        ),
        pytest.param(LiteLLMModel(model="nobody/nothing", gpu=GPU), Price(output=1.0), None, id="not in the map"),
        pytest.param(
            OpenAIModel(model="gpt-4o-mini", base_url="http://127.0.0.1:8000/v1"),
            None,
            "none",
            id="not OpenAI's server",
        ),
        pytest.param(OpenAIModel(model="gpt-4o-mini", base_url="http://[oops"), None, "none", id="not an address"),
        pytest.param(VLLMModel(model="gpt-4o-mini"), None, "none", id="a server of one's own"),
    ],
)
def test_price(spec: ModelBase, price: Price | None, source: str | None) -> None:
    found = price_of(spec)
    if price is None:
        assert found.price is None
    else:
        assert found.price is not None
        assert (found.price.input, found.price.output) == pytest.approx((price.input, price.output))
    if source is not None:
        assert found.source == source


@needs_map
@pytest.mark.parametrize(
    ("spec", "price"),
    [
        pytest.param(LiteLLMModel(model="openai/gpt-4o-mini"), (0.15, 0.6), id="listed without its provider"),
        pytest.param(LiteLLMModel(model="gemini/gemini-2.5-flash"), (0.3, 2.5), id="listed by its full name"),
        pytest.param(LiteLLMModel(model="anthropic/claude-sonnet-4-5"), (3.0, 15.0), id="another provider"),
        pytest.param(OpenAIModel(model="gpt-4o-mini"), (0.15, 0.6), id="OpenAI's own server"),
    ],
)
def test_the_map_prices_models_by_name(spec: ModelBase, price: tuple[float, float]) -> None:
    found, source = price_of(spec)
    assert found is not None
    assert (found.input, found.output) == price
    assert source == f"litellm {version('litellm')} price map"


@needs_map
def test_the_document_stands_before_the_map() -> None:
    assert price_of(LiteLLMModel(model="openai/gpt-4o-mini", price=OWN)) == (OWN, "document")


@needs_map
@pytest.mark.parametrize("name", ["azure/claude-sonnet-4-5", "nobody/gpt-4o-mini", "gpt-4o-mini/"])
def test_an_entry_of_another_provider_does_not_count(name: str) -> None:
    assert map_entry(name) is None


@needs_map
def test_models_that_are_not_sold_by_the_token_have_no_price() -> None:
    assert price_of(LiteLLMModel(model="openai/dall-e-3")).price is None


@needs_map
def test_looking_a_price_up_does_not_import_litellm() -> None:
    program = """
import sys
from archloom.graphs import LiteLLMModel
from archloom.orchestrator.models._costs import CostModel
assert CostModel(LiteLLMModel(model="openai/gpt-4o-mini")).price is not None
assert "litellm" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)

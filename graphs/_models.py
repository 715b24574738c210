"""What a document says about its models. The clients that speak to them live in ``orchestrator/models``."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from archloom.nodes import Spec


class Price(Spec):
    """US dollars per million tokens."""

    input: Annotated[float, Field(ge=0)] = 0.0
    """Prompt tokens."""
    output: Annotated[float, Field(ge=0)] = 0.0
    """Completion tokens."""


class ModelBase(Spec):
    """What all providers share."""

    model: str
    """Name of the model at the provider; part of each sample's address."""
    price: Price | None = None
    """Price; a model without one is counted as free, and reports say so."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait for one completion."""
    max_concurrency: Annotated[int, Field(ge=1)] = 16
    """Requests under way at once."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often a request that failed for a passing reason is sent again."""


class OpenAIModel(ModelBase):
    """Any OpenAI-compatible endpoint."""

    provider: Literal["openai"] = "openai"
    """Speaks to an OpenAI-compatible server."""
    base_url: str = "https://api.openai.com/v1"
    """Address of the API, up to and including ``/v1``."""
    api_key: str | None = None
    """Bearer key; write ``${NAME}`` to take it from the environment. Never logged, never stored."""


class LlamaCppModel(ModelBase):
    """The embedded engine: llama.cpp in a child process, no server to run, no key."""

    provider: Literal["llamacpp"] = "llamacpp"
    """Runs llama.cpp in a child process."""
    model: str = "smollm2-135m-instruct"
    """Name in the model registry (``archloom models list``), or a path to a ``.gguf`` file."""
    max_concurrency: Annotated[int, Field(ge=1)] = 4
    """Sequences decoded at once."""
    context: Annotated[int, Field(ge=128)] = 2048
    """Tokens of context of each sequence."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads; by default all cores but one, because llama.cpp waits at barriers when cores are busy elsewhere."""


class SimulatedModel(ModelBase):
    """A parametric model with known truth, for claims, tests and optimizers. It answers ``simulated:`` tasks."""

    provider: Literal["simulated"] = "simulated"
    """Draws its behaviour from the parameters below; deterministic by ``seed``."""
    model: str = "simulated"
    """A name; two simulated models with different names are independent."""
    skill: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (2.0, 2.0)
    """Beta(a, b) over tasks of the probability that one sample at temperature 0.7 is right."""
    wrong_answers: Annotated[int, Field(ge=1)] = 4
    """Different wrong answers of a task; fewer means that wrong answers agree more often."""
    wrong_skew: Annotated[float, Field(ge=0)] = 1.0
    """Zipf exponent over wrong answers; 0 makes them equally likely."""
    hit: Annotated[float, Field(ge=0, le=1)] = 0.8
    """As verifier or judge: P(accept | right)."""
    false_alarm: Annotated[float, Field(ge=0, le=1)] = 0.3
    """As verifier or judge: P(accept | wrong)."""
    tokens: Annotated[float, Field(gt=0)] = 60.0
    """Mean completion tokens (log-normal)."""
    tokens_per_s: Annotated[float, Field(gt=0)] = 100.0
    """Decoding speed; sets the recorded latency."""
    latency_s: Annotated[float, Field(ge=0)] = 0.05
    """Time to first token."""
    sleep: bool = False
    """Really wait for the latency, to see scheduling; otherwise it is only recorded."""
    fail: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of requests that fail as a server error, all retries included."""
    seed: int = 0
    """Of all its random draws."""


class ScriptedModel(ModelBase):
    """Answers from a list, in turn; for examples and unit tests."""

    provider: Literal["scripted"] = "scripted"
    """Replays the replies below."""
    model: str = "scripted"
    """A name."""
    replies: tuple[str, ...] = ("ok",)
    """Reply of sample i is ``replies[i % len(replies)]``."""
    rules: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Regular expression over the last message → replies used instead of ``replies``; the first match counts."""


ModelSpec: TypeAlias = Annotated[
    OpenAIModel | LlamaCppModel | SimulatedModel | ScriptedModel, Field(discriminator="provider")
]

"""What a document says about its models. The clients that speak to them live in ``orchestrator/models``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, WrapValidator, model_validator

from archloom.nodes import Capability, Names, Spec

_Positive: TypeAlias = Annotated[int, Field(ge=1)]
_Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]


class Price(Spec):
    """What tokens cost: US dollars per million, or what a GPU costs that makes so many a second."""

    input: Annotated[float, Field(ge=0)] = 0.0
    """Prompt tokens, US dollars per million."""
    output: Annotated[float, Field(ge=0)] = 0.0
    """Completion tokens, US dollars per million."""


class GpuPrice(Spec):
    """Price of a model on rented hardware: what an hour costs, and how many tokens a second it is used for."""

    usd_per_hour: Annotated[float, Field(ge=0)]
    """US dollars per hour of all GPUs of one server together."""
    output_tokens_per_s: Annotated[float, Field(gt=0)]
    """Completion tokens per second at the load it is used with, all requests together."""
    input_tokens_per_s: Annotated[float, Field(gt=0)] | None = None
    """Prompt tokens per second; left out, prompts take no time worth paying for."""


class ModelShape(Spec):
    """The shape of a model, from which FLOPs and memory traffic follow."""

    parameters: Annotated[float, Field(gt=0)]
    """Weights that take part in one token: all of a dense model, the active ones of a mixture of experts."""
    layers: _Positive
    """Transformer blocks."""
    width: _Positive
    """Size of the hidden state."""
    heads: _Positive
    """Query heads of a layer."""
    kv_heads: _Positive
    """Key-value heads of a layer; as many as query heads without grouped-query attention."""
    head_size: _Positive | None = None
    """Size of one head; by default ``width / heads``."""
    bytes_per_weight: Annotated[float, Field(gt=0)] = 2.0
    """Bytes that one weight takes in memory (2 for 16-bit, about 0.56 for 4-bit with scales)."""


class ModelBase(Spec):
    """What all providers share."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset()
    """What it can do beyond plain completions."""

    model: str
    """Name of the model at the provider; part of each sample's address."""
    price: Price | None = None
    """Price per token; left out, it is looked up in litellm's price map, else taken from ``gpu``, else none."""
    gpu: GpuPrice | None = None
    """Price of the hardware it runs on, for models that nobody charges by the token."""
    shape: ModelShape | None = None
    """Its shape, for FLOPs and memory traffic; known for the models of ``archloom models list``."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Longest wait for one completion."""
    deadline_s: Annotated[float, Field(gt=0)] | None = None
    """Longest time for one sample with all its tries and waits; then it has failed."""
    max_concurrency: _Positive = 16
    """Requests under way at once, in the whole process."""
    adaptive: bool = False
    """Find the concurrency that the server takes: halve it at rate limits, timeouts and rising latency, and raise
    it again up to ``max_concurrency`` while all goes well."""
    requests_per_minute: _Positive | None = None
    """Requests sent in any minute, in the whole process."""
    tokens_per_minute: _Positive | None = None
    """Tokens used in any minute; a request counts with what it may use until it is known what it did use."""
    retries: Annotated[int, Field(ge=0)] = 7
    """How often a request that failed for a passing reason is sent again: with 7, an endpoint that fails three
    calls of ten still gives 99,993 samples of 100,000."""
    fallback: Names = ()
    """Models of this document that are asked, in turn, when this one has failed for good."""


class ServedModel(ModelBase):
    """What all servers share that speak the OpenAI format."""

    api_key: str | None = None
    """Bearer key, written ``${NAME}`` to take it from the environment. Never logged, never stored."""
    headers: dict[str, str] = Field(default_factory=dict)
    """More headers of each request; ``${NAME}`` is taken from the environment. Never logged, never stored."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """More fields of each request's body, such as ``reasoning_effort`` or ``top_k``; part of each sample's address."""
    n: _Positive = 1
    """Samples of one conversation that one request may ask for, so that a prompt is paid once for all of them."""
    stream: bool = False
    """Read replies as they are written: a stalled call is noticed, and a cancelled one is counted by what came."""
    stall_s: Annotated[float, Field(gt=0)] = 30.0
    """Longest silence inside a streamed reply."""


class OpenAIModel(ServedModel):
    """Any OpenAI-compatible endpoint."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({"logprobs", "json_schema", "tools"})

    provider: Literal["openai"] = "openai"
    """Speaks to an OpenAI-compatible server."""
    base_url: str = "https://api.openai.com/v1"
    """Address of the API, up to and including ``/v1``."""


class Launch(Spec):
    """How a vLLM server is started; what is left out is vLLM's own default."""

    python: str | None = None
    """Interpreter in whose environment vLLM is installed; by default ``ARCHLOOM_VLLM_PYTHON`` of the environment,
    else ``.venv-vllm/bin/python`` of the working folder, else the one that runs archloom."""
    dtype: str | None = None
    """Type of weights and activations, such as ``bfloat16``."""
    quantization: str | None = None
    """Method of weight quantisation."""
    revision: str | None = None
    """Revision of the weights at their hub."""
    chat_template: str | None = None
    """File with a chat template."""
    max_model_len: _Positive | None = None
    """Tokens of context."""
    max_num_seqs: _Positive | None = None
    """Sequences decoded at once."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the GPU's memory that it may use."""
    tensor_parallel_size: _Positive | None = None
    """GPUs that one model is spread over."""
    prefix_caching: bool | None = None
    """Keep the attention state of shared prompt prefixes."""
    speculative: dict[str, JsonValue] | None = None
    """Speculative decoding, as vLLM's ``speculative_config`` takes it."""
    args: dict[str, str | int | float | bool] = Field(default_factory=dict)
    """Any other engine flag by its name without dashes; ``true`` gives the bare flag, ``false`` its ``no-`` form."""
    env: dict[str, str] = Field(default_factory=dict)
    """More environment of the server."""
    ready_s: Annotated[float, Field(gt=0)] = 900.0
    """Longest wait until it answers."""


class VLLMModel(ServedModel):
    """A vLLM server: one that runs already, or one that archloom launches and stops."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {"logprobs", "prompt_logprobs", "json_schema", "regex", "choice", "tools", "continuation", "pause"}
    )

    provider: Literal["vllm"] = "vllm"
    """Speaks to a vLLM server, and starts it where ``base_url`` is left out."""
    base_url: str | None = None
    """Address of a running server, up to and including ``/v1``; left out, archloom launches one and shares it
    between all workflows and processes that want the same."""
    launch: Launch = Field(default_factory=Launch)
    """Engine flags of the server that archloom launches."""
    max_concurrency: _Positive = 64
    """Requests under way at once; vLLM batches them."""

    @model_validator(mode="after")
    def _one_server(self) -> Self:
        if self.base_url is not None and "launch" in self.model_fields_set:
            raise ValueError("'base_url' names a running server and 'launch' starts one: write one of them")
        return self


class LlamaCppModel(ModelBase):
    """The embedded engine: llama.cpp in a child process, no server to run, no key."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({"logprobs", "json_schema", "continuation", "pause"})

    provider: Literal["llamacpp"] = "llamacpp"
    """Runs llama.cpp in a child process."""
    model: str = "smollm2-135m-instruct"
    """Name in the model registry (``archloom models list``), or a path to a ``.gguf`` file."""
    max_concurrency: _Positive = 4
    """Sequences decoded at once."""
    context: Annotated[int, Field(ge=128)] = 2048
    """Tokens of context of each sequence."""
    threads: _Positive | None = None
    """Threads; by default all cores but one, because llama.cpp waits at barriers when cores are busy elsewhere."""


class LiteLLMModel(ModelBase):
    """Every other provider, through litellm."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({"logprobs", "json_schema", "tools", "continuation"})

    provider: Literal["litellm"] = "litellm"
    """Calls the provider that the model's prefix names, such as ``anthropic/``, ``gemini/`` or ``bedrock/``."""
    base_url: str | None = None
    """Address of the provider, where it is not its usual one."""
    api_key: str | None = None
    """Key, written ``${NAME}``; left out, litellm looks for the provider's own variable. Never logged or stored."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """More arguments of litellm's completion call; part of each sample's address."""


class SkillCluster(Spec):
    """Tasks of one kind of difficulty to a simulated model."""

    weight: Annotated[float, Field(gt=0)] = 1.0
    """Share of the tasks, relative to the other clusters."""
    a: Annotated[float, Field(gt=0)]
    """First parameter of the Beta distribution of the solve probability."""
    b: Annotated[float, Field(gt=0)]
    """Second parameter; the mean is a / (a + b)."""


class Faults(Spec):
    """Shares of a simulated model's attempts that go wrong; each attempt is drawn anew, so a retry may succeed."""

    rate_limit: _Rate = 0.0
    """Refused with status 429."""
    server: _Rate = 0.0
    """Refused with status 500."""
    timeout: _Rate = 0.0
    """No reply within ``timeout_s``."""
    connection: _Rate = 0.0
    """The connection is reset."""
    malformed: _Rate = 0.0
    """The reply is written and paid for, and its JSON is cut."""
    empty: _Rate = 0.0
    """A reply without a word, which used prompt tokens only."""
    stall: _Rate = 0.0
    """A stream falls silent half-way."""
    drip: _Rate = 0.0
    """The reply comes whole, at a tenth of the speed."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if sum(self.model_dump().values()) > 1:
            raise ValueError("the shares of faults add up to more than 1")
        return self


_Beta: TypeAlias = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
_Clusters: TypeAlias = Annotated[tuple[SkillCluster, ...], Field(min_length=1)]
_BETA: TypeAdapter[_Beta] = TypeAdapter(_Beta)
_CLUSTERS: TypeAdapter[_Clusters] = TypeAdapter(_Clusters)


def _one_kind(value: object, both: object) -> _Beta | _Clusters:
    """Read as what it is meant to be, so that a mistake is reported once and not once for each kind."""
    del both
    clusters = isinstance(value, list | tuple) and any(isinstance(each, Mapping | SkillCluster) for each in value)
    return _CLUSTERS.validate_python(value) if clusters else _BETA.validate_python(value)


_Skill: TypeAlias = Annotated[_Beta | _Clusters, WrapValidator(_one_kind)]


class SimulatedModel(ModelBase):
    """A parametric model with known truth, for claims, tests and optimizers. It answers ``simulated:`` tasks."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({"logprobs", "continuation", "pause"})

    provider: Literal["simulated"] = "simulated"
    """Draws its behaviour from the parameters below; deterministic by ``seed``."""
    model: str = "simulated"
    """A name; two simulated models with different names are independent."""
    skill: _Skill = (2.0, 2.0)
    """Beta(a, b) over tasks of the probability that one sample at temperature 0.7 is right; or clusters of tasks
    with one Beta each, ``[{weight: 2, a: 9, b: 1}, {a: 1, b: 4}]``."""
    shared_difficulty: _Rate = 0.0
    """How much of a task's difficulty is its own and not this model's; two models' difficulties correlate with the
    product of theirs (normal copula). At 0 they are independent, at 1 what is hard for one is hard for the other."""
    wrong_answers: Annotated[int, Field(ge=1)] = 4
    """Different wrong answers of a task; fewer means that wrong answers agree more often."""
    wrong_skew: Annotated[float, Field(ge=0)] = 1.0
    """Zipf exponent over wrong answers; 0 makes them equally likely."""
    lure: _Rate = 0.0
    """Share of tasks with a wrong answer that lures all models alike."""
    lure_share: _Rate = 0.8
    """Share of the wrong answers to such a task that are the lure."""
    idea_spread: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the log-odds that a set of observations in the question adds to a right answer."""
    steps: Annotated[int, Field(ge=0)] = 0
    """Numbered steps of a solution, with a blank line between two; 0 writes running text."""
    self_correction: _Rate = 0.0
    """P(a step puts an earlier error right)."""
    rechecks: Annotated[int, Field(ge=0)] = 0
    """How often it says "Wait" after its answer and thinks again, going by the answer that it has: ``fixes`` and
    ``breaks`` tell how that ends. Each time takes ``tokens`` more."""
    hit: _Rate = 0.8
    """As verifier or judge: P(accept | right)."""
    false_alarm: _Rate = 0.3
    """As verifier or judge: P(accept | wrong)."""
    wrong_spread: Annotated[float, Field(gt=0)] = 1.0
    """As judge: spread of the perceived quality of wrong responses, relative to right ones. Above 1 some wrong
    responses look better than any right one, so that the best of many is wrong. ``hit`` and ``false_alarm`` hold."""
    judge_consistency: _Rate = 0.0
    """As judge: share of the noise's variance that belongs to the response and is the same in each vote."""
    position_bias: float = 0.0
    """As judge of several: what being shown first adds to a response's perceived quality, in d' units."""
    score_signal: Annotated[float, Field(ge=0)] | None = None
    """As scorer: d' between right and wrong responses or prefixes; left out, it follows from ``hit`` and
    ``false_alarm``."""
    early_confidence: Annotated[float, Field(gt=0)] = 1.0
    """As scorer of prefixes: factor on the log-odds of a score after one step; it falls to 1 as 1 / steps."""
    fixes: _Rate = 0.0
    """As fuser or reviser: P(gives the right answer | it goes by a wrong one)."""
    breaks: _Rate = 0.0
    """As fuser or reviser: P(gives a wrong answer | it goes by the right one)."""
    heeds: Annotated[float, Field(ge=0)] = 0.0
    """What a critique that calls a response right adds to its perceived quality, in d' units, and one that calls it
    wrong takes away; it moves the log-odds of ``fixes`` and ``breaks`` by as much the other way."""
    tokens: Annotated[float, Field(gt=0)] = 60.0
    """Mean completion tokens (log-normal)."""
    tokens_wrong: Annotated[float, Field(gt=0)] | None = None
    """Mean completion tokens of wrong answers; left out, those of right ones."""
    length_spread: Annotated[float, Field(ge=0)] = 0.4
    """Standard deviation of the logarithm of a reply's length."""
    calibration: float = 1.0
    """d' of right against wrong replies in their mean token log-probability; 0 tells nothing, less than 0 misleads."""
    tokens_per_s: Annotated[float, Field(gt=0)] = 100.0
    """Decoding speed; sets the recorded latency."""
    latency_s: Annotated[float, Field(ge=0)] = 0.05
    """Time to first token."""
    latency_spread: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the logarithm of a factor on each request's latency; the factor's mean is 1."""
    sleep: bool = False
    """Really wait for the latency, to see scheduling; otherwise it is only recorded."""
    fail: _Rate = 0.0
    """Share of requests that fail as a server error, all retries included."""
    faults: Faults = Field(default_factory=Faults)
    """Shares of attempts that go wrong, retries drawn anew."""
    seed: int = 0
    """Of all its random draws."""


class ScriptedModel(ModelBase):
    """Answers from a list, in turn; for examples and unit tests."""

    capabilities: ClassVar[frozenset[Capability]] = frozenset({"continuation", "pause"})

    provider: Literal["scripted"] = "scripted"
    """Replays the replies below."""
    model: str = "scripted"
    """A name."""
    replies: tuple[str, ...] = ("ok",)
    """Reply of sample i is ``replies[i % len(replies)]``; where one begins like the reply so far, the rest of it."""
    rules: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Regular expression over the last message → replies used instead of ``replies``; the first match counts."""


ModelSpec: TypeAlias = Annotated[
    OpenAIModel | VLLMModel | LlamaCppModel | LiteLLMModel | SimulatedModel | ScriptedModel,
    Field(discriminator="provider"),
]

"""What every node is: a frozen spec, and one async function from candidates to candidates."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self, TypeAlias, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema, model_validator

from archloom.nodes._candidate import Candidate, Candidates, Kind
from archloom.nodes._context import Context
from archloom.nodes._prompts import built_in, render
from archloom.nodes._sample import (
    Capability,
    FailedSample,
    OutputFormat,
    Replies,
    Request,
    Sample,
    Sampling,
    succeeded,
)
from archloom.nodes._task import Message, Messages, Task
from archloom.nodes.errors import TooFewSamplesError, UnparsedError

BYTES_PER_TOKEN = 8
"""Length of placeholders; generous for running text (English has about 4 bytes a token)."""

OnUnparsed: TypeAlias = Literal["pass", "fail"]


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names: TypeAlias = Annotated[
    tuple[str, ...],
    BeforeValidator(_one_or_many),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""One string or a list of strings in YAML; always a tuple here."""


class Spec(BaseModel):
    """Base of everything that is written in YAML: unknown fields are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Budget(Spec):
    """Hard limits; what is left out is unlimited."""

    calls: Annotated[int, Field(ge=1)] | None = None
    """Model calls."""
    tokens: Annotated[int, Field(ge=1)] | None = None
    """Prompt and completion tokens together."""
    cost_usd: Annotated[float, Field(gt=0)] | None = None
    """US dollars, by the price of each model."""
    time_s: Annotated[float, Field(gt=0)] | None = None
    """Seconds along the longest path."""


class OutputFormatSpec(Spec):
    """What each reply of a node must look like; exactly one of these. The server enforces it while it decodes."""

    json_schema: dict[str, JsonValue] | None = None
    """JSON that this JSON schema accepts."""
    regex: str | None = None
    """Text that this regular expression matches."""
    choice: tuple[str, ...] | None = None
    """One of these texts."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if len(self.model_fields_set) != 1 or self.choice == ():
            raise ValueError("write exactly one of json_schema, regex and choice")
        return self

    @property
    def format(self) -> OutputFormat:
        """As it goes into a request."""
        [kind] = self.model_fields_set
        value = json.dumps(getattr(self, kind), sort_keys=True, ensure_ascii=False)
        return OutputFormat(cast(Literal["json_schema", "regex", "choice"], kind), value)


class Node(Spec, ABC):
    """A step of a workflow: maps a set of candidates to a set of candidates.

    A subclass is the node's YAML schema (its fields) and its behaviour (:meth:`run`). ``takes`` and ``gives``
    are the kinds of candidates on its edges; ``needs`` are those it cannot do without, for a node that works on
    several kinds together; ``needs_input`` is true when it cannot be the first node.
    """

    takes: ClassVar[frozenset[Kind]] = frozenset({"answer"})
    needs: ClassVar[frozenset[Kind]] = frozenset()
    gives: ClassVar[frozenset[Kind]] = frozenset({"answer"})
    needs_input: ClassVar[bool] = True

    type: str
    """Type of the node."""
    after: Names = ()
    """Nodes whose candidates it is given, in this order."""
    budget: Budget | None = None
    """Hard limits of this node, per task, inside those of the workflow."""
    on_error: Literal["fail", "drop"] = "fail"
    """When this node fails the run fails, or the nodes after it go on without its candidates."""

    @abstractmethod
    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Makes this node's candidates out of those of its predecessors."""

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """What it will ask its model for these candidates; empty for a node without a model.

        Pure: the engine uses it with placeholder candidates to bound cost before a run, and to tell which
        nodes of a document ask the same question.
        """
        del task, given
        return ()

    def longest(self, given: Candidates) -> Candidates:
        """The most, and the longest, candidates it can give for these: bounds the cost of what comes after it."""
        return given


class ModelNode(Node):
    """A node that asks a model."""

    template: ClassVar[str]
    """Name of the built-in prompt in ``prompts/``."""
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "candidates"})
    """What the prompt may refer to."""
    offers_tools: ClassVar[bool] = False
    """Whether the model may call the tools that the task offers."""

    model: str
    """Name of an entry of ``models``."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    """Sampling temperature."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: the share of probability mass that is kept."""
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Completion tokens a single call may use."""
    stop: Names = ()
    """Strings that end a completion."""
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    """Ask for the log-probability of each token, and of so many likely alternatives."""
    output_format: OutputFormatSpec | None = None
    """What each reply must look like (a JSON schema, a regular expression or a choice), enforced by the server."""
    system: str | None = None
    """System message put before the conversation; the task's own is kept when this is left out."""
    prompt: str | None = None
    """Jinja template that replaces the built-in prompt of this node type."""
    min_success: Annotated[int, Field(ge=1)] = 1
    """The node fails when fewer of its calls come back."""
    on_unparsed: OnUnparsed = "pass"
    """When a reply does not parse, re-asks included: candidates pass on without its result, or the node fails."""

    @property
    def sampling(self) -> Sampling:
        """The parameters of its requests."""
        output = self.output_format.format if self.output_format else None
        return Sampling(self.temperature, self.max_tokens, self.top_p, self.stop, logprobs=self.logprobs, output=output)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What its model must be able to do."""
        wanted: set[Capability] = set()
        if self.logprobs is not None:
            wanted.add("logprobs")
        if self.output_format is not None:
            wanted.add(self.output_format.format.kind)
        return frozenset(wanted)

    @property
    def attempts(self) -> int:
        """How often, at most, it asks one question to get a reply that parses; bounds the cost of a run."""
        return 1

    def messages(self, task: Task, prompt: str | None = None, **values: object) -> Messages:
        """The task's conversation with the last user message replaced by this node's rendered prompt.

        Earlier turns, tool messages and images stay as they are. Without a prompt the task is asked as it is.
        """
        conversation = task.messages
        source = self.prompt or prompt
        if self.system is not None:
            rest = tuple(m for m in conversation if m.get("role") != "system")
            conversation = ({"role": "system", "content": self.system}, *rest)
        if source is None:
            return conversation
        return with_question(conversation, render(source, question=task.question, **values))

    def placeholders(self, count: int) -> Candidates:
        """Stand-ins for this many replies of the greatest length, which are cut there."""
        word = "x" * (BYTES_PER_TOKEN - 1) + " "  # words, because some clients count those and not bytes
        text = word * self.max_tokens
        return tuple(Candidate(id=f"longest#{i}", text=text, answer="x", complete=False) for i in range(count))

    def built_in(self) -> str:
        """Source of this node type's own prompt: ``prompts/TEMPLATE.j2`` beside the class that names it."""
        owner = next(cls for cls in type(self).__mro__ if "template" in vars(cls))
        return built_in(owner.__module__.rpartition(".")[0], self.template)

    def sampling_for(self, task: Task) -> Sampling:
        """The parameters of its requests about this task, which may offer tools."""
        return replace(self.sampling, tools=task.tools) if self.offers_tools and task.tools else self.sampling

    async def ask(self, ctx: Context, requests: Sequence[Request]) -> list[Replies]:
        """Draws these samples from this node's model with this node's parameters."""
        return await ctx.sample(self.model, requests, sampling=self.sampling_for(ctx.task))

    def enough(self, results: Sequence[Sample | FailedSample], ctx: Context) -> list[Sample]:
        """The samples that came back; failures are already in the run log.

        Raises:
            TooFewSamplesError: fewer than ``min_success``.
        """
        samples = succeeded(results)
        if len(samples) < min(self.min_success, len(results) or self.min_success):
            first = next((r for r in results if isinstance(r, FailedSample)), None)
            why = f" First failure: {first.error}: {first.message}" if first else ""
            raise TooFewSamplesError(
                f"nodes.{ctx.node}: {len(samples)} of {len(results)} calls came back, "
                f"min_success is {self.min_success}.{why}"
            )
        return samples

    def unparsed(self, ctx: Context, reply: str, why: str) -> None:
        """Applies ``on_unparsed`` to a reply that stayed unreadable.

        Raises:
            UnparsedError: the policy is ``fail``.
        """
        ctx.note("unparsed", why=why, reply=reply[:500], policy=self.on_unparsed)
        if self.on_unparsed == "fail":
            raise UnparsedError(f"nodes.{ctx.node}: {why}. The reply began: {reply[:120]!r}")


def written(sample: Sample, ctx: Context, *, number: int, parents: Candidates = (), paused: bool = False) -> Candidate:
    """The candidate that a sample's text makes; a text that was cut or interrupted has an answer only where it states
    one."""
    complete = sample.finish != "length" and not paused
    return Candidate(
        id=f"{ctx.node}#{number}",
        text=sample.text,
        answer=ctx.answer(sample.text, complete=complete),
        parents=tuple(parent.id for parent in parents),
        tokens=sample.tokens_out,
        complete=complete,
        logprob=sample.logprob,
        tool_calls=sample.tool_calls,
    )


def with_question(conversation: Messages, text: str) -> Messages:
    """The conversation with the text of its last user message replaced, or with a message where there is none."""
    last = max((i for i, m in enumerate(conversation) if m.get("role") == "user"), default=None)
    if last is None:
        return (*conversation, {"role": "user", "content": text})
    return (*conversation[:last], _with_text(conversation[last], text), *conversation[last + 1 :])


def _with_text(message: Message, text: str) -> dict[str, object]:
    """The message with its text replaced; parts that are not text (images) stay."""
    old = dict(message)
    content = old.get("content")
    if isinstance(content, list):
        others = [part for part in content if not (isinstance(part, dict) and part.get("type") == "text")]
        old["content"] = [{"type": "text", "text": text}, *others]
    else:
        old["content"] = text
    return old

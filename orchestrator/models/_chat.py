"""The chat-completions format: what is sent, what comes back, and how many tokens a prompt can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeAlias

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from archloom.nodes import FinishReason, Message, Messages, Sampling
from archloom.orchestrator.models._client import Completion

TEMPLATE_TOKENS = 128
"""Room for what a chat template adds to a conversation, such as a system message of its own: 23 tokens for
SmolLM2, about 70 for gpt-oss. The few templates that add more do so only to a conversation without a system
message; give the node one where a token budget must be exact."""
MEDIUM_TOKENS = 16_384
"""Room for one image or sound; Qwen2.5-VL at its largest default resolution uses all of it."""
BYTES_PER_TOKEN = 4
"""Only estimates the usage of servers that report none."""

_FINISH: Mapping[object, FinishReason] = {
    "eos": "stop",
    "end_turn": "stop",
    "max_tokens": "length",
    "function_call": "tool_calls",
}

_Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Body(BaseModel):
    # Keys and prompts that a server echoes must not travel in a traceback.
    model_config = ConfigDict(hide_input_in_errors=True, frozen=True)


class Usage(_Body):
    """Tokens as the server counted them."""

    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None


class Reply(_Body):
    """The message of a choice; reasoning that the server keeps apart is not read."""

    content: str | list[object] | None = None


_Finish: TypeAlias = Annotated[FinishReason, BeforeValidator(lambda word: _FINISH.get(word, word))]


class Choice(_Body):
    """One completion."""

    message: Reply
    finish_reason: Annotated[FinishReason | None, BeforeValidator(lambda word: _FINISH.get(word, word))] = None


class ChatCompletion(_Body):
    """A server's answer with status 200; some gateways report errors that way too."""

    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    error: object = None


def chat_request(model: str, messages: Messages, sampling: Sampling, *, seed: int, limit: str = "max_tokens") -> bytes:
    """Body of a request; ``limit`` is the server's name for the most tokens it may write."""
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "temperature": sampling.temperature,
        limit: sampling.max_tokens,
        "seed": seed & 0x7FFF_FFFF,  # servers take 31 bits
    }
    if sampling.top_p != 1:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = sampling.stop
    return orjson.dumps(body, default=dict)


def prompt_tokens_bound(messages: Messages) -> int:
    """Bytes of the conversation as JSON: a byte-level tokenizer makes no more tokens than bytes.

    The JSON around a message outweighs the role markers of a chat template; what a template adds once
    (``TEMPLATE_TOKENS``) and images or sounds (``MEDIUM_TOKENS`` each) are added.
    """
    bound = TEMPLATE_TOKENS
    for message in messages:
        content = message.get("content")
        if isinstance(content, list):
            text = [part for part in content if _is_text(part)]
            bound += MEDIUM_TOKENS * (len(content) - len(text))
            message = {**message, "content": text}
        bound += len(orjson.dumps(message, default=dict))
    return bound


def completion_of(reply: ChatCompletion, messages: Messages, sampling: Sampling, latency_s: float) -> Completion:
    """The first choice of a reply; usage that the server left out is estimated from the texts."""
    choice, usage = reply.choices[0], reply.usage or Usage()
    text = text_in(choice.message.content)
    tokens_in, tokens_out = usage.prompt_tokens, usage.completion_tokens
    estimated = tokens_in is None or tokens_out is None
    if tokens_in is None or tokens_out is None:
        tokens_in, tokens_out = _estimated("".join(map(text_of, messages))), _estimated(text)
    # Some servers do not say why they ended.
    finish = choice.finish_reason or ("length" if tokens_out >= sampling.max_tokens else "stop")
    return Completion(text, finish, tokens_in, tokens_out, latency_s, estimated=estimated)


def text_of(message: Message) -> str:
    """Text of a message; parts that are not text (images) are left out."""
    return text_in(message.get("content"))


def text_in(content: object) -> str:
    """Text of a message's content, which is a string, a list of parts, or nothing."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if _is_text(part))
    return content if isinstance(content, str) else ""


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text"


def _estimated(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TOKEN)

"""The chat-completions format as it is sent, and how many tokens a prompt can be."""

from __future__ import annotations

import orjson

from archloom.nodes import Message, Messages, OutputFormat, Sampling

TEMPLATE_TOKENS = 128
"""Room for what a chat template adds to a conversation, such as a system message of its own: 23 tokens for
SmolLM2, about 70 for gpt-oss. The few templates that add more do so only to a conversation without a system
message; give the node one where a token budget must be exact."""
MEDIUM_TOKENS = 16_384
"""Room for one image or sound; Qwen2.5-VL at its largest default resolution uses all of it."""
BYTES_PER_TOKEN = 4
"""Only estimates the usage of servers that report none; there is no tokenizer on the way."""


def chat_body(
    model: str, messages: Messages, sampling: Sampling, *, seed: int, limit: str = "max_tokens"
) -> dict[str, object]:
    """The fields that all servers know, but for the format of the output.

    Args:
        model: Its name at the server.
        messages: The conversation; sent as it is.
        sampling: The parameters; what has its default is left out, because some servers refuse what they do not know.
        seed: Servers take 31 bits of it.
        limit: The server's name for the most tokens it may write.
    """
    body: dict[str, object] = {
        "model": model,
        "messages": messages,
        "temperature": sampling.temperature,
        limit: sampling.max_tokens,
        "seed": seed & 0x7FFF_FFFF,
    }
    if sampling.top_p != 1:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = sampling.stop
    if sampling.logprobs is not None:
        body["logprobs"] = True
        body["top_logprobs"] = sampling.logprobs
    if sampling.tools:
        body["tools"] = sampling.tools
        if sampling.tool_choice is not None:
            body["tool_choice"] = sampling.tool_choice
    return body


def json_schema_format(output: OutputFormat) -> dict[str, object]:
    """``response_format`` for output of the kind ``json_schema``."""
    schema = {"name": "reply", "schema": orjson.loads(output.value), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


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


def reply_begun(messages: Messages) -> str | None:
    """The beginning of the reply, where the conversation ends with one that is to be continued; else ``None``."""
    last = messages[-1] if messages else {}
    return text_of(last) if last.get("role") == "assistant" and not last.get("tool_calls") else None


def tokens_estimated(size: int) -> int:
    """Tokens of a text of this many bytes, where nobody counted them."""
    return -(-size // BYTES_PER_TOKEN)


def text_of(message: Message) -> str:
    """Text of a message; parts that are not text (images) are left out."""
    return text_in(message.get("content"))


def text_in(content: object) -> str:
    """Text of a message's content, which is a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if _is_text(part))
    return ""


def _is_text(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") == "text"

"""What an HTTP error of a model server means: its class of failure, what it said, how long to wait."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from archloom.orchestrator.errors import FailureClass

HINTS: dict[FailureClass, str] = {
    "timeout": "Raise timeout_s of the model, or lower max_tokens or max_concurrency.",
    "rate_limit": "Lower max_concurrency of the model, or raise its retries.",
    "server": "The server failed; look at its log, or try again later.",
    "connection": "Check base_url of the model, and that the server is running.",
    "malformed": "Check that base_url leads to an OpenAI-compatible API (it mostly ends in /v1).",
    "auth": "Check api_key of the model, and that the account may use this model and has credit.",
    "bad_request": "Check model and base_url, and that the server knows the parameters of the node.",
    "context_length": "Lower max_tokens or the number of candidates in one prompt, or use a longer context.",
    "content_filter": "The provider's filter refused this text; reword the prompt or use another model.",
}
"""The next step after each failure."""

_CONTEXT_LENGTH = re.compile(
    r"context[_ ](length|size|window)|too many tokens|(prompt|input|request) is too (long|large)"
    r"|reduce the length|token count .{0,40}exceeds",
    re.IGNORECASE,
)
_CONTENT_FILTER = re.compile(r"content[_ -]?(filter|policy|management)|ResponsibleAIPolicy", re.IGNORECASE)
_NO_CREDIT = re.compile(r"insufficient_(quota|balance|credit)|billing_hard_limit", re.IGNORECASE)

_BY_STATUS: dict[int, FailureClass] = {
    401: "auth",
    402: "auth",
    403: "auth",
    408: "timeout",
    409: "server",
    413: "context_length",
    425: "server",
    429: "rate_limit",
    504: "timeout",
}


def failure_of(status: int, body: bytes) -> FailureClass:
    """The class of failure of an answer with this status and body."""
    text = body.decode(errors="replace")
    if status == 429 and _NO_CREDIT.search(text):
        return "auth"  # waiting does not bring credit
    if status in {400, 403, 422} and _CONTENT_FILTER.search(text):
        return "content_filter"
    if status in {400, 422} and _CONTEXT_LENGTH.search(text):
        return "context_length"
    return _BY_STATUS.get(status, "server" if status >= 500 else "bad_request")


def said_by(body: bytes, limit: int = 300) -> str:
    """The message in an error body of any of the common shapes, else the body itself, shortened."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = body.decode(errors="replace")
    while isinstance(told, dict):
        told = next((told[key] for key in ("error", "message", "detail", "msg") if told.get(key)), str(told))
    text = " ".join(str(told).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def wait_of(retry_after: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header (a number or a date) asks for; ``None`` where it says nothing."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):  # not a date, or a date without a zone
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None

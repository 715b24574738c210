"""What an HTTP error of a model server means: its class of failure, what it said, how long to wait."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from archloom.orchestrator.errors import FailureClass

HINTS: dict[FailureClass, str] = {
    "timeout": "Raise timeout_s of the model, or lower max_tokens or max_concurrency.",
    "stall": "Raise stall_s of the model, or look at the server's load.",
    "rate_limit": "Lower max_concurrency of the model, or raise its retries.",
    "server": "The server failed; look at its log, or try again later.",
    "connection": "Check base_url of the model, and that the server is running.",
    "malformed": "Check that base_url leads to an OpenAI-compatible API (it mostly ends in /v1).",
    "empty": "The server failed to answer; look at its log, or try again later.",
    "auth": "Check api_key of the model, and that the account may use this model and has credit.",
    "bad_request": "Check model and base_url, and that the server knows the parameters of the node.",
    "context_length": "Lower max_tokens or the number of candidates in one prompt, or use a longer context.",
    "content_filter": "The provider's filter refused this text; reword the prompt or use another model.",
}
"""The next step after each failure."""

_CONTEXT_LENGTH = re.compile(
    r"context[_ ](length|size|window)|max_model_len|too many tokens|(prompt|input|request) is too (long|large)"
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
_DURATION = re.compile(r"(?:(?P<h>[\d.]+)h)?(?:(?P<m>[\d.]+)m)?(?:(?P<s>[\d.]+)s?)?|(?P<ms>[\d.]+)ms")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3}


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


def status_in(error: object) -> int:
    """The status that an error object inside a reply with status 200 stands for."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def said_by(body: bytes, hide: Callable[[str], str], limit: int = 300) -> str:
    """The message in an error body of any of the common shapes, else the body itself, shortened.

    Args:
        body: What the server sent.
        hide: Cuts secrets out. It is given the whole text, because half a secret is one still.
        limit: The most characters of the answer.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = body.decode(errors="replace")
    while isinstance(told, dict):
        told = next((told[key] for key in ("error", "message", "detail", "msg") if told.get(key)), str(told))
    text = hide(" ".join(str(told).split()))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def wait_of(status: int, headers: Mapping[str, str]) -> float | None:
    """Seconds that the headers of a refusal ask for; ``None`` where they say nothing.

    Args:
        status: Of the answer. Limits that are not used up are told with every answer, and count with 429 only.
        headers: ``Retry-After`` as a number or a date, ``retry-after-ms``, ``x-ratelimit-reset-*``; names in any case.
    """
    if (milliseconds := headers.get("retry-after-ms")) is not None:
        return _finite(milliseconds, 1e-3)
    if (told := headers.get("Retry-After")) is not None:
        return _finite(told, 1.0) if _is_number(told) else _until(told)
    if status != 429:
        return None
    waits = [
        wait
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}", "0") == "0"
        and (wait := _duration(headers.get(f"x-ratelimit-reset-{kind}", ""))) is not None
    ]
    return max(waits, default=None)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _finite(text: str, unit_s: float) -> float | None:
    seconds = float(text) * unit_s if _is_number(text) else math.nan
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # not a date, or a date without a zone
        return None


def _duration(text: str) -> float | None:
    """Seconds of ``6m0s``, ``1.5s``, ``17ms`` or ``20``."""
    match = _DURATION.fullmatch(text)
    parts = {unit: amount for unit, amount in match.groupdict().items() if amount} if match else {}
    if not parts or not all(map(_is_number, parts.values())):
        return None
    return sum(float(amount) * _SECONDS[unit] for unit, amount in parts.items())

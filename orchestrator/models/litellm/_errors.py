"""What litellm's exceptions mean: their class of failure, what the server said, how long to wait."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from archloom.orchestrator.errors import FailureClass
from archloom.orchestrator.models.openai._http_errors import failure_of, said_by, wait_of

FAILURES: Mapping[str, FailureClass] = {
    "APIConnectionError": "connection",
    "APIError": "server",
    "APIResponseValidationError": "malformed",
    "AuthenticationError": "auth",
    "BadGatewayError": "server",
    "BadRequestError": "bad_request",
    "BlockedPiiEntityError": "content_filter",
    "BudgetExceededError": "budget",
    "ContentPolicyViolationError": "content_filter",
    "ContextWindowExceededError": "context_length",
    "GuardrailRaisedException": "content_filter",
    "ImageFetchError": "bad_request",
    "InternalServerError": "server",
    "InvalidRequestError": "bad_request",
    "JSONSchemaValidationError": "malformed",
    "LiteLLMUnknownProvider": "bad_request",
    "MidStreamFallbackError": "server",
    "MockException": "server",
    "ModelNotMappedError": "bad_request",
    "ModifyResponseException": "content_filter",
    "NotFoundError": "bad_request",
    "OpenAIError": "server",
    "PaymentRequiredError": "auth",
    "PermissionDeniedError": "auth",
    "RateLimitError": "rate_limit",
    "RejectedRequestError": "bad_request",
    "SensitiveDataRouteException": "content_filter",
    "ServiceUnavailableError": "server",
    "Timeout": "timeout",
    "UnprocessableEntityError": "bad_request",
    "UnsupportedParamsError": "bad_request",
    "VectorStoreSearchError": "bad_request",
}
"""What litellm's exceptions mean, by their names; those of the OpenAI SDK, which they derive from, have the same."""

_VAGUE = frozenset({"bad_request", "auth", "rate_limit", "server"})
"""Failures that litellm's adapters do not all tell apart; the server's status and words do."""
_TRANSPORT = frozenset({"ClientError", "ConnectionError", "TransportError"})
"""Bases of what aiohttp, Python and httpx raise when a connection fails."""
_UNREADABLE = frozenset({"ClientPayloadError", "JSONDecodeError", "KeyError", "RemoteProtocolError", "ValidationError"})
"""What lies behind an error about a reply that is cut or is no completion."""
_NAMES_BEFORE = re.compile(r"^(?:(?:litellm\.)?\w*(?:Error|Exception|Timeout)(?:: | - ))+")


class Told(NamedTuple):
    """What an exception of litellm says.

    Attributes:
        failure: Its class; ``None`` when a package that the provider needs is not installed.
        what: In words, without secrets.
        retry_after_s: What the server asked us to wait, if it did.
    """

    failure: FailureClass | None
    what: str
    retry_after_s: float | None = None


def raised_by(litellm: Any) -> tuple[type[Exception], ...]:
    """The exceptions that its calls may raise: its own, and those of the OpenAI SDK that it lets through."""
    exceptions = vars(litellm.exceptions)
    return (exceptions["openai"].OpenAIError, *(exceptions[name] for name in FAILURES if name in exceptions))


def told_by(exc: Exception, hide: Callable[[str], str]) -> Told:
    """What one of these exceptions says.

    Args:
        exc: The exception.
        hide: Cuts secrets out of a text.
    """
    if missing := next((each for each in behind(exc) if isinstance(each, ImportError)), None):
        return Told(None, hide(str(missing)))
    text, _, _ = str(exc).partition("\nTraceback")
    what = said_by(_NAMES_BEFORE.sub("", text).encode(), hide)
    return Told(_failure(exc), what, wait_of(getattr(exc, "status_code", 0), _headers(exc)))


def behind(exc: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, latest first."""
    at: BaseException | None = exc
    while at is not None:
        yield at
        at = at.__cause__ or at.__context__


def _failure(exc: Exception) -> FailureClass:
    known = [FAILURES[cls.__name__] for cls in type(exc).__mro__ if cls.__name__ in FAILURES]
    failure: FailureClass = known[0] if known else "server"
    status = getattr(exc, "status_code", None)
    if failure in _VAGUE and isinstance(status, int) and 400 <= status < 500:
        return failure_of(status, str(exc).encode())
    if failure in {"server", "connection"}:
        _, *earlier = behind(exc)
        names = {cls.__name__ for each in earlier for cls in type(each).__mro__}
        if names & _UNREADABLE:
            return "malformed"
        return "connection" if names & _TRANSPORT else failure
    return failure


def _headers(exc: Exception) -> Mapping[str, str]:
    """Headers of the server's answer, of which litellm keeps one copy or the other."""
    response = getattr(exc, "response", None)
    kept = (getattr(exc, "litellm_response_headers", None), getattr(response, "headers", None))
    return next((headers for headers in kept if headers), {})

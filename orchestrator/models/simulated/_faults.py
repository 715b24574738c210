"""What goes wrong between a simulated model and its caller, and passes."""

from __future__ import annotations

from itertools import accumulate
from typing import Literal, TypeAlias, cast

from archloom.graphs import SimulatedModel
from archloom.nodes import Completion
from archloom.orchestrator.errors import ModelCallError
from archloom.orchestrator.models.simulated._truth import Draws

Fault: TypeAlias = Literal["rate_limit", "server", "timeout", "connection", "malformed", "empty", "stall", "drip"]

DRIP = 10.0
"""How much slower a dripping reply is written."""
_HINT = "Set 'faults' of the model to see none."
_SAID: dict[Fault, str] = {
    "rate_limit": "status 429: simulated rate limit",
    "server": "status 500: simulated server error",
    "timeout": "no reply in time (simulated)",
    "connection": "the connection was reset (simulated)",
    "malformed": "the reply is not a chat completion, its JSON is cut (simulated)",
    "empty": "the reply holds no word (simulated)",
    "stall": "the stream fell silent (simulated)",
}


class FaultyLine:
    """Draws a fault for each attempt at a request. Which attempt it is, it counts itself: the failures so far of the
    same request with the same seed. So what happens depends on neither time nor other requests."""

    def __init__(self, spec: SimulatedModel, draws: Draws) -> None:
        shares: dict[str, float] = spec.faults.model_dump()
        self._kinds = cast("list[Fault]", list(shares))
        self._below = list(accumulate(shares.values()))
        self._spec, self._draws = spec, draws
        self._failures: dict[tuple[object, ...], int] = {}

    def next(self, request: tuple[object, ...]) -> Fault | None:
        """What becomes of the next attempt at this request; with a success it begins again."""
        failures = self._failures.get(request, 0)
        chance = self._draws("fault", *request, failures).random()
        fault = next((kind for kind, below in zip(self._kinds, self._below, strict=True) if chance < below), None)
        if failures and fault in {None, "drip"}:
            del self._failures[request]
        return fault

    def error(self, fault: Fault, request: tuple[object, ...], completion: Completion) -> ModelCallError:
        """The failure, which counts from now on, with the tokens that a server would have said it used.

        Args:
            fault: What happened.
            request: The request it happened to.
            completion: The reply that would have come.
        """
        assert fault != "drip"  # a slow reply is no failure
        self._failures[request] = self._failures.get(request, 0) + 1
        used = {"malformed": (completion.tokens_in, completion.tokens_out), "empty": (completion.tokens_in, 0)}
        return ModelCallError(
            f"{self._spec.model}: {_SAID[fault]}.",
            failure=fault,
            # Nobody gains by waiting for a model that takes no time.
            retry_after_s=None if self._spec.sleep else 0.0,
            used=used.get(fault),
            hint=_HINT,
        )

    def wait_s(self, fault: Fault, completion: Completion) -> float:
        """Seconds until the caller knows."""
        match fault:
            case "rate_limit" | "server" | "connection":
                return self._spec.latency_s
            case "timeout" | "stall":
                return self._spec.timeout_s
            case _:
                return completion.latency_s

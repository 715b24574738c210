"""Archon's components as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from archloom.graphs._yaml import Json
from archloom.graphs.importers._archon_models import PAIR_RM, Models
from archloom.graphs.importers._reading import Part

Spec: TypeAlias = dict[str, Json]
"""A node as it stands in a document."""

_MAX_TOKENS = 1_000_000
_COMMON = frozenset({"type", "model", "model_type", "temperature", "max_tokens", "samples"})
_KNOWN: Mapping[str, frozenset[str]] = {
    "generator": frozenset({"no_system"}),
    "fuser": frozenset({"length_control"}),
    "critic": frozenset(),
    "ranker": frozenset({"top_k", "use_critiques"}),
    "verifier": frozenset({"first_k"}),
    "unit_test_generator": frozenset({"unit_test_cap"}),
    "unit_test_evaluator": frozenset({"top_k", "first_k", "first_pass", "remove_unit_tests_from_prompt"}),
}
NOBODY = "is read by nobody in Archon and was left out."
"""What is said of a field that does nothing."""
_DEAD: Mapping[str, str] = {
    **dict.fromkeys(("top_k", "batch_num", "unit_test_cap", "checkpoint", "ranker_config"), NOBODY),
    **dict.fromkeys(("top_k_generations", "fuse_generations_count", "ranker_checkpoint", "use_critiques"), NOBODY),
    **dict.fromkeys(("first_k", "first_pass", "length_control"), NOBODY),
    "ranker_batch_size": "is read for PairRM only and was left out.",
    "no_system": "was left out: archloom puts no system message of its own before a conversation.",
}


def node_of(part: Part, models: Models, *, criticised: bool) -> Spec:
    """The node of one component, without its edges.

    Args:
        part: The component; its ``type`` is known.
        models: Takes up its model.
        criticised: Its answers have critiques.
    """
    kind = str(part.take("type"))
    if part.data.get("model") == PAIR_RM:
        hint = "Put a chat model in its place; 'mode: pairwise' of the ranker compares every two answers."
        part.reading.wrong((*part.path, "model"), f"{PAIR_RM} is no chat model; no provider has it.", hint)
        return {"type": kind}
    limit = "max_tokens"
    if part.has("max_context_length") and not part.has("max_tokens"):
        limit = "max_context_length"
        part.remark(limit, "is what older releases call 'max_tokens' and was taken for that.")
    node: Spec = {
        "type": kind,
        "model": models.name(part),
        "temperature": part.needed("temperature", 0, 2, whole=False),
        "max_tokens": part.needed(limit, 1, _MAX_TOKENS),
    }
    samples = part.number("samples", 1, 64 if kind == "fuser" else 4096)
    if kind in ("generator", "fuser"):
        node["samples"] = samples or 1
    elif samples not in (None, 1):
        part.remark("samples", "replies are drawn by Archon and the first is read; here one is drawn.")
    if kind in _OWN:
        _OWN[kind](part, node)
    if kind == "ranker":
        _use_critiques(part, criticised=criticised)
    part.report_rest(_DEAD, _COMMON | _KNOWN[kind])
    return node


def _critic(part: Part, node: Spec) -> None:
    del part
    node["mode"] = "listwise"


def _fuser(part: Part, node: Spec) -> None:
    del node
    if part.take("length_control"):
        part.remark("length_control", "has no counterpart: Archon then asks for a short answer. Write a 'prompt'.")


def _ranker(part: Part, node: Spec) -> None:
    node["keep"] = part.needed("top_k", 1, 4096)


def _use_critiques(part: Part, *, criticised: bool) -> None:
    """Archon's ranker is shown critiques where there are any, whatever this field says."""
    shown = part.take("use_critiques")
    if shown is not None and bool(shown) != criticised:
        what = "are shown all the same" if criticised else "do not exist here"
        part.remark("use_critiques", f"is read by nobody in Archon; critiques {what}.")


def _verifier(part: Part, node: Spec) -> None:
    del node
    if part.number("first_k", 1, 4096):
        part.remark("first_k", "was left out: here all answers are judged at once and all accepted ones pass on.")


def _unit_test_generator(part: Part, node: Spec) -> None:
    if cap := part.number("unit_test_cap", 1, 50):
        node["tests"] = cap


def _unit_test_evaluator(part: Part, node: Spec) -> None:
    if keep := part.number("top_k", 1, 4096):
        node["keep"] = keep
    for early in ("first_k", "first_pass"):
        if part.take(early):
            part.remark(early, "was left out: here all answers are judged at once, and the best come first.")
    if part.take("remove_unit_tests_from_prompt") is False:
        part.remark("remove_unit_tests_from_prompt", "was left out: the tests are no part of the task here.")


_OWN: Mapping[str, Callable[[Part, Spec], None]] = {
    "critic": _critic,
    "fuser": _fuser,
    "ranker": _ranker,
    "verifier": _verifier,
    "unit_test_generator": _unit_test_generator,
    "unit_test_evaluator": _unit_test_evaluator,
}

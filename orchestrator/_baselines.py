"""Baselines at matched compute: what a workflow has to beat, made out of its own first generator."""

from __future__ import annotations

from dataclasses import replace

from archloom.graphs import Configuration
from archloom.nodes import INPUT, Generator, Verifier, Vote

_SAMPLING = 0.7
"""Temperature of several samples when the workflow's own generator is greedy: equal samples are no baseline."""


def first_generator(configuration: Configuration) -> Generator | None:
    """The generator that comes first in canonical order and asks the task as it is, be it in a body."""
    found = [node for node in configuration.all_nodes.values() if isinstance(node, Generator)]
    first = [node for node in found if not node.after] + [node for node in found if node.after == (INPUT,)]
    return first[0].model_copy(update={"after": ()}) if first else None


def single_call(configuration: Configuration) -> Configuration | None:
    """One call of the workflow's first generator; ``None`` when it has no such node."""
    generator = first_generator(configuration)
    if generator is None:
        return None
    draft = _several(generator, 1).model_copy(update={"temperature": generator.temperature})
    return replace(_bare(configuration), name="single call", nodes={"draft": draft}, output="draft")


def self_consistency(configuration: Configuration, samples: int) -> Configuration | None:
    """Majority vote over this many calls of the workflow's first generator."""
    generator = first_generator(configuration)
    if generator is None:
        return None
    return replace(
        _bare(configuration),
        name=f"self-consistency ×{samples}",
        nodes={"draft": _several(generator, samples), "vote": Vote(after=("draft",))},
        output="vote",
    )


def best_of_n(configuration: Configuration, samples: int) -> Configuration | None:
    """The best of this many calls of the workflow's first generator, judged by the same model."""
    generator = first_generator(configuration)
    if generator is None:
        return None
    judge = Verifier(
        model=generator.model,
        after=("draft",),
        keep="passed",
        max_tokens=max(generator.max_tokens, _VERDICT_TOKENS),
    )
    return replace(
        _bare(configuration),
        name=f"best of {samples}, self-judged",
        nodes={"draft": _several(generator, samples), "best": judge},
        output="best",
    )


_VERDICT_TOKENS = 64
"""A judge needs room for its reasons, however short the answers are."""


def _several(generator: Generator, samples: int) -> Generator:
    temperature = generator.temperature or _SAMPLING
    return generator.model_copy(
        update={
            "samples": samples,
            "temperature": temperature,
            "min_success": 1,
            "budget": None,
            "first": None,
            "until": None,
        }
    )


def _bare(configuration: Configuration) -> Configuration:
    return replace(configuration, doc="", budget=type(configuration.budget)())

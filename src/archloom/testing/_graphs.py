"""Any valid workflow, as a hypothesis strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from archloom.graphs import Configuration, ModelSpec
from archloom.nodes import (
    INPUT,
    Body,
    Budget,
    Check,
    Composite,
    Critic,
    Fuser,
    Generator,
    Map,
    Node,
    Ranker,
    Repeat,
    Route,
    Stopping,
    Verifier,
    Vote,
)

TYPES: Sequence[type[Node]] = (Generator, Vote, Critic, Ranker, Verifier, Fuser, Check)
COMPOSITES: Sequence[type[Node]] = (*TYPES, Repeat, Route, Map)


@st.composite
def configurations(
    draw: st.DrawFn,
    models: Mapping[str, ModelSpec],
    *,
    types: Sequence[type[Node]] = TYPES,
    max_nodes: int = 6,
    max_samples: int = 3,
    budgets: st.SearchStrategy[Budget] | None = None,
    node_budgets: st.SearchStrategy[Budget | None] | None = None,
    policies: bool = False,
    early: bool = False,
) -> Configuration:
    """Configurations whose nodes are joined in any way that the construction rules allow.

    Args:
        draw: Given by hypothesis.
        models: Models that the nodes may ask.
        types: Node types to choose from, besides the generator that comes first.
        max_nodes: The most nodes.
        max_samples: The most samples of one node.
        budgets: Budgets of the task.
        node_budgets: Budgets of single nodes.
        policies: Also vary what nodes do when something fails.
        early: Also let generators end early: when the first are there, or when the answers agree.
    """
    how = _How(tuple(types), sorted(models), max_samples, policies, early, node_budgets)
    nodes = _nodes(draw, how, max_nodes, depth=2)
    output = f"n{len(nodes) - 1}"
    leading = _ancestors(nodes, output)
    return Configuration(
        name="drawn",
        models=models,
        nodes={name: node for name, node in nodes.items() if name in leading},
        output=output,
        budget=Budget() if budgets is None else draw(budgets),
        answer="number",
    )


class _How(NamedTuple):
    """What all nodes are drawn from."""

    types: Sequence[type[Node]]
    models: Sequence[str]
    max_samples: int
    policies: bool
    early: bool
    node_budgets: st.SearchStrategy[Budget | None] | None


def _nodes(draw: st.DrawFn, how: _How, most: int, *, depth: int, given: bool | None = None) -> dict[str, Node]:
    """Nodes of a graph, each after those it comes after.

    Args:
        draw: Given by hypothesis.
        how: What they are drawn from.
        most: How many at most.
        depth: How many composite nodes may be in each other.
        given: Whether a body is given candidates; ``None`` for no body.
    """
    nodes: dict[str, Node] = {}
    types = [each for each in how.types if depth or not issubclass(each, Composite)]
    inputs = [] if given is None else [INPUT]
    for number in range(draw(st.integers(1, most))):
        cls = draw(st.sampled_from(types)) if nodes or given else Generator
        sure = [*sorted(nodes), *(inputs if given else [])]  # from which candidates come
        after = draw(st.lists(st.sampled_from([*sorted(nodes), *inputs]), unique=True)) if nodes or inputs else []
        works_on = cls is Map or not issubclass(cls, Composite | Generator)
        if works_on and not set(after) & set(sure):
            after = [*after, draw(st.sampled_from(sure))]
        fields: dict[str, object] = {"after": tuple(after)}
        if how.node_budgets is not None:
            fields["budget"] = draw(how.node_budgets)
        if how.policies:
            fields["on_error"] = draw(st.sampled_from(["fail", "drop"]))
        if issubclass(cls, Composite):
            fields |= _bodies(draw, cls, how, depth - 1, given=bool(set(after) & set(sure)))
        else:
            fields |= _own_fields(draw, cls, how.models, how.max_samples, policies=how.policies)
        if how.early and cls is Generator:
            fields |= draw(_EARLY)
        nodes[f"n{number}"] = cls.model_validate(fields)
    return nodes


def _bodies(draw: st.DrawFn, cls: type[Composite], how: _How, depth: int, *, given: bool) -> dict[str, object]:
    if cls is Route:
        probe = Generator(model=draw(st.sampled_from(how.models)), samples=2, after=())
        return {
            "by": "agreement",
            "probe": Body(nodes={"p": probe}, output="p"),
            "branches": {name: _body(draw, how, depth, given=True) for name in ("easy", "hard")},
        }
    if cls is Map:
        question = draw(st.booleans())
        return {
            "each": "question" if question else "candidate",
            "join": draw(st.sampled_from(["all", "concat"])),
            "most": draw(st.integers(1, 3)),
            "body": _body(draw, how, depth, given=not question),
        }
    assert cls is Repeat, f"no bodies are drawn for {cls}"
    return {
        "body": _body(draw, how, depth, given=given),
        "rounds": draw(st.integers(1, 3)),
        "until": draw(st.sampled_from([None, "accepted", "agree", "unchanged", "executed", {"score": 0.9}])),
        "carry": draw(st.sampled_from(["last", "best", "best_and_worst", "all"])),
        "keep": draw(st.sampled_from(["last", "best", "all"])),
    }


def _body(draw: st.DrawFn, how: _How, depth: int, *, given: bool) -> Body:
    nodes = _nodes(draw, how, 3, depth=depth, given=given)
    output = f"n{len(nodes) - 1}"
    leading = _ancestors(nodes, output)
    return Body(nodes={name: node for name, node in nodes.items() if name in leading}, output=output)


def _own_fields(
    draw: st.DrawFn, cls: type[Node], models: Sequence[str], max_samples: int, *, policies: bool
) -> dict[str, object]:
    fields: dict[str, object] = {}
    if cls is Check:
        fields = {"tool": draw(st.sampled_from(["calculator", "python"])), "keep": draw(_KEEP)}
        return fields | ({"on_none": draw(st.sampled_from(["pass", "fail"]))} if policies else {})
    if cls is Vote:
        return {"weight": draw(st.sampled_from(["none", "score"]))}
    fields = {
        "model": draw(st.sampled_from(models)),
        "temperature": draw(st.sampled_from([0.0, 0.7])),
        "max_tokens": draw(st.sampled_from([20, 200])),
    }
    if policies:
        fields["min_success"] = draw(st.integers(1, 2))
        fields["on_unparsed"] = draw(st.sampled_from(["pass", "fail"]))
    if cls in (Generator, Fuser):
        fields["samples"] = draw(st.integers(1, max_samples))
    elif cls is Ranker:
        fields |= {"keep": draw(st.integers(1, 3)), "reasks": draw(st.integers(0, 2))}
    elif cls is Verifier:
        fields |= {"votes": draw(st.integers(1, 2)), "keep": draw(_KEEP)}
    return fields


_KEEP = st.sampled_from(["passed", "all"])
_EARLY: st.SearchStrategy[dict[str, object]] = st.one_of(
    st.just({}),
    st.builds(lambda first: {"first": first}, st.integers(1, 3)),
    st.builds(lambda least: {"until": Stopping(least=least)}, st.integers(1, 3)),
)


def _ancestors(nodes: Mapping[str, Node], output: str) -> set[str]:
    found = {output}
    for name in reversed(list(nodes)):  # each was drawn after those it comes after
        if name in found:
            found.update(nodes[name].after)
    return found

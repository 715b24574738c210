"""Any valid workflow, as a hypothesis strategy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from archloom.graphs import Configuration, ModelSpec
from archloom.nodes import Budget, Check, Critic, Fuser, Generator, Node, Ranker, Verifier, Vote

TYPES: Sequence[type[Node]] = (Generator, Vote, Critic, Ranker, Verifier, Fuser, Check)


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
    """
    nodes: dict[str, Node] = {}
    for number in range(draw(st.integers(1, max_nodes))):
        cls = draw(st.sampled_from(types)) if nodes else Generator
        least = 0 if cls is Generator else 1
        after = draw(st.lists(st.sampled_from(sorted(nodes)), min_size=least, unique=True)) if nodes else []
        fields: dict[str, object] = {"after": tuple(after)}
        if node_budgets is not None:
            fields["budget"] = draw(node_budgets)
        if policies:
            fields["on_error"] = draw(st.sampled_from(["fail", "drop"]))
        nodes[f"n{number}"] = cls.model_validate(
            fields | _own_fields(draw, cls, sorted(models), max_samples, policies=policies)
        )
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


def _ancestors(nodes: Mapping[str, Node], output: str) -> set[str]:
    found = {output}
    for name in reversed(list(nodes)):  # each was drawn after those it comes after
        if name in found:
            found.update(nodes[name].after)
    return found

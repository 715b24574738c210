"""Archon's construction rules: what may stand in which layer (Saad-Falcon et al., 2024, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from archloom.graphs.importers._reading import Reading

TYPES = (
    *("generator", "fuser", "critic", "ranker", "verifier"),
    *("unit_test_generator", "unit_test_evaluator"),
)
"""The components that Archon brings."""

_ALONE = frozenset(TYPES) - {"generator", "fuser"}


def check_rules(layers: Sequence[Sequence[str]], reading: Reading) -> None:
    """Reports every rule that these layers, given by the types of their components, break."""
    kinds = [layer[0] for layer in layers]
    for at, layer in enumerate(layers):
        kind = layer[0]
        if others := sorted(set(layer) - {kind}):
            rule = f"a layer holds components of one type; this one has a {kind} and a {others[0]}."
            reading.wrong(("layers", at), rule, "Put them into layers of their own.")
        elif kind in _ALONE and len(layer) > 1:
            reading.wrong(("layers", at), f"a {kind} stands alone in its layer; here are {len(layer)}.")
    for at, kind in enumerate(kinds):
        before, after = kinds[:at], kinds[at + 1 :]
        if kind == "generator":
            if before not in ([], ["unit_test_generator"]):
                rule = "generators stand in the first layer, or in the second after a unit_test_generator."
                reading.wrong(("layers", at), rule, "Later layers rewrite answers with a fuser.")
        elif kind != "unit_test_generator" and not {"generator", "fuser"} & set(before):
            rule = f"a {kind} works on answers, and no generator comes before it."
            reading.wrong(("layers", at), rule, "Begin with a layer of generators.")
        if kind == "critic" and not _is_read(after):
            rule = "a critic comes before a ranker or a fuser, which read what it writes; none follows."
            reading.wrong(("layers", at), rule, "Add one after it, or leave the critic out.")
        if kind == "unit_test_generator" and after[:1] not in (["unit_test_evaluator"], ["generator"]):
            rule = "a unit_test_generator is followed by its unit_test_evaluator, or by the generators."
            reading.wrong(("layers", at), rule, "Put the unit_test_evaluator right after it.")
        if kind == "unit_test_evaluator" and "unit_test_generator" not in before:
            rule = "a unit_test_evaluator judges by tests, and no unit_test_generator comes before it."
            reading.wrong(("layers", at), rule, "Put one right before it, or before the generators.")
    if len(layers[-1]) > 1:
        rule = "the last layer gives several answers, of which Archon returns one at random."
        reading.wrong(("layers", len(layers) - 1), rule, "End with one fuser, ranker or evaluator.")
    if "generator" not in kinds:
        reading.wrong(("layers",), "no layer has a generator.")


def _is_read(after: Sequence[str]) -> bool:
    """Whether critiques reach a ranker or fuser before the answers end."""
    return bool({"ranker", "fuser"} & set(after))

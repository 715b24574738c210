"""Archon's configurations: what becomes a workflow, what is said about the rest, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archloom.graphs import Document, DocumentError, ascii, picture
from archloom.graphs.importers import Imported, import_archon

Layer = list[dict[str, Any]]


def part(kind: str, model: str = "gpt-4o", model_type: str = "OpenAI_API", **fields: Any) -> dict[str, Any]:
    """A component with the fields that all have; a field given as ``None`` is left out."""
    common = {"type": kind, "model": model, "model_type": model_type, "temperature": 0.7, "max_tokens": 2048}
    return {name: value for name, value in {**common, **fields}.items() if value is not None}


def imported(*layers: Any, **top: Any) -> Imported:
    text = json.dumps({"name": "shape", "layers": layers, **top}, indent=1)
    return import_archon(text, source="shape.json")


def refused(*layers: Any) -> list[tuple[str, str]]:
    """Path and message of each problem."""
    with pytest.raises(DocumentError) as caught:
        imported(*layers)
    assert {problem.code for problem in caught.value.problems} == {"E028"}
    return [(problem.path, problem.message) for problem in caught.value.problems]


def remarks(*layers: Any, **top: Any) -> dict[str, str]:
    return {remark.path: remark.message for remark in imported(*layers, **top).remarks}


GENERATOR = part("generator", samples=5)
TESTS = part("unit_test_generator", unit_test_cap=3)
EVALUATOR = part("unit_test_evaluator", remove_unit_tests_from_prompt=True, top_k=1)
FUSER = part("fuser", samples=1)
RANKER = part("ranker", top_k=5)
CRITIC = part("critic", samples=1)
VERIFIER = part("verifier", samples=1)


def test_layers_become_edges_and_fields_keep_their_values() -> None:
    found = imported([GENERATOR, part("generator", "m2", samples=2)], [CRITIC], [RANKER], [FUSER])
    nodes = found.document.configure().nodes
    assert {name: node.after for name, node in nodes.items()} == {
        "generator_1_1": (),
        "generator_1_2": (),
        "critic_2": ("generator_1_1", "generator_1_2"),
        "ranker_3": ("critic_2",),
        "fuser_4": ("ranker_3",),
    }
    written = {name: node.model_dump(exclude_defaults=True) for name, node in nodes.items()}
    assert written["generator_1_1"] == {"model": "gpt-4o", "samples": 5, "max_tokens": 2048}
    assert written["critic_2"]["mode"] == "listwise"
    assert written["ranker_3"]["keep"] == 5
    assert found.remarks == ()


def test_tests_reach_the_generators_and_with_the_answers_the_evaluator() -> None:
    nodes = imported([TESTS], [GENERATOR], [EVALUATOR]).document.configure().nodes
    assert nodes["generator_2"].after == ("unit_test_generator_1",)
    assert nodes["unit_test_evaluator_3"].after == ("unit_test_generator_1", "generator_2")
    after = imported([GENERATOR], [TESTS], [EVALUATOR]).document.configure().nodes
    assert after["generator_1"].after == ()
    assert after["unit_test_evaluator_3"].after == ("unit_test_generator_2", "generator_1")


def test_file_says_where_it_comes_from_and_is_read_and_drawn_like_any_other() -> None:
    found = imported([part("generator", top_k=1)])
    assert found.yaml.splitlines()[:2] == [
        "# archloom import archon shape.json",
        "# layers[0][0].top_k: 1 is read by nobody in Archon and was left out.",
    ]
    again = Document.parse(found.yaml)
    assert "imported from shape.json" in str(again.data["doc"])
    assert again.configure().id == found.document.configure().id
    assert "generator_1" in ascii(picture(again))


@pytest.mark.parametrize(
    ("model", "model_type", "expected"),
    [
        ("gpt-4o", "OpenAI_API", {"provider": "openai", "model": "gpt-4o", "api_key": "${OPENAI_API_KEY}"}),
        (
            "Qwen/Qwen2-72B-Instruct",
            "Together_API",
            {
                "provider": "openai",
                "model": "Qwen/Qwen2-72B-Instruct",
                "base_url": "https://api.together.xyz/v1",
                "api_key": "${TOGETHER_API_KEY}",
            },
        ),
        (
            "llama3-8b-8192",
            "Groq_API",
            {
                "provider": "openai",
                "model": "llama3-8b-8192",
                "base_url": "https://api.groq.com/openai/v1",
                "api_key": "${GROQ_API_KEY}",
            },
        ),
        ("claude-3-opus", "Anthropic_API", {"provider": "litellm", "model": "anthropic/claude-3-opus"}),
        ("gemini-1.5-pro", "Google_API", {"provider": "litellm", "model": "gemini/gemini-1.5-pro"}),
        ("bedrock/meta.llama3:0", "Bedrock_API", {"provider": "litellm", "model": "bedrock/meta.llama3:0"}),
        (
            "http://127.0.0.1:8080/v1",
            "tgi",
            {"provider": "openai", "model": "tgi", "base_url": "http://127.0.0.1:8080/v1"},
        ),
        ("facebook/opt-125m", "vLLM", {"provider": "vllm", "model": "facebook/opt-125m"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_model_type_becomes_a_provider(model: str, model_type: str, expected: dict[str, str]) -> None:
    found = imported([part("generator", model, model_type)])
    assert list(found.document.data["models"].values()) == [expected]  # type: ignore[union-attr]
    assert found.remarks == ()


def test_unknown_model_type_is_said_and_becomes_litellm() -> None:
    found = imported([part("generator", "mine", "My_API")])
    assert found.document.data["models"] == {"mine": {"provider": "litellm", "model": "mine"}}
    [remark] = found.remarks
    assert remark.path == "layers[0][0].model_type"
    assert "Write the provider" in remark.message


def test_models_are_declared_once_and_named_apart() -> None:
    layer = [part("generator", "a/x"), part("generator", "b/x"), part("generator", "a/x"), part("generator", "7/7b")]
    document = imported(layer, [FUSER]).document
    assert list(document.data["models"]) == ["x", "x-2", "model-7b", "gpt-4o"]  # type: ignore[arg-type]
    nodes = document.configure().nodes
    assert [getattr(nodes[f"generator_1_{n}"], "model", None) for n in (1, 2, 3, 4)] == ["x", "x-2", "x", "model-7b"]


DEAD = {
    "top_k of a generator": ([part("generator", top_k=1)], "layers[0][0].top_k", "nobody"),
    "misspelt": ([part("generator", sample=3)], "layers[0][0].sample", "Did you mean 'samples'?"),
    "unheard of": ([part("generator", zzz=[1])], "layers[0][0].zzz", "[1] is in a field that Archon does not know"),
    "batch_num": ([part("generator"), part("generator", batch_num=1)], "layers[0][1].batch_num", "nobody"),
    "no_system": ([part("generator", no_system=True)], "layers[0][0].no_system", "no system message of its own"),
    "older name": (
        [part("generator", max_tokens=None, max_context_length=512)],
        "layers[0][0].max_context_length",
        "older releases",
    ),
}


@pytest.mark.parametrize(("layer", "path", "says"), DEAD.values(), ids=DEAD)
def test_field_of_a_generator_that_is_not_taken_over_is_named(layer: Layer, path: str, says: str) -> None:
    found = remarks(layer, [FUSER])
    assert set(found) == {path}
    assert says in found[path]


LATER = {
    "PairRM's batches": (part("ranker", top_k=5, ranker_batch_size=16), "ranker_batch_size", "PairRM only"),
    "critiques that are not there": (part("ranker", top_k=5, use_critiques=True), "use_critiques", "do not exist"),
    "length_control": (part("fuser", length_control=True), "length_control", "Write a 'prompt'"),
    "ranker of a fuser": (part("fuser", ranker_config={"x": 1}), "ranker_config", "nobody"),
    "samples of a verifier": (part("verifier", samples=3), "samples", "here one is drawn"),
    "first_k": (part("verifier", samples=1, first_k=1), "first_k", "all answers are judged at once"),
}


@pytest.mark.parametrize(("component", "field", "says"), LATER.values(), ids=LATER)
def test_field_of_a_later_component_that_is_not_taken_over_is_named(
    component: dict[str, Any], field: str, says: str
) -> None:
    found = remarks([GENERATOR], [component])
    assert set(found) == {f"layers[1][0].{field}"}
    assert says in found[f"layers[1][0].{field}"]


def test_fields_of_the_evaluator_and_the_top_that_are_not_taken_over_are_named() -> None:
    evaluator = part("unit_test_evaluator", first_pass=True, unit_test_cap=3, remove_unit_tests_from_prompt=False)
    found = remarks([TESTS], [GENERATOR], [evaluator], custom=True, branches=2)
    assert set(found) == {
        "custom",
        "branches",
        *(f"layers[2][0].{field}" for field in ("first_pass", "unit_test_cap", "remove_unit_tests_from_prompt")),
    }


def test_older_layers_with_branches_are_read() -> None:
    found = imported({"branches": 2, "models": [GENERATOR]}, [FUSER])
    assert [remark.path for remark in found.remarks] == ["layers[0].branches"]
    assert list(found.document.configure().nodes) == ["generator_1", "fuser_2"]


def test_critiques_of_rewritten_answers_are_gone_for_the_ranker_after_the_fuser() -> None:
    ranker = part("ranker", top_k=1, use_critiques=True)
    assert remarks([GENERATOR], [CRITIC], [ranker]) == {}
    assert "layers[3][0].use_critiques" in remarks([GENERATOR], [CRITIC], [FUSER], [ranker])


def test_remark_has_its_place_in_the_file() -> None:
    text = '{"name": "x",\n "layers": [\n\t[{"type": "generator", "model": "m", "model_type": "vLLM",\n'
    text += '\t  "temperature": 1, "max_tokens": 9, "top_k": 1}]]}'
    [remark] = import_archon(text, source="x.json").remarks
    assert (remark.line, remark.column) == (4, 39)
    assert str(remark).startswith("x.json:4:39: layers[0][0].top_k: 1 is read by nobody")


WRONG_ORDERS: dict[str, tuple[list[Layer], str, str]] = {
    "fuser first": ([[FUSER]], "layers[0]", "no generator comes before it"),
    "ranker first": ([[RANKER], [GENERATOR]], "layers[0]", "a ranker works on answers"),
    "mixed layer": ([[GENERATOR, CRITIC], [FUSER]], "layers[0]", "components of one type"),
    "generators later": ([[GENERATOR], [FUSER], [GENERATOR]], "layers[2]", "generators stand in the first layer"),
    "two rankers side by side": ([[GENERATOR], [RANKER, RANKER]], "layers[1]", "stands alone in its layer"),
    "critic that nobody reads": ([[GENERATOR], [CRITIC]], "layers[1]", "comes before a ranker or a fuser"),
    "critic after the last ranker": ([[GENERATOR], [RANKER], [CRITIC], [VERIFIER]], "layers[2]", "a critic comes before"),
    "tests that lead nowhere": ([[GENERATOR], [TESTS], [RANKER]], "layers[1]", "followed by its unit_test_evaluator"),
    "evaluator without tests": ([[GENERATOR], [EVALUATOR]], "layers[1]", "no unit_test_generator comes before it"),
    "several answers at the end": ([[GENERATOR], [FUSER, FUSER]], "layers[1]", "returns one at random"),
    "no generator": ([[TESTS], [EVALUATOR]], "layers", "no layer has a generator"),
}  # fmt: skip


@pytest.mark.parametrize(("layers", "path", "rule"), WRONG_ORDERS.values(), ids=WRONG_ORDERS)
def test_wrong_order_is_refused_with_the_rule(layers: list[Layer], path: str, rule: str) -> None:
    assert any(path == place and rule in message for place, message in refused(*layers))


BAD_FIELDS: dict[str, tuple[Any, str, str]] = {
    "no model": ([part("generator", model=None)], "layers[0][0]", "'model' is missing"),
    "no temperature": ([part("generator", temperature=None)], "layers[0][0]", "'temperature' is missing"),
    "no top_k of a ranker": ([GENERATOR], "layers[1][0]", "'top_k' is missing"),
    "temperature as text": ([part("generator", temperature="hot")], "layers[0][0].temperature", "must be a number"),
    "half a sample": ([part("generator", samples=1.5)], "layers[0][0].samples", "a whole number from 1"),
    "truth for a number": ([part("generator", samples=True)], "layers[0][0].samples", "a whole number"),
    "unknown component": ([part("genrator")], "layers[0][0].type", "there is no component 'genrator'"),
    "no component": (["generator"], "layers[0][0]", "must be an object"),
    "no layer": ({}, "layers[0].models", "must be a list of components"),
    "empty layer": ([], "layers[0]", "must be a list of components"),
}


@pytest.mark.parametrize(("layer", "path", "says"), BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_bad_part_is_refused_with_its_place(layer: Any, path: str, says: str) -> None:
    found = refused(layer, [part("ranker")] if "[1]" in path else [RANKER])
    assert any(path == place and says in message for place, message in found), found


def test_pair_rm_is_refused_with_what_to_do() -> None:
    with pytest.raises(DocumentError) as caught:
        imported([GENERATOR], [part("ranker", "llm-blender/PairRM", "", top_k=5)])
    [problem] = caught.value.problems
    assert problem.path == "layers[1][0].model"
    assert "mode: pairwise" in problem.hint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("[]", "an object with 'name' and 'layers'"),
        ('{"name": "x"}', "'layers' must be a list"),
        ('{"name": "x", "layers": [],}', "not JSON"),
        ('{"name": "x", "layers": [], "layers": []}', "stands twice"),
    ],
)
def test_what_is_no_configuration_is_refused(text: str, says: str) -> None:
    with pytest.raises(DocumentError, match=says):
        import_archon(text)


def test_all_problems_are_reported_at_once() -> None:
    assert len(refused([part("generator", samples=0)], [part("ranker")], [part("critic", temperature=9)])) == 4

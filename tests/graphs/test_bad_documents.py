"""Every way in which a document is wrong gives an error with its code, line and column."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from archloom.graphs import Document, DocumentError

GOOD = """\
archloom: 1
models:
  m: {provider: scripted}
nodes:
  draft: {type: generator, model: m, samples: 3}
  answer: {type: vote, after: draft}
output: answer
"""


class Case(NamedTuple):
    name: str
    text: str
    code: str
    line: int
    column: int
    says: str


def edited(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


CASES = [
    Case("unknown field", edited("samples: 3", "sampels: 3"), "E012", 5, 38, "Did you mean 'samples'?"),
    Case("unknown top-level field", edited("output:", "outptu: answer\noutput:"), "E012", 7, 1, "Did you mean 'output'?"),
    Case("wrong type", edited("samples: 3", "samples: many"), "E013", 5, 38, "valid integer"),
    Case("value out of range", edited("samples: 3", "samples: 0"), "E013", 5, 38, "greater than or equal to 1"),
    Case("unknown node type", edited("type: vote", "type: voet"), "E015", 6, 12, "Did you mean 'vote'?"),
    Case("missing type", edited("type: vote, ", ""), "E014", 6, 3, "'type' is missing"),
    Case("missing model", edited("model: m, ", ""), "E014", 5, 3, "'model' is missing"),
    Case("unknown provider", edited("scripted", "scriptd"), "E013", 3, 7, "Did you mean 'scripted'?"),
    Case("unknown model", edited("model: m,", "model: n,"), "E021", 5, 28, "Known are m."),
    Case("dangling after", edited("after: draft", "after: drfat"), "E016", 6, 24, "Did you mean 'draft'?"),
    Case("cycle", edited("samples: 3", "after: answer"), "E017", 5, 38, "draft -> answer"),
    Case("no path to output", edited("output: answer", "output: draft"), "E018", 6, 3, "no path leads"),
    Case("unknown output", edited("output: answer", "output: end"), "E018", 7, 1, "no node 'end'"),
    Case("critic without candidates", edited("type: vote, after: draft", "type: critic, model: m"), "E019", 6, 3, "given none"),
    Case("bad hole", edited("samples: 3", "samples: {choose: []}"), "E022", 5, 38, "at least one option"),
    Case("bad option in a hole", edited("samples: 3", "samples: {choose: [1, x]}"), "E013", 5, 38, "valid integer"),
    Case("range without step", edited("samples: 3", "samples: {range: [1, 9]}"), "E022", 5, 38, "needs a 'step'"),
    Case("unknown library graph", edited("type: vote, ", "use: library/votes, "), "E023", 6, 12, "no graph 'library/votes'"),
    Case("bad template", edited("samples: 3", 'prompt: "{{ query }}"'), "E024", 5, 38, "'query'"),
    Case("template syntax", edited("samples: 3", 'prompt: "{{ question"'), "E024", 5, 38, "prompt template"),
    Case("log-probabilities of a model without", edited("samples: 3", "logprobs: 2"), "E026", 5, 3, "asks for logprobs"),
    Case(
        "a regular expression where only vLLM has one",
        edited("{provider: scripted}", "{provider: openai, model: x}").replace("samples: 3", "output_format: {regex: a+}"),
        "E026", 5, 3, "asks for regex, which model 'm' (provider 'openai')",
    ),
    Case(
        "a fallback that cannot do it",
        edited("{provider: scripted}", "{provider: vllm, model: x, fallback: s}\n  s: {provider: scripted}").replace(
            "samples: 3", "logprobs: 2"
        ),
        "E026", 6, 3, "model 's'",
    ),
    Case(
        "a continuer whose server starts a new reply",
        edited("{provider: scripted}", "{provider: openai, model: x}").replace("type: vote", "type: continuer, model: m"),
        "E026", 6, 3, "asks for continuation, which model 'm' (provider 'openai')",
    ),
    Case(
        "a pause where nobody says why a reply ended",
        edited("{provider: scripted}", "{provider: litellm, model: x}").replace("samples: 3", "pause: Wait"),
        "E026", 5, 3, "asks for pause, which model 'm' (provider 'litellm')",
    ),
    Case("a stop and a pause", edited("samples: 3", "stop: a, pause: b"), "E013", 5, 3, "stop or pause, not both"),
    Case("two output formats", edited("samples: 3", "output_format: {regex: a, choice: [b]}"), "E013", 5, 38, "exactly one"),
    Case("a key in the document", edited("scripted", "openai, model: x, api_key: sk-123"), "E027", 3, 35, "the key itself"),
    Case("a header with a key", edited("scripted", "openai, model: x, headers: {X-Api-Key: s}"), "E027", 3, 45, "${NAME}"),
    Case("unknown fallback", edited("scripted", "scripted, fallback: n"), "E021", 3, 27, "there is no model 'n'"),
    Case("a fallback to itself", edited("scripted", "scripted, fallback: m"), "E021", 3, 27, "stand in for itself"),
    Case("a server of two kinds", edited("scripted", "vllm, model: x, base_url: 'http://h/v1', launch: {}"), "E013", 3, 3, "write one"),
    Case("not YAML", edited("models:", "models: ["), "E010", 4, 1, "not YAML"),
    Case("key twice", edited("output: answer", "output: answer\noutput: draft"), "E011", 8, 1, "stands twice"),
    Case("a tag", edited("output: answer", "output: !!python/name:os.system"), "E010", 7, 9, "not allowed"),
    Case("wrong version", edited("archloom: 1", "archloom: 2"), "E025", 1, 1, "format version"),
    Case("bad objective", GOOD + "search: {objective: {pareto: [tokens]}}\n", "E013", 8, 10, "needs 'score'"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_error_names_its_place(case: Case) -> None:
    with pytest.raises(DocumentError) as caught:
        Document.parse(case.text, source="w.yaml")
    found = [(problem.code, problem.line, problem.column) for problem in caught.value.problems]
    assert (case.code, case.line, case.column) in found, str(caught.value)
    assert case.says in str(caught.value)
    assert caught.value.exit_code == 2


def test_keys_are_named_in_errors_and_never_shown() -> None:
    with pytest.raises(DocumentError) as caught:
        Document.parse(edited("scripted", "openai, model: x, api_key: sk-123"))
    assert "sk-123" not in str(caught.value)


def test_a_fallback_is_part_of_what_a_configuration_is() -> None:
    other = edited(
        "{provider: scripted}", "{provider: scripted, fallback: s}\n  s: {provider: scripted, replies: [never]}"
    )
    plain, chained = Document.parse(GOOD).configure(), Document.parse(other).configure()
    assert plain.id != chained.id
    assert chained.used_models == ("m", "s")
    assert Document.parse(chained.to_yaml()).configure().id == chained.id


@pytest.mark.parametrize(
    "field", ["n: 4", "stream: true", "timeout_s: 1", "adaptive: true", "tokens_per_minute: 9", "headers: {a: b}"]
)
def test_how_a_model_is_reached_is_no_part_of_it(field: str) -> None:
    plain = edited("scripted", "openai, model: x")
    other = edited("scripted", f"openai, model: x, {field}")
    assert Document.parse(plain).configure().id == Document.parse(other).configure().id


def test_good_document_is_good() -> None:
    assert Document.parse(GOOD).configure().order == ("draft", "answer")


def test_all_errors_are_reported_at_once_in_reading_order() -> None:
    text = GOOD.replace("samples: 3", "samples: 0").replace("type: vote", "type: voet").replace("scripted", "scriptd")
    with pytest.raises(DocumentError) as caught:
        Document.parse(text)
    assert [(problem.code, problem.line) for problem in caught.value.problems] == [
        ("E013", 3),
        ("E013", 5),
        ("E015", 6),
    ]


def test_yaml_cannot_run_code() -> None:
    with pytest.raises(DocumentError, match="not allowed"):
        Document.parse('archloom: !!python/object/apply:os.system ["true"]')


@pytest.mark.parametrize("text", ["", "[]", "1", "a: &x [*x]", "- " * 5000, "\t", "a: *b", "? [1]: 2", "nodes: {a: 1}"])
def test_any_text_gives_document_errors_and_nothing_else(text: str) -> None:
    with pytest.raises(DocumentError):
        Document.parse(text)

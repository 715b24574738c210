"""How a simulated model understands what it is asked: from headings and last lines, nothing else."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, TypeAlias

from archloom.nodes import Messages
from archloom.orchestrator.models.openai._chat import text_of
from archloom.orchestrator.models.simulated._steps import end_of_steps

Role: TypeAlias = Literal[
    "generator", "verifier", "scorer", "ranker", "chooser", "critic", "fuser", "classifier", "lister"
]

_HEADING = re.compile(r"^### (?:Partial )?(?:Response|Solution)(?: so far)?(?: \d+)?[ \t]*$", re.MULTILINE | re.I)
_PART = re.compile(r"^### Part \d+[ \t]*$", re.MULTILINE)
_OBSERVATIONS = re.compile(r"^Observations:\n((?:[-\d].*(?:\n|$))+)", re.MULTILINE)
_CLASSES = re.compile(r"\bclass\b[^:\n]*: ([^.\n]*,[^.\n]*)\.")
_LIST = re.compile(r"^1\. .*\n2\. .*$", re.MULTILINE)
_HOW_MANY = re.compile(r"(\d+) (subtasks|observations)")
_CRITIQUE = re.compile(r"^Critique:", re.MULTILINE)
_OVERALL = re.compile(r"Overall: likely (right|wrong)")
_STATED = re.compile(r"answer(?: is:?|:)\s*(-?\d[\d,]*(?:\.\d+)?)", re.IGNORECASE)
_INSTRUCTION_LINES = 3
_YES_OR_NO = re.compile(r"\bcorrect\b.*\byes\b.*\bno\b|verdict: yes", re.IGNORECASE | re.DOTALL)
_COMPLETE = re.compile(r"\bcomplete\b", re.IGNORECASE)
_SCORE = re.compile(r"\bscores?\b\W*(?:is\b|from\b|between\b|of \d|:|\d)", re.IGNORECASE)
_CHOICE = re.compile(r"\b(Best|Better|Choice|Preferred|Winner):")
_SCALE = re.compile(r"(\d+)\s*(?:to|and|-|–)\s*(\d+)")
_CUE = re.compile(
    r"\b(?:answer|verdict|scores?|ranking|best|better|choice|preferred|winner)(?:\s+is)?\s*:?\s*$", re.IGNORECASE
)


class Response(NamedTuple):
    """Something in a prompt that is to be judged or used.

    Attributes:
        text: The response itself, up to its answer, its last step or its first blank line.
        answer: The last answer that it states.
        praise: Critiques that call it right, less those that call it wrong.
    """

    text: str
    answer: str | None
    praise: int = 0


class Reading(NamedTuple):
    """A conversation as it was understood.

    Attributes:
        role: What is asked for.
        responses: What it is asked about.
        asked: The instruction: the last lines of the last user message.
        partial: The reply so far, where the conversation ends with the assistant's message.
        parts: Answers to parts of the task, by the number of the part.
        observations: What the question says to go by.
    """

    role: Role
    responses: tuple[Response, ...] = ()
    asked: str = ""
    partial: str | None = None
    parts: tuple[str | None, ...] = ()
    observations: str = ""


class Scale(NamedTuple):
    """How a score is written."""

    low: int
    high: int
    whole: bool


def read(messages: Messages) -> Reading:
    """Role and responses; without headings, the assistant's message before the last user message is the response."""
    partial = text_of(messages[-1]) if messages[-1].get("role") == "assistant" else None
    question, said, before = "", None, None
    for message in messages if partial is None else messages[:-1]:
        match message.get("role"):
            case "user":
                question, before = text_of(message), said
            case "assistant":
                said = text_of(message)
    sections = _HEADING.split(question)[1:]
    asked = "\n".join(question.rstrip().splitlines()[-_INSTRUCTION_LINES:])
    if role := _role_about_the_task(asked):
        return Reading(role, asked=asked, partial=partial)
    parts = tuple(stated[1] if (stated := stated_answer(each)) else None for each in _PART.split(question)[1:])
    found = _OBSERVATIONS.search(question)
    material = Reading("generator", partial=partial, parts=parts, observations=found[1] if found else "")
    if not sections and before is None:
        return material
    responses = tuple(map(_response, sections if before is None or sections else [before]))
    role = _role(len(responses), asked)
    role = "generator" if role == "fuser" and not sections else role
    return material._replace(role=role, responses=responses, asked=asked)


def stated_answer(text: str) -> re.Match[str] | None:
    """The last answer that a text states; its first group is the number."""
    return next(reversed(list(_STATED.finditer(text))), None)


def number_in(stated: re.Match[str]) -> str:
    """The number of a stated answer."""
    return stated[1].replace(",", "")


def thinks_on(text: str) -> bool:
    """Whether more than the end of the line follows the answer that a text states."""
    stated = stated_answer(text)
    return stated is not None and bool(text[stated.end() :].strip(" .*\n"))


def waits_for_value(partial: str) -> bool:
    """True when the next word must be the value itself, as after ``Final answer:`` or ``The score is``."""
    return _CUE.search(partial) is not None


def verdict_words(asked: str) -> tuple[str, str, str]:
    """Label, word for right and word for wrong of a verdict."""
    label = "Verdict:" if "Verdict:" in asked else ""
    return (label, "Yes", "No") if _YES_OR_NO.search(asked) else (label, "correct", "incorrect")


def choice_label(asked: str) -> str:
    """Label of the line that names the best response."""
    found = _CHOICE.search(asked)
    return found[0] if found else "Best:"


def classes_offered(asked: str) -> tuple[str, ...]:
    """The classes of which one is to be named; ``yes`` and ``no`` when it does not say."""
    found = _CLASSES.search(asked)
    return tuple(each.strip() for each in found[1].split(",")) if found else ("yes", "no")


def list_wanted(asked: str) -> tuple[int, str]:
    """How many entries a list is to have, and of what."""
    found = _HOW_MANY.search(asked)
    assert found is not None  # else it were no list that is simulated
    return int(found[1]), found[2]


def score_scale(asked: str) -> Scale:
    """0 to 10 unless the prompt says otherwise; whole numbers where it asks for them or for one digit."""
    found = _SCALE.search(asked)
    low, high = (int(found[1]), int(found[2])) if found else (0, 10)
    return Scale(low, high, "integer" in asked or "digit" in asked or (low, high) == (0, 9))


def asks_if_complete(asked: str) -> bool:
    """Whether a verdict is wanted on a response being finished, and not on its being right."""
    return _COMPLETE.search(asked) is not None


def _role_about_the_task(asked: str) -> Role | None:
    if "Class:" in asked:
        return "classifier"
    return "lister" if _LIST.search(asked) and _HOW_MANY.search(asked) else None


def _role(responses: int, asked: str) -> Role:
    if "Ranking:" in asked:
        return "ranker"
    if responses == 1 and ("Verdict:" in asked or _YES_OR_NO.search(asked)):
        return "verifier"
    if responses == 1 and "strengths" in asked and "weaknesses" in asked:
        return "critic"
    if _SCORE.search(asked):
        return "scorer"
    if responses > 1 and _CHOICE.search(asked):
        return "chooser"
    return "fuser"


def _response(section: str) -> Response:
    said, *critiques = _CRITIQUE.split(section)
    said = said.strip()
    praise = sum(1 if word == "right" else -1 for each in critiques for word in _OVERALL.findall(each))
    if stated := stated_answer(said):
        return Response(said[: stated.end()], number_in(stated), praise)
    # The last response of a prompt runs into the instruction.
    return Response(said[: end_of_steps(said)] or said.partition("\n\n")[0], None, praise)

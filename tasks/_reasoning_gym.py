"""``reasoning_gym:NAME?size=80&seed=7&key=value``: seeded generators of the PyPI package reasoning-gym."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError

from archloom.nodes import Task
from archloom.tasks._scorers import Numeric, Target
from archloom.tasks._spec import format_spec, parse_spec
from archloom.tasks._task_set import Example, TaskSet
from archloom.tasks.errors import TaskError, UnknownTaskSetError
from archloom.tools import AnswerFormat, canonical_answer, final_part, stated_answer, suggest

_DEFAULTS = {"size": "100", "seed": "0"}
_GROWTH = (1, 4, 20)
"""Entries generated for each task asked for: more where the generator repeats itself, and then no more."""
_RUNS_ANSWERS = "its scorer runs the model's answer as Python code, outside any sandbox"
_NOT_SCORED = {
    "binary_matrix": _RUNS_ANSWERS,
    "countdown": _RUNS_ANSWERS,
    "game_of_life_halting": "its scorer accepts every answer",
    "intermediate_integration": _RUNS_ANSWERS,
    "n_queens": _RUNS_ANSWERS,
    "polynomial_multiplication": _RUNS_ANSWERS,
    "puzzle24": _RUNS_ANSWERS,
    "simple_integration": _RUNS_ANSWERS,
    "spiral_matrix": _RUNS_ANSWERS,
    "string_insertion": _RUNS_ANSWERS,
}
_log = logging.getLogger(__name__)


class _Dataset(Protocol):
    """What is used of a dataset of reasoning-gym."""

    def __getitem__(self, index: int) -> Mapping[str, object]: ...

    def score_answer(self, answer: str | None, entry: Mapping[str, object]) -> float: ...


@dataclass(frozen=True)
class _OwnScorer:
    """1 when the dataset gives full marks to the answer as it is written, in one line or in many.

    Its partial credit is left out: it rewards texts that merely contain the answer.
    """

    name: ClassVar[str] = "reasoning_gym"
    dataset: _Dataset
    format: AnswerFormat

    def score(self, candidate_answer: str | None, candidate_text: str, target: Target) -> float:
        """Asks the dataset."""
        entry = target.data["entry"]
        assert isinstance(entry, Mapping)
        stated = stated_answer(candidate_text, "number" if self.format == "number" else "text")
        if candidate_answer is None or stated is None:
            return 0.0
        written = {stated, stated.strip(" .*`$"), final_part(candidate_text)}
        return float(any(self._full_marks(answer, entry) for answer in written))

    def _full_marks(self, answer: str, entry: Mapping[str, object]) -> bool:
        try:
            with _quiet():
                return self.dataset.score_answer(answer, entry) >= 1.0
        except (ValueError, TypeError, LookupError, AttributeError):
            return False  # that is how some of its scorers say that an answer has not the form asked for


def load_reasoning_gym(rest: str, base: Path) -> TaskSet:
    """Tasks of one generator; parameters are the fields of its configuration.

    Answers are numbers where all reference answers are; whole numbers are compared as numbers, all else is
    scored by the dataset. Questions that occurred before are drawn again, as long as there are new ones.
    """
    del base
    name, given = parse_spec(rest)
    given = {**_DEFAULTS, **given}
    spec = format_spec("reasoning_gym", name, given)
    with _quiet():
        generator = _generator(name)
        parameters = {key: generator.read(key, value) for key, value in given.items()}
        dataset, entries = generator.draw(spec, parameters)
    return _task_set(spec, f"{name}-{given['seed']}", dataset, entries)


@dataclass(frozen=True)
class _Generator:
    """A dataset of reasoning-gym before its parameters are known."""

    name: str
    dataset: Callable[..., _Dataset]
    config: Callable[..., object]

    def read(self, key: str, value: str) -> object:
        """A parameter as the type that the configuration declares; a list is separated by commas."""
        types = get_type_hints(self.config)
        if key not in types:
            raise UnknownTaskSetError(f"reasoning_gym:{self.name} has no parameter {key!r}.", hint=suggest(key, types))
        wanted = types[key]
        is_list = (get_origin(wanted) or wanted) in (list, tuple, Sequence)
        try:
            return TypeAdapter(wanted).validate_python(value.split(",") if is_list else value)
        except (ValidationError, PydanticSchemaGenerationError) as exc:
            why = exc.errors()[0]["msg"] if isinstance(exc, ValidationError) else "it cannot be set in a spec"
            raise TaskError(f"reasoning_gym:{self.name}: {key}={value!r}: {why}") from exc

    def draw(self, spec: str, parameters: Mapping[str, object]) -> tuple[_Dataset, list[Mapping[str, object]]]:
        """The dataset, and as many entries with different questions as were asked for, if there are."""
        size = parameters["size"]
        assert isinstance(size, int)
        for factor in _GROWTH:
            try:
                dataset = self.dataset(config=self.config(**{**parameters, "size": size * factor}))
            except (AssertionError, ValueError) as exc:  # how its configurations say that a value is wrong
                raise TaskError(f"{spec}: {exc}") from exc
            entries: dict[str, Mapping[str, object]] = {}
            for entry in map(dataset.__getitem__, range(size * factor)):
                entries.setdefault(str(entry["question"]), entry)
            if len(entries) >= size:
                break
        else:
            _log.warning("%s: the generator has only %d different questions", spec, len(entries))
        return dataset, list(entries.values())[:size]


def _generator(name: str) -> _Generator:
    from reasoning_gym.factory import DATASETS  # takes seconds to import

    if name not in DATASETS:
        raise UnknownTaskSetError(f"reasoning_gym has no generator {name!r}.", hint=suggest(name, DATASETS))
    if name in _NOT_SCORED:
        raise TaskError(f"reasoning_gym:{name} cannot be used: {_NOT_SCORED[name]}")
    return _Generator(name, *DATASETS[name])


def _task_set(spec: str, prefix: str, dataset: _Dataset, entries: Sequence[Mapping[str, object]]) -> TaskSet:
    golds = [entry["answer"] for entry in entries]
    format: AnswerFormat = "number" if all(map(_is_number, golds)) else "text"
    whole = format == "number" and all(re.fullmatch(r"-?\d+", str(gold)) for gold in golds)
    examples = [
        Example(
            task=Task.ask(str(entry["question"]), id=f"{prefix}-{index:03}"),
            target=Target(
                answer=canonical_answer(gold, format) if isinstance(gold, str) else None,
                data={} if whole else {"entry": entry},
            ),
        )
        for index, (entry, gold) in enumerate(zip(entries, golds, strict=True))
    ]
    return TaskSet(spec, format, tuple(examples), Numeric() if whole else _OwnScorer(dataset, format))


def _is_number(gold: object) -> bool:
    """A number, and no code of digits whose leading zeros count."""
    return isinstance(gold, str) and canonical_answer(gold, "number") is not None and not re.match(r"-?0\d", gold)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps warnings of the package and of what it imports from the user, who can do nothing about them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

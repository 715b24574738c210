"""What a simulated model says in each role."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import NamedTuple

from archloom.graphs import SimulatedModel
from archloom.orchestrator.models.simulated._judge import Judge
from archloom.orchestrator.models.simulated._lengths import doubts, solves_still
from archloom.orchestrator.models.simulated._prompts import (
    Reading,
    Response,
    asks_if_complete,
    choice_label,
    classes_offered,
    list_wanted,
    number_in,
    score_scale,
    stated_answer,
    thinks_on,
    verdict_words,
)
from archloom.orchestrator.models.simulated._steps import last_step, walk
from archloom.orchestrator.models.simulated._text import Reply, words
from archloom.orchestrator.models.simulated._truth import Difficulty, Draws
from archloom.tasks import simulated_truth, simulated_wrong

_KEY = re.compile(r"(?<=^Simulated task )[\w.-]+")
_IS_PART = re.compile(r"\.part\d+/")
_IDEA_WORDS = 4
_LIKELY = 0.5
"""Solve probability from which on a task is one that the model can do."""


class Asked(NamedTuple):
    """A request as the model understands it.

    Attributes:
        task: Marker of the task.
        truth: Its right answer.
        reading: What is wanted.
    """

    task: str
    truth: str
    reading: Reading

    def right(self, response: Response) -> bool:
        """Whether its answer is right, or all is right up to its last step where it has no answer yet."""
        if response.answer is not None:
            return response.answer == self.truth
        step = last_step(self.task, response.text)
        return step is not None and step.rank is None


class Roles:
    """One model in all its roles."""

    def __init__(self, spec: SimulatedModel, draws: Draws) -> None:
        self._spec, self._draws = spec, draws
        self._difficulty = Difficulty(spec, draws)
        self._judge = Judge(spec, draws)

    def reply(self, draws: random.Random, asked: Asked, temperature: float) -> Reply:
        """What it says to this."""
        match asked.reading.role:
            case "generator":
                return self._generated(draws, asked, temperature)
            case "verifier":
                return self._verdict(draws, asked)
            case "critic":
                accepts, right, _ = self._accepts(draws, asked)
                return Reply(f"likely {'right' if accepts else 'wrong'}.", accepts == right, "Overall:")
            case "scorer":
                return self._scores(draws, asked)
            case "ranker":
                seen = self._qualities(draws, asked, ranks=True)
                order = sorted(range(len(seen)), key=seen.__getitem__, reverse=True)
                first = asked.right(asked.reading.responses[order[0]])
                return Reply(" > ".join(str(place + 1) for place in order), first, "Ranking:")
            case "chooser":
                seen = self._qualities(draws, asked, ranks=True)
                best = max(range(len(seen)), key=seen.__getitem__)
                first = asked.right(asked.reading.responses[best])
                return Reply(str(best + 1), first, choice_label(asked.reading.asked))
            case "fuser":
                return self._fused(draws, asked, temperature)
            case "classifier":
                return self._class(draws, asked)
            case "lister":
                return self._list(draws, asked)

    def _generated(self, draws: random.Random, asked: Asked, temperature: float) -> Reply:
        """A solution, and what it comes to each time that it thinks again."""
        reply, partial = self._first(draws, asked, temperature), asked.reading.partial or ""
        if not self._spec.rechecks:
            return reply
        stated = stated_answer(partial)
        if stated is not None and not thinks_on(partial):
            reply = Reply(f"{number_in(stated)}.", number_in(stated) == asked.truth)
        thoughts = [reply]
        for time in range(doubts(partial), self._spec.rechecks):
            # Cold, each time ends as it would have in the whole.
            own = draws if temperature else self._draws("greedy", asked.task, "again", time)
            thoughts.append(self._revised(own, asked, Response("", thoughts[-1].value.rstrip("."))))
        return reply._replace(again=tuple(thoughts[1:]))

    def _first(self, draws: random.Random, asked: Asked, temperature: float) -> Reply:
        """A solution; a revision where it goes on after an answer, or is shown one of its own and can revise."""
        if asked.reading.partial and (stated := stated_answer(asked.reading.partial)):
            return self._revised(draws, asked, Response("", number_in(stated)))
        for response in asked.reading.responses:
            if response.answer is not None and (self._spec.fixes or self._spec.breaks):
                return self._revised(draws, asked, response)
        return self._solved(draws, asked, temperature)

    def _solved(self, draws: random.Random, asked: Asked, temperature: float) -> Reply:
        spec, task, ideas = self._spec, asked.task, asked.reading.observations
        if asked.reading.parts and not _IS_PART.search(task):
            parts = [simulated_truth(part(task, number)) for number in range(1, len(asked.reading.parts) + 1)]
            right = list(asked.reading.parts) == parts
            return self._answer(asked, None if right else self._difficulty.wrong(draws, task))
        p = self._difficulty.solves(task, temperature, ideas)
        if temperature == 0:
            draws = self._draws("greedy", task, *([ideas] if ideas else []))
        begun = last_step(task, asked.reading.partial) if asked.reading.partial else None
        if spec.steps:
            steps = walk(draws, spec.steps, p, spec.self_correction, begun, lambda: self._difficulty.wrong(draws, task))
            last = (*steps[-1:], begun)[0]
            return self._answer(asked, last.rank if last else None)._replace(steps=steps)
        if begun is not None and begun.rank is not None:
            return self._answer(asked, None if draws.random() < spec.self_correction else begun.rank)
        if asked.reading.partial and begun is None and spec.tokens_wrong and temperature:
            p = solves_still(spec, p, asked.reading.partial)
        return self._answer(asked, None if draws.random() < p else self._difficulty.wrong(draws, task))

    def _fused(self, draws: random.Random, asked: Asked, temperature: float) -> Reply:
        """By the best response as it sees them; afresh when none has an answer."""
        seen = zip(self._qualities(draws, asked, ranks=False), asked.reading.responses, strict=True)
        answered = [(quality, response) for quality, response in seen if response.answer is not None]
        if not answered:
            return self._solved(draws, asked, temperature)
        return self._revised(draws, asked, max(answered)[1])

    def _revised(self, draws: random.Random, asked: Asked, response: Response) -> Reply:
        """The answer of a response, perhaps after a change for better or worse."""
        right = response.answer == asked.truth
        rate = self._spec.breaks if right else self._spec.fixes
        if 0 < rate < 1:
            log_odds = math.log(rate / (1 - rate)) - self._spec.heeds * response.praise
            rate = 1 / (1 + math.exp(-log_odds))
        if rate and draws.random() < rate:
            return self._answer(asked, self._difficulty.wrong(draws, asked.task) if right else None)
        return Reply(f"{response.answer}.", right)

    def _answer(self, asked: Asked, rank: int | None) -> Reply:
        answer = asked.truth if rank is None else simulated_wrong(asked.task, rank)
        return Reply(f"{answer}.", rank is None)

    def _class(self, draws: random.Random, asked: Asked) -> Reply:
        """The first class for a task that the model can do, as it sees it, else the last."""
        can = self._difficulty.reference(asked.task) >= _LIKELY
        says, _ = self._judge.verdict(draws, asked.task, Response("", None), can)
        return Reply(classes_offered(asked.reading.asked)[0 if says else -1], says == can, "Class:")

    def _list(self, draws: random.Random, asked: Asked) -> Reply:
        """Parts of the task, or observations: words."""
        count, what = list_wanted(asked.reading.asked)
        entries = [
            f"{part(asked.task, number)} find its number." if what == "subtasks" else f"{words(draws, _IDEA_WORDS)}."
            for number in range(1, count + 1)
        ]
        return Reply("\n".join(f"{number}. {entry}" for number, entry in enumerate(entries, 1)), True, "")

    def _verdict(self, draws: random.Random, asked: Asked) -> Reply:
        accepts, right, sure = self._accepts(draws, asked)
        label, yes, no = verdict_words(asked.reading.asked)
        return Reply(yes if accepts else no, accepts == right, label, chances=((yes, sure), (no, 1 - sure)))

    def _accepts(self, draws: random.Random, asked: Asked) -> tuple[bool, bool, float]:
        [response] = asked.reading.responses
        complete = asks_if_complete(asked.reading.asked)
        right = response.answer is not None if complete else asked.right(response)
        accepts, sure = self._judge.verdict(draws, asked.task, response, right)
        return accepts, right, sure

    def _scores(self, draws: random.Random, asked: Asked) -> Reply:
        responses, scale = asked.reading.responses, score_scale(asked.reading.asked)
        sure = [self._score(draws, asked, response, first=len(responses) > 1 and place == 0)
                for place, response in enumerate(responses)]  # fmt: skip
        exact = [scale.low + (scale.high - scale.low) * each for each in sure]
        best = asked.right(responses[sure.index(max(sure))])
        if not scale.whole:
            return Reply(", ".join(f"{each:.2f}" for each in exact), best, _score_label(responses))
        said = ", ".join(str(round(each)) for each in exact)
        floor = math.floor(exact[0])
        chances = ((str(floor), 1 - (exact[0] - floor)), (str(floor + 1), exact[0] - floor))
        return Reply(said, best, _score_label(responses), chances=chances if len(responses) == 1 else ())

    def _score(self, draws: random.Random, asked: Asked, response: Response, *, first: bool) -> float:
        step = last_step(asked.task, response.text) if response.answer is None else None
        number, words = (step.number, None if step.ended else step.words) if step else (0, None)
        return self._judge.score(
            draws, asked.task, response, asked.right(response), first=first, step=number, words=words
        )

    def _qualities(self, draws: random.Random, asked: Asked, *, ranks: bool) -> list[float]:
        responses = asked.reading.responses
        return self._judge.qualities(draws, asked.task, responses, list(map(asked.right, responses)), ranks=ranks)


def part(task: str, number: int) -> str:
    """Marker of a part of a task: a task by itself."""
    return _KEY.sub(lambda name: f"{name[0]}.part{number}", task)


def _score_label(responses: Sequence[Response]) -> str:
    return "Score:" if len(responses) == 1 else "Scores:"

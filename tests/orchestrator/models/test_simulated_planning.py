"""What simulated models say of a task before they answer it: its class, its parts, observations about it."""

from __future__ import annotations

from collections import Counter

import pytest

from archloom.graphs import SimulatedModel
from archloom.nodes import Classifier, Ideas, Sampling, Splitter, Task
from archloom.nodes._parse_class import parse_class
from archloom.nodes._parse_lists import parse_tests
from archloom.orchestrator.models import SimulatedClient
from archloom.tasks import load_tasks, simulated_truth

TASKS = [example.task for example in load_tasks("simulated:planning?size=200").examples]
WARM = Sampling(temperature=0.7)


async def said(client: SimulatedClient, task: Task, prompt: str, seed: int = 0) -> str:
    messages = ({"role": "user", "content": prompt.replace("QUESTION", task.question)},)
    return (await client.complete(messages, WARM, seed=seed)).text


def model(**fields: object) -> SimulatedClient:
    return SimulatedClient(SimulatedModel.model_validate({"tokens": 8, **fields}))


@pytest.mark.parametrize(("skill", "share"), [((90, 10), 0.9), ((10, 90), 0.2)], ids=["can", "cannot"])
async def test_a_classifier_names_the_first_class_for_what_it_can_do_as_well_as_it_judges(
    skill: tuple[float, float], share: float
) -> None:
    client, node = model(skill=skill, hit=0.9, false_alarm=0.2), Classifier(model="m", classes=("easy", "fair", "hard"))
    named: Counter[object] = Counter()
    for task in TASKS:
        [request] = node.requests(task, ())
        reply = (await client.complete(request.messages, WARM, seed=0)).text
        named[parse_class(reply, node.classes)] += 1
    assert named["easy"] + named["hard"] == len(TASKS)
    assert abs(named["easy"] / len(TASKS) - share) < 0.1


async def test_subtasks_are_tasks_with_numbers_of_their_own() -> None:
    [request] = Splitter(model="m", subtasks=3).requests(TASKS[0], ())
    parts = parse_tests((await model().complete(request.messages, WARM, seed=0)).text, 9)
    assert isinstance(parts, tuple)
    truths = {simulated_truth(part) for part in parts}
    assert len(parts) == len(truths) == 3
    assert None not in truths
    certain = model(skill=(1e6, 1e-3))
    for part in parts:
        assert f"The answer is {simulated_truth(part)}." in await said(certain, Task.ask(part), "QUESTION")


@pytest.mark.parametrize("wrong", [None, 0, 1], ids=["all right", "first wrong", "second wrong"])
async def test_a_task_with_parts_is_answered_right_when_all_of_them_are(wrong: int | None) -> None:
    task, client = TASKS[1], model(skill=(1e-3, 1e6))
    [request] = Splitter(model="m", subtasks=2).requests(task, ())
    parts = parse_tests((await client.complete(request.messages, WARM, seed=0)).text, 9)
    assert isinstance(parts, tuple)
    answers = ["0" if place == wrong else simulated_truth(part) for place, part in enumerate(parts)]
    shown = "\n\n".join(f"### Part {place}\nThe answer is {answer}." for place, answer in enumerate(answers, 1))
    right = f"The answer is {simulated_truth(task.question)}." in await said(client, task, f"QUESTION\n\n{shown}")
    assert right is (wrong is None)


async def test_observations_differ_from_sample_to_sample() -> None:
    [request] = Ideas(model="m", observations=3).requests(TASKS[0], ())
    lists = [parse_tests((await model().complete(request.messages, WARM, seed=seed)).text, 9) for seed in (0, 1)]
    assert lists[0] != lists[1]
    assert all(isinstance(each, tuple) and len(each) == 3 for each in lists)


@pytest.mark.parametrize(("spread", "solved"), [(0.0, 0.1), (6.0, 0.36)], ids=["all ideas alike", "ideas differ"])
async def test_what_a_task_is_answered_by_decides_how_often_it_is_solved(spread: float, solved: float) -> None:
    """By one idea a task is solved in every sample or in none when ideas differ: in P(logit 0.1 + 6 z > 0) of the cases."""
    client, right = model(skill=(1000, 9000), idea_spread=spread), []
    for task in TASKS[:100]:
        prompt = "QUESTION\n\nObservations:\n- It is even.\n\nAnswer."
        texts = [await said(client, task, prompt, seed) for seed in range(4)]
        right.append(sum(f"The answer is {simulated_truth(task.question)}." in text for text in texts))
    always_or_never = sum(count in {0, 4} for count in right) / len(right)
    assert (always_or_never > 0.75) is (spread > 0)
    assert abs(sum(right) / 400 - solved) < 0.12

"""A workflow from outside: run, streamed, and as a part of somebody's LangGraph application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph

from archloom.graphs import Configuration, Document, ScriptedModel
from archloom.nodes import Budget, Critic, Fuser, Generator, Node, Task, Vote
from archloom.orchestrator import ModelPool, NodeOutcome, RunResult, Usage, Workflow, configuration_of
from archloom.orchestrator.errors import ModelUnavailableError, OpenChoicesError
from archloom.orchestrator.models import MemoryStore
from archloom.testing._replies import Call, FunctionClient
from archloom.tools.errors import UsageError

CONVERSATION = [SystemMessage("Be brief."), HumanMessage("Hello"), AIMessage("Hi."), HumanMessage("What is 7 times 8?")]
NODES: dict[str, Node] = {
    "draft": Generator(model="m", samples=2),
    "review": Critic(model="m", after=("draft",)),
    "answer": Fuser(model="m", after=("review",)),
}


def configuration(
    nodes: Mapping[str, Node] = NODES, *, name: str = "sums", budget: Budget | None = None
) -> Configuration:
    return Configuration(name, {"m": ScriptedModel()}, nodes, list(nodes)[-1], budget or Budget(), answer="number")


class Model:
    """Answers with a number of its own; a kind of call can be made to fail."""

    def __init__(self) -> None:
        self.down = False
        self.client = FunctionClient(self._reply)

    async def _reply(self, call: Call) -> str:
        if self.down and "strengths" in call.text:
            raise ModelUnavailableError("the judge is down")
        return f"The answer is {call.seed}"

    @property
    def asked(self) -> list[str]:
        """What kind of node each call was for."""
        kinds = {"strengths": "review", "Several responses": "answer"}
        return [
            next((kind for word, kind in kinds.items() if word in call.text), "draft") for call in self.client.calls
        ]


@asynccontextmanager
async def ready(model: Model, of: Configuration | None = None) -> AsyncIterator[Workflow]:
    async with asyncio.timeout(10), ModelPool(MemoryStore(), client=lambda spec: model.client) as pool:
        yield Workflow(of or configuration(), pool=pool)


DOCUMENT = """
archloom: 1
answer: number
models:
  solver: {provider: scripted, replies: ["7 * 8 = 56", "It is 54.", "The answer is 56."]}
nodes:
  draft: {type: generator, model: solver, samples: 3}
  answer: {type: vote, after: draft}
output: answer
"""


def test_a_file_can_be_run_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "answer.yaml").write_text(DOCUMENT)
    result = Workflow.load(tmp_path / "answer.yaml").run("What is 7 times 8?")
    assert (result.text, result.answer, result.error) == ("The answer is 56.", "56", None)
    assert (result.usage.calls, result.nodes[-1].candidates[0].votes) == (3, 2)


def test_a_space_is_no_workflow(tmp_path: Path) -> None:
    text = DOCUMENT.replace("samples: 3", "samples: {choose: [1, 3]}")
    with pytest.raises(OpenChoicesError, match=r"nodes\.draft\.samples"):
        configuration_of(Document.parse(text))
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(OpenChoicesError):
        Workflow.load(tmp_path / "space.yaml")


async def test_a_stream_gives_each_node_as_it_finishes_and_the_result_last() -> None:
    async with ready(Model()) as workflow:
        events = [event async for event in workflow.stream("What is 7 times 8?")]
    outcomes, [result] = events[:-1], events[-1:]
    assert isinstance(result, RunResult)
    assert tuple(outcomes) == result.nodes
    assert [event.node for event in outcomes if isinstance(event, NodeOutcome)] == ["draft", "review", "answer"]


async def test_running_and_streaming_are_the_same() -> None:
    async with ready(Model()) as workflow:
        result = await workflow.arun(Task.ask("What is 7 times 8?"))
        assert [event async for event in workflow.stream("What is 7 times 8?")][-1] == result


@pytest.mark.parametrize("name", ["draft", "answer", "sums"])
async def test_a_workflow_may_be_called_like_one_of_its_nodes(name: str) -> None:
    async with ready(Model(), configuration(name=name)) as workflow:
        assert (await workflow.arun("What is 7 times 8?")).error is None
        updates = [each async for each in workflow.as_langgraph().astream("What?", stream_mode="updates")]
    assert [set(update) for update in updates[:-1]] == [{"draft"}, {"review"}, {"answer"}]
    assert not set(updates[-1]) & set(NODES)


async def test_runs_at_once_without_a_pool_do_not_disturb_each_other(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(DOCUMENT)
    workflow = Workflow.load(tmp_path / "w.yaml")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        runs = [group.create_task(workflow.arun(f"Question {number}?")) for number in range(5)]
    assert [run.result().answer for run in runs] == ["56"] * 5


async def test_a_workflow_that_is_entered_keeps_its_samples_until_it_is_left() -> None:
    workflow = Workflow(configuration())
    async with workflow:
        first = await workflow.arun("What?", replicate=1)
        assert await workflow.arun("What?", replicate=1) == first


def test_a_workflow_can_be_run_again_and_again(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(DOCUMENT)
    workflow = Workflow.load(tmp_path / "w.yaml")
    assert workflow.run("What?") == workflow.run("What?")


# In LangGraph


@pytest.mark.parametrize(
    "given",
    [
        "What is 7 times 8?",
        {"messages": [("user", "What is 7 times 8?")]},
        {"messages": [{"role": "user", "content": "What is 7 times 8?"}]},
        {"messages": [HumanMessage("What is 7 times 8?")]},
        Task.ask("What is 7 times 8?"),
    ],
    ids=["question", "tuples", "mappings", "LangChain messages", "task"],
)
async def test_it_takes_a_question_in_any_form(given: object) -> None:
    model = Model()
    async with ready(model, configuration({"draft": NODES["draft"]})) as workflow:
        state = await workflow.as_langgraph().ainvoke(given)
        result = await workflow.arun("What is 7 times 8?")
    assert state == {
        "messages": [{"role": "assistant", "content": result.text}],
        "answer": result.answer,
        "tokens": result.usage.tokens,
        "cost_usd": 0.0,
        "truncated": False,
        "error": None,
    }
    assert len(model.client.calls) == 2, "the forms are not the same question"


async def test_a_conversation_reaches_the_model_whole() -> None:
    model = Model()
    call = {"id": "c1", "name": "times", "args": {"a": 7}, "type": "tool_call"}
    messages = [
        *CONVERSATION[:-1],
        AIMessage("", tool_calls=[call]),
        ToolMessage("56", tool_call_id="c1"),
        CONVERSATION[-1],
    ]
    async with ready(model, configuration({"draft": NODES["draft"]})) as workflow:
        await workflow.as_langgraph().ainvoke({"messages": messages})
    [sent, _] = [call.messages for call in model.client.calls]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "assistant", "tool", "user"]
    assert sent[4]["tool_call_id"] == "c1"
    assert sent[-1]["content"] == "What is 7 times 8?"


@pytest.mark.parametrize("given", [7, {}, {"messages": []}, {"question": "?"}], ids=repr)
async def test_what_is_no_question_is_refused(given: object) -> None:
    async with ready(Model()) as workflow:
        with pytest.raises(UsageError, match="a workflow takes a question"):
            await workflow.as_langgraph().ainvoke(given)


async def test_a_workflow_that_is_not_entered_says_so() -> None:
    workflow = Workflow(configuration())
    with pytest.raises(UsageError, match="no running models") as caught:
        await workflow.as_langgraph().ainvoke("What?")
    assert "async with" in str(caught.value.hint)
    async with workflow:
        assert (await workflow.as_langgraph().ainvoke("What?"))["error"] is None
    with pytest.raises(UsageError, match="no running models"):
        await workflow.as_langgraph().ainvoke("What?")


async def test_a_run_that_fails_says_so_in_its_output() -> None:
    async with ready(Model(), configuration(budget=Budget(tokens=1))) as workflow:
        state = await workflow.as_langgraph().ainvoke("What?")
    assert (state["error"], state["truncated"], state["answer"]) == ("E410", True, None)
    assert state["messages"] == [{"role": "assistant", "content": ""}]


class State(MessagesState):
    answer: str
    asked_before: int


def application(workflow: Workflow, **options: Any) -> Any:
    """A graph of one's own, with a workflow between two nodes."""
    graph = StateGraph(State)
    graph.add_node("before", lambda state: {"asked_before": len(state["messages"])})
    graph.add_node("weave", workflow.as_langgraph())
    graph.add_node("after", lambda state: {"messages": [AIMessage(f"checked {state['answer']}")]})
    for edge in ((START, "before"), ("before", "weave"), ("weave", "after"), ("after", END)):
        graph.add_edge(*edge)
    return graph.compile(**options)


async def test_it_is_a_node_of_a_graph_of_ones_own() -> None:
    async with ready(Model()) as workflow:
        state = await application(workflow).ainvoke({"messages": CONVERSATION})
    assert [type(message) for message in state["messages"][-2:]] == [AIMessage, AIMessage]
    assert state["messages"][-2].content == f"The answer is {state['answer']}"
    assert state["messages"][-1].content == f"checked {state['answer']}"
    assert state["asked_before"] == len(CONVERSATION)


async def test_its_nodes_stream_by_name_through_the_graph_around_it() -> None:
    seen: list[str] = []
    async with ready(Model()) as workflow:
        stream = application(workflow).astream({"messages": CONVERSATION}, stream_mode="updates", subgraphs=True)
        async for _, update in stream:
            seen += update
    assert seen == ["before", "draft", "review", "answer", "sums", "weave", "after"]


def thread(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


async def test_finished_nodes_are_not_run_again_when_a_thread_is_taken_up() -> None:
    model = Model()
    saver = InMemorySaver()
    model.down = True
    async with ready(model) as workflow:
        with pytest.raises(ModelUnavailableError, match="the judge is down"):
            await workflow.as_langgraph(checkpointer=saver).ainvoke({"messages": CONVERSATION}, thread("t"))
    assert model.asked == ["draft", "draft", "review", "review"]
    model.down = False
    async with ready(model) as workflow:  # another process: its store is empty
        state = await workflow.as_langgraph(checkpointer=saver).ainvoke(None, thread("t"))
    assert model.asked[4:] == ["review", "review", "answer"]
    assert state["error"] is None


async def test_finished_nodes_are_not_run_again_inside_a_graph_with_a_checkpointer() -> None:
    model = Model()
    model.down = True
    saver = InMemorySaver()
    async with ready(model) as workflow:
        with pytest.raises(ModelUnavailableError):
            await application(workflow, checkpointer=saver).ainvoke({"messages": CONVERSATION}, thread("t"))
    model.down = False
    async with ready(model) as workflow:
        state = await application(workflow, checkpointer=saver).ainvoke(None, thread("t"))
    assert model.asked[4:] == ["review", "review", "answer"]
    assert state["messages"][-1].content == f"checked {state['answer']}"


async def test_a_new_turn_of_a_thread_is_a_new_run() -> None:
    model = Model()
    async with ready(model) as workflow:
        app = application(workflow, checkpointer=InMemorySaver())
        first = await app.ainvoke({"messages": [HumanMessage("What is 7 times 8?")]}, thread("t"))
        second = await app.ainvoke({"messages": [HumanMessage("And 7 times 9?")]}, thread("t"))
    assert first["answer"] != second["answer"]
    assert model.asked == ["draft", "draft", "review", "review", "answer"] * 2


async def test_a_budget_counts_what_was_used_before_a_thread_was_taken_up() -> None:
    model = Model()
    model.down = True
    saver = InMemorySaver()
    limited = configuration(budget=Budget(calls=4))
    async with ready(model, limited) as workflow:
        with pytest.raises(ModelUnavailableError):
            await workflow.as_langgraph(checkpointer=saver).ainvoke("What is 7 times 8?", thread("t"))
    model.down = False
    async with ready(model, limited) as workflow:
        state = await workflow.as_langgraph(checkpointer=saver).ainvoke(None, thread("t"))
        whole = await workflow.arun("What is 7 times 8?")
    assert whole.usage == Usage(4, whole.usage.tokens_in, whole.usage.tokens_out)
    assert (state["truncated"], state["tokens"], state["answer"]) == (True, whole.usage.tokens, whole.answer)


async def test_two_branches_work_under_a_limit_of_concurrency() -> None:
    """LangGraph counts waiting tasks too; tasks are in an order in which each finds its inputs done."""
    drafts: dict[str, Node] = {f"d{i}": Generator(model="m", temperature=i / 10) for i in range(4)}
    nodes: dict[str, Node] = {**drafts, "vote": Vote(after=tuple(drafts))}
    async with ready(Model(), configuration(nodes)) as workflow:
        state = await workflow.as_langgraph().ainvoke("What?", {"max_concurrency": 2})
    assert state["error"] is None

"""Text2SQL: the query that a simulated model's answer stands for, and the answer that a query stands for."""

from __future__ import annotations

from archloom.orchestrator.models.simulated._prompts import Reading, Response
from archloom.orchestrator.models.simulated._text import SOLUTION, Reply
from archloom.tasks.text2sql import simulated_number, simulated_query
from archloom.tools.sql import find_sql


def query_of(task: str, reply: Reply) -> str | None:
    """The query that a solution gives; ``None`` where the task asks for none, or the reply is no solution."""
    return simulated_query(task, reply.value.rstrip(".")) if reply.label == SOLUTION else None


def with_numbers(task: str, reading: Reading) -> Reading:
    """The reading with an answer for each response that gives nothing but a query."""
    return reading._replace(responses=tuple(_with_number(task, response) for response in reading.responses))


def _with_number(task: str, response: Response) -> Response:
    if response.answer is not None or (sql := find_sql(response.text)) is None:
        return response
    return response._replace(answer=simulated_number(task, sql))

"""The graph inside a composite node as a configuration of its own."""

from __future__ import annotations

from typing import ClassVar, Literal

from archloom.nodes import Candidates, Context, Kind, Node, Task


class Input(Node):
    """Where what is handed to a body comes in; the engine puts it there. No document names this type."""

    needs_input: ClassVar[bool] = False
    takes: ClassVar[frozenset[Kind]] = frozenset()

    type: Literal["input"] = "input"

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """What was handed in."""
        del task, ctx
        return given

"""Compute of a configuration before it runs, in calls of the smallest model: what some optimizers are limited by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import TypeAdapter

from archloom.graphs import Configuration, Input, ModelSpec
from archloom.nodes import Candidate, Candidates, Composite, ModelNode, Node, Part, PromptError, Task
from archloom.orchestrator.models import CostModel
from archloom.search._of_document import DocumentSpace
from archloom.search._space import Point, Space
from archloom.search.errors import OptimizerOptionsError

_TASK = Task.ask("?", id="compute")
_models: TypeAdapter[dict[str, ModelSpec]] = TypeAdapter(dict[str, ModelSpec])


class Compute:
    """Relative cost of calls and configurations, on tasks of a mean length.

    FLOPs where the shape of every model is known, else US dollars where every model has a price, else calls.

    Args:
        space: Of a document.
        tokens_in: Mean prompt tokens of a task.
        tokens_out: Mean completion tokens of a call.

    Raises:
        OptimizerOptionsError: the space is of no document, so it has no models.
    """

    def __init__(self, space: Space, *, tokens_in: int, tokens_out: int) -> None:
        if not isinstance(space, DocumentSpace):
            raise OptimizerOptionsError(
                "A compute budget needs models, and this space comes of no document.", hint="Leave 'budget' out."
            )
        self._space, self._in, self._out = space, tokens_in, tokens_out
        specs = _models.validate_python(cast("dict[str, object]", space.document.data["models"]))
        self._costs = {name: CostModel(spec) for name, spec in specs.items()}
        shaped = all(cost.shape is not None for cost in self._costs.values())
        priced = all(cost.price is not None for cost in self._costs.values())
        self.unit = "flops" if shaped else "cost_usd" if priced else "calls"
        self._least = 1.0
        self._least = min(map(self.of_call, self._costs)) or 1.0

    def of_call(self, model: str, predecessors: float = 0) -> float:
        """A call of a model that is shown the output of so many others."""
        tokens_in = round(self._in + predecessors * self._out)
        return float(getattr(self._costs[model].of_call(tokens_in, self._out), self.unit)) / self._least

    def of(self, point: Point) -> float:
        """All calls of a configuration, when every reply is of mean length."""
        return self.of_configuration(self._space.configuration(point))

    def of_configuration(self, configuration: Configuration) -> float:
        """The same of a workflow; of alternatives it counts the dearest, of loops all rounds."""
        return self._of_graph(configuration, ())[0]

    def _of_graph(self, graph: Configuration, handed: Candidates) -> tuple[float, Candidates]:
        """Compute of a graph, and what it gives."""
        given: dict[str, Candidates] = {}
        total = 0.0
        for name in graph.order:
            node = graph.nodes[name]
            shown = tuple(candidate for parent in node.after for candidate in given[parent])
            if isinstance(node, Input):
                given[name] = handed
            elif isinstance(node, Composite):
                cost, given[name] = self._of_bodies(node, graph.bodies[name], shown)
                total += cost
            else:
                total += self._of_node(node, shown)
                count = len(node.longest(shown))
                given[name] = tuple(Candidate(id=f"{name}#{i}", text="x", answer="x") for i in range(count))
        return total, given[graph.output]

    def _of_bodies(
        self, node: Composite, bodies: Mapping[str, Configuration], shown: Candidates
    ) -> tuple[float, Candidates]:
        spent = dict.fromkeys((part.label for part in node.parts), 0.0)

        def bound(part: Part, given: Candidates, about: Task | None = None) -> Candidates:
            del about
            cost, gives = self._of_graph(bodies[part.label], given)
            spent[part.label] += cost
            return gives

        gives = node.worst(_TASK, shown, bound)
        always = sum(spent[part.label] for part in node.parts if not part.alternative)
        return always + max((spent[part.label] for part in node.parts if part.alternative), default=0.0), gives

    def _of_node(self, node: Node, shown: Candidates) -> float:
        if not isinstance(node, ModelNode):
            return 0.0
        try:
            requests = node.requests(_TASK, shown)
        except PromptError:  # its prompt needs more than a placeholder
            return 0.0
        return sum(request.n * self.of_call(node.model, len(shown) / len(requests)) for request in requests)

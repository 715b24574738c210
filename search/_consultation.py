"""An optimizer's model: asked through the same store, limits and budget as everything else, and written down."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import NamedTuple, cast

from pydantic import TypeAdapter

from archloom.graphs import Configuration, Document, ModelSpec
from archloom.nodes import Generator, Sample, Sampling
from archloom.orchestrator import Decided, ModelPool, RunLog, Usage
from archloom.orchestrator.models import Address, Sampler

_WHAT = "consulted"
_models: TypeAdapter[dict[str, ModelSpec]] = TypeAdapter(dict[str, ModelSpec])


class _Asked(NamedTuple):
    """A question, and how often it was asked before."""

    model: str
    question: str
    number: int


class Consultation:
    """Asks models of a document for an optimizer.

    Every reply is an event of the run log. A search that goes on takes what is there as said, so it goes the same way
    even where the store is gone; a call that failed stays failed.
    """

    def __init__(self, document: Document, pool: ModelPool, log: RunLog) -> None:
        self._document, self._pool, self._log = document, pool, log
        self._times: Counter[tuple[str, str]] = Counter()
        before = [event.fields for event in log.events if isinstance(event, Decided) and event.what == _WHAT]
        self._known: dict[_Asked, str | None] = {
            _Asked(fields["model"], fields["question"], fields["number"]): fields["reply"] for fields in before
        }
        self.charged = Usage(**before[-1]["charged"]) if before else Usage()
        """Paid by all processes of this run when a model was asked last, as the log has it."""

    async def __call__(self, model: str, question: str, sampling: Sampling) -> str | None:
        """The model's reply, or ``None`` where the call failed.

        Raises:
            SearchBudgetError: the search's budget has no room for the call.
            ModelUnavailableError: the model cannot be used at all.
        """
        asked = _Asked(model, question, self._times[model, question])
        self._times[model, question] += 1
        if asked not in self._known:
            self._known[asked] = await self._draw(asked, sampling)
            said = {"reply": self._known[asked], "charged": asdict(self._pool.charged.settled)}
            self._log.write(Decided(what=_WHAT, fields=asked._asdict() | said))
        return self._known[asked]

    async def _draw(self, asked: _Asked, sampling: Sampling) -> str | None:
        sampler = await self._sampler(asked.model)
        question = sampler.question(({"role": "user", "content": asked.question},), sampling)
        address = Address(question.key, 0, asked.number)
        reply = (await sampler.draw({address: question})).get(address)
        return reply.text if isinstance(reply, Sample) else None

    async def _sampler(self, model: str) -> Sampler:
        models = _models.validate_python(cast("dict[str, object]", self._document.data["models"]))
        one_call = Configuration("optimizer", models, {"optimizer": Generator(model=model)}, "optimizer")
        return (await self._pool.samplers(one_call))[model]

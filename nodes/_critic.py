"""Critic: writes what is strong and weak about each candidate."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from archloom.nodes._asking import AskingNode
from archloom.nodes._candidate import Candidates
from archloom.nodes._context import Context
from archloom.nodes._parse import Unparsed
from archloom.nodes._parse_lists import parse_critiques
from archloom.nodes._prompts import built_in, check_template
from archloom.nodes._registry import register
from archloom.nodes._sample import Request, Sample
from archloom.nodes._task import Task


@register("critic")
class Critic(AskingNode):
    """Annotates each candidate with its strengths and weaknesses (Archon's critic, Saad-Falcon et al., 2024).

    The text of a candidate is not changed. ``pointwise`` asks about each candidate by itself. ``listwise`` asks
    about all in one call and attaches what stands under each heading to the candidate of that number; headings
    that are missing are asked for again. A candidate whose critique is missing goes on without one.
    Cost: one call per candidate, or one in all ``listwise``; each up to ``1 + reasks`` times.
    """

    template: ClassVar[str] = "critic"
    template_names: ClassVar[frozenset[str]] = frozenset({"question", "candidate", "candidates"})

    type: Literal["critic"] = "critic"
    """Writes a critique of each candidate."""
    mode: Literal["pointwise", "listwise"] = "pointwise"
    """Ask about each candidate by itself, or about all in one call. The prompt is given ``candidate``, or
    ``candidates``."""

    @model_validator(mode="after")
    def _prompt_of_the_mode(self) -> Self:
        names = frozenset({"question", "candidate" if self.mode == "pointwise" else "candidates"})
        known = self.prompt is not None and not check_template(self.prompt, self.template_names)
        if known and (why := check_template(self.prompt or "", names)):
            raise ValueError(f"{why} in mode {self.mode!r}")
        return self

    def built_in(self) -> str:
        """The prompt of its mode."""
        return super().built_in() if self.mode == "pointwise" else built_in("archloom.nodes", "critics")

    def requests(self, task: Task, given: Candidates) -> tuple[Request, ...]:
        """One conversation a candidate, or one about all."""
        prompt = self.built_in()
        if self.mode == "pointwise":
            return tuple(Request(self.messages(task, prompt, candidate=candidate)) for candidate in given)
        return (Request(self.messages(task, prompt, candidates=given)),) if given else ()

    def longest(self, given: Candidates) -> Candidates:
        """The same candidates with a critique each."""
        [critique] = self.placeholders(1)
        return tuple(candidate.annotated(critique=critique.text) for candidate in given)

    async def run(self, task: Task, given: Candidates, ctx: Context) -> Candidates:
        """Asks for all critiques at once."""
        if not given:
            return given
        requests = self.requests(task, given)
        if self.mode == "pointwise":
            read = await self.read(ctx, requests, _whole)
            critiques = {place: texts[0] for place, texts in enumerate(read) if texts}
        else:
            critiques = {}

            def collect(sample: Sample) -> Unparsed | None:
                """Takes over the critiques that are still missing, from a reply that can be read."""
                found = parse_critiques(sample.text, len(given))
                if isinstance(found, Unparsed):
                    return found
                for place, text in found.items():
                    if text not in given[place].text:  # a copy of the response is no critique of it
                        critiques.setdefault(place, text)
                missing = [f"no critique of {each.id}" for place, each in enumerate(given) if place not in critiques]
                return Unparsed("; ".join(missing)) if missing else None

            await self.read(ctx, requests, collect)
        return tuple(
            candidate.annotated(critique=critiques[place]) if place in critiques else candidate
            for place, candidate in enumerate(given)
        )


def _whole(sample: Sample) -> str | Unparsed:
    return sample.text.strip() or Unparsed("the critique is empty")

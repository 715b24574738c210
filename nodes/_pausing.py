"""Completions that are interrupted at a string and can be gone on with."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from pydantic import model_validator

from archloom.nodes._candidate import Candidate, Candidates
from archloom.nodes._context import Context
from archloom.nodes._node import ModelNode, Names, written
from archloom.nodes._sample import Capability, Sample, Sampling


class PausingNode(ModelNode):
    """A node that writes answers and can leave them unfinished."""

    pause: Names = ()
    """Strings that interrupt a completion: the text ends with the string, is not complete, and a ``continuer`` goes on
    from there. What ``stop`` names ends a completion for good."""

    @model_validator(mode="after")
    def _stop_or_pause(self) -> Self:
        if self.stop and self.pause:
            raise ValueError("write stop or pause, not both: servers keep all of these strings in the text or none")
        return self

    @property
    def sampling(self) -> Sampling:
        """The parameters of its requests."""
        return replace(super().sampling, pause=self.pause) if self.pause else super().sampling

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What its model must be able to do."""
        return super().capabilities | {"pause"} if self.pause else super().capabilities

    def candidate(self, sample: Sample, ctx: Context, *, number: int, parents: Candidates = ()) -> Candidate:
        """What a sample's text makes; it is not complete where ``max_tokens`` or a string of ``pause`` ended it."""
        paused = sample.finish == "stop" and sample.text.endswith(self.pause)
        return written(sample, ctx, number=number, parents=parents, paused=paused)

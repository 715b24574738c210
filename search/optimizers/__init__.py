"""Optimizers, all behind one door: ask for cells, be told cells, recommend."""

from archloom.search.optimizers._base import (
    Evidence,
    Observation,
    Optimizer,
    OptimizerType,
    Recommendation,
)
from archloom.search.optimizers._race import Race, RaceOptions
from archloom.search.optimizers._random import RandomSearch
from archloom.search.optimizers._registry import make_optimizer, optimizer_types, register_optimizer
from archloom.search.optimizers._tpe import TPE, TPEOptions

__all__ = [
    "Evidence",
    "Observation",
    "Optimizer",
    "OptimizerType",
    "Race",
    "RaceOptions",
    "RandomSearch",
    "Recommendation",
    "TPE",
    "TPEOptions",
    "make_optimizer",
    "optimizer_types",
    "register_optimizer",
]

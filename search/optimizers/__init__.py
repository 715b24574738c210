"""Optimizers, all behind one door: ask for cells, be told cells, recommend."""

from archloom.search.optimizers._agent_reinforce import AgentReinforce, AgentReinforceOptions
from archloom.search.optimizers._agent_tts import AgentTTS, AgentTTSOptions
from archloom.search.optimizers._arm_elimination import ArmElimination, ArmEliminationOptions
from archloom.search.optimizers._base import (
    Evidence,
    Observation,
    Optimizer,
    OptimizerType,
    Recommendation,
)
from archloom.search.optimizers._evaluations import PruningOptions, StudyOptions
from archloom.search.optimizers._gp import GP, GPOptions
from archloom.search.optimizers._grid import Grid, GridOptions
from archloom.search.optimizers._itas import ITAS, ITASOptions
from archloom.search.optimizers._matrix_ucb import MatrixUCB, MatrixUCBOptions
from archloom.search.optimizers._mcts import MCTS, MCTSOptions
from archloom.search.optimizers._nsga2 import NSGA2, NSGA2Options
from archloom.search.optimizers._race import Race, RaceOptions
from archloom.search.optimizers._random import RandomOptions, RandomSearch
from archloom.search.optimizers._registry import make_optimizer, optimizer_types, register_optimizer
from archloom.search.optimizers._reinforce import Reinforce, ReinforceOptions
from archloom.search.optimizers._tpe import TPE, TPEOptions

__all__ = [
    "AgentReinforce",
    "AgentReinforceOptions",
    "AgentTTS",
    "AgentTTSOptions",
    "ArmElimination",
    "ArmEliminationOptions",
    "Evidence",
    "GP",
    "GPOptions",
    "Grid",
    "GridOptions",
    "ITAS",
    "ITASOptions",
    "MCTS",
    "MCTSOptions",
    "MatrixUCB",
    "MatrixUCBOptions",
    "NSGA2",
    "NSGA2Options",
    "Observation",
    "Optimizer",
    "OptimizerType",
    "PruningOptions",
    "Race",
    "RaceOptions",
    "RandomOptions",
    "RandomSearch",
    "Recommendation",
    "Reinforce",
    "ReinforceOptions",
    "StudyOptions",
    "TPE",
    "TPEOptions",
    "make_optimizer",
    "optimizer_types",
    "register_optimizer",
]

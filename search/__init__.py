"""Architecture search: space, cells, optimizers, honest comparison."""

from archloom.search._cells import Cells
from archloom.search._closed_forms import best_of, majority_of
from archloom.search._comparison import Comparison, Gap, evaluate_all
from archloom.search._files import write_whole
from archloom.search._of_document import DocumentSpace, space_of
from archloom.search._paired import Paired, paired
from archloom.search._pareto import hypervolume, non_dominated
from archloom.search._run_folder import Differing, RunFolder, Side, SideBySide, side_by_side
from archloom.search._search import SearchResult, Setting, held_out_tasks, prepare, run_search
from archloom.search._space import Axis, Point, Space
from archloom.search._statistics import (
    Interval,
    McNemar,
    mcnemar,
    mean_interval,
    noise_floor,
    paired_difference,
    tasks_needed,
    wilson,
)
from archloom.search._study import State, Study
from archloom.search._topology import TopologySpace

__all__ = [
    "Axis",
    "Cells",
    "Comparison",
    "Differing",
    "DocumentSpace",
    "Gap",
    "Interval",
    "McNemar",
    "Paired",
    "Point",
    "RunFolder",
    "SearchResult",
    "Setting",
    "Side",
    "SideBySide",
    "Space",
    "State",
    "Study",
    "TopologySpace",
    "best_of",
    "evaluate_all",
    "held_out_tasks",
    "hypervolume",
    "majority_of",
    "mcnemar",
    "mean_interval",
    "noise_floor",
    "non_dominated",
    "paired",
    "paired_difference",
    "prepare",
    "run_search",
    "side_by_side",
    "space_of",
    "tasks_needed",
    "wilson",
    "write_whole",
]

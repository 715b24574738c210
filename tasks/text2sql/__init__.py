"""Text2SQL: questions to databases in the layouts of Spider, BIRD, defog and one's own; their metrics by name."""

from archloom.tasks.text2sql._exact_set import ExactSetMatch
from archloom.tasks.text2sql._execution import BirdEx, Databases, ExecutionScorer, SoftF1, SpiderExec
from archloom.tasks.text2sql._loaders import LeftOut, Text2SqlTasks, load_text2sql, text2sql_loader
from archloom.tasks.text2sql._metrics import sql_metric_names, sql_scorer
from archloom.tasks.text2sql._predictions import (
    PredictionFormat,
    PredictionReport,
    evaluate_predictions,
    read_predictions,
    write_predictions,
)
from archloom.tasks.text2sql._questions import UNANSWERABLE, Question, read_bird, read_defog, read_lines, read_spider
from archloom.tasks.text2sql._simulated import simulated_marks, simulated_number, simulated_query
from archloom.tasks.text2sql._task import text2sql_task
from archloom.tasks.text2sql._timing import RVes
from archloom.tasks.text2sql._verdict import Gold, Outcome, SqlScorer, Verdict

__all__ = [
    "BirdEx",
    "Databases",
    "ExactSetMatch",
    "ExecutionScorer",
    "Gold",
    "LeftOut",
    "Outcome",
    "PredictionFormat",
    "PredictionReport",
    "Question",
    "RVes",
    "SoftF1",
    "SpiderExec",
    "SqlScorer",
    "Text2SqlTasks",
    "UNANSWERABLE",
    "Verdict",
    "evaluate_predictions",
    "load_text2sql",
    "read_bird",
    "read_defog",
    "read_lines",
    "read_predictions",
    "read_spider",
    "simulated_marks",
    "simulated_number",
    "simulated_query",
    "sql_metric_names",
    "sql_scorer",
    "text2sql_loader",
    "text2sql_task",
    "write_predictions",
]

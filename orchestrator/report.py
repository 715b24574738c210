"""The report page and what it shows."""

from archloom.orchestrator._report import render_report
from archloom.orchestrator._report_data import (
    Ablation,
    ConvergencePoint,
    Dropped,
    Effect,
    Interval,
    Judge,
    ReportData,
    Role,
    Row,
    Scaling,
    TaskRow,
)

__all__ = [
    "Ablation",
    "ConvergencePoint",
    "Dropped",
    "Effect",
    "Interval",
    "Judge",
    "ReportData",
    "Role",
    "Row",
    "Scaling",
    "TaskRow",
    "render_report",
]

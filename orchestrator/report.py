"""The report page and what it shows."""

from archloom.orchestrator._report import render_report
from archloom.orchestrator._report_data import (
    ConvergencePoint,
    Dropped,
    Interval,
    ReportData,
    Role,
    Row,
    TaskRow,
)

__all__ = ["ConvergencePoint", "Dropped", "Interval", "ReportData", "Role", "Row", "TaskRow", "render_report"]

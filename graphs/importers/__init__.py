"""Workflow files out of the configurations of other systems."""

from archloom.graphs.importers._archon import Imported, import_archon
from archloom.graphs.importers._reading import Remark

__all__ = ["Imported", "Remark", "import_archon"]

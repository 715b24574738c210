"""The workflow document and its graph: reading, checking, holes, drawing, and the library of ready graphs."""

from archloom.graphs._about import About, CallRange, Technique, TechniqueGroup, library_technique
from archloom.graphs._bodies import graphs_in
from archloom.graphs._configuration import Configuration
from archloom.graphs._construction import ancestors, check_construction
from archloom.graphs._document import Assignment, Document
from archloom.graphs._draw import Drawing, DrawnNode, ascii, dot, mermaid, svg
from archloom.graphs._holes import Hole
from archloom.graphs._inside import Input
from archloom.graphs._library import library_graph, library_names
from archloom.graphs._models import (
    GpuPrice,
    Launch,
    LiteLLMModel,
    LlamaCppModel,
    ModelBase,
    ModelShape,
    ModelSpec,
    OpenAIModel,
    Price,
    ScriptedModel,
    ServedModel,
    SimulatedModel,
    VLLMModel,
)
from archloom.graphs._networkx import to_networkx
from archloom.graphs._picture import picture
from archloom.graphs._schema import document_schema
from archloom.graphs._search_spec import Limits, Measure, Objective, SearchSpec
from archloom.graphs._topology import Topology
from archloom.graphs.errors import DocumentError, InvalidConfigurationError, Problem

__all__ = [
    "About",
    "Assignment",
    "CallRange",
    "Configuration",
    "Document",
    "DocumentError",
    "Drawing",
    "DrawnNode",
    "GpuPrice",
    "Hole",
    "Input",
    "InvalidConfigurationError",
    "Launch",
    "Limits",
    "LiteLLMModel",
    "LlamaCppModel",
    "Measure",
    "ModelBase",
    "ModelShape",
    "ModelSpec",
    "Objective",
    "OpenAIModel",
    "Price",
    "Problem",
    "ScriptedModel",
    "SearchSpec",
    "ServedModel",
    "SimulatedModel",
    "Technique",
    "TechniqueGroup",
    "Topology",
    "VLLMModel",
    "ancestors",
    "ascii",
    "check_construction",
    "document_schema",
    "dot",
    "graphs_in",
    "library_graph",
    "library_names",
    "library_technique",
    "mermaid",
    "picture",
    "svg",
    "to_networkx",
]

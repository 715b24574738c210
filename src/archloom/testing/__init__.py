"""What people who extend archloom test their work with: conformance suites, a context for node tests, a server."""

from archloom.testing._clients import ClientConformance
from archloom.testing._context import FakeContext
from archloom.testing._optimizers import OptimizerConformance
from archloom.testing._sandboxes import SandboxConformance
from archloom.testing._served import Asked, Served
from archloom.testing._server import Fault, LoopbackServer, Totals
from archloom.testing._stores import StoreConformance

__all__ = [
    "Asked",
    "ClientConformance",
    "FakeContext",
    "Fault",
    "LoopbackServer",
    "OptimizerConformance",
    "SandboxConformance",
    "Served",
    "StoreConformance",
    "Totals",
]

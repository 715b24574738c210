"""What people who extend archloom test their work with: conformance suites and a context for node tests."""

from archloom.testing._clients import ClientConformance
from archloom.testing._context import FakeContext
from archloom.testing._optimizers import OptimizerConformance
from archloom.testing._stores import StoreConformance

__all__ = ["ClientConformance", "FakeContext", "OptimizerConformance", "StoreConformance"]

"""A parametric model with known truth."""

from archloom.orchestrator.models.simulated._client import SimulatedClient

__all__ = [
    "SimulatedClient",
]

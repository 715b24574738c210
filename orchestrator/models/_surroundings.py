"""What the samplers of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from archloom.orchestrator._ledger import Ledger
from archloom.orchestrator.models.store._protocol import SampleStore

StoreUse: TypeAlias = Literal["reuse", "replay", "record"]
"""``reuse`` draws what the store lacks; ``replay`` draws nothing and refuses what it lacks; ``record`` draws everything
once more and keeps the new samples in place of the old ones."""


@dataclass(frozen=True)
class Surroundings:
    """What the samplers of a process share.

    Attributes:
        store: Where samples are kept.
        charged: The account of all that is really paid.
        use: How the store is used.
        sleep: Waits between tries.
    """

    store: SampleStore
    charged: Ledger
    use: StoreUse = "reuse"
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

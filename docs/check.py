"""Checks what the documentation says against the repository, and keeps its generated tables up to date.

    python docs/check.py            prints FILE:LINE: MESSAGE for each mistake and exits with 1 when there is one
    python docs/check.py --write    writes the generated tables first
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from _commands import wrong_command  # noqa: E402
from _tables import TABLES  # noqa: E402

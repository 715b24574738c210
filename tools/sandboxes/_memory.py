"""Anonymous files in memory, which a child reads or writes without a path."""

from __future__ import annotations

import os
from contextlib import ExitStack


def in_memory(content: str | bytes, opened: ExitStack) -> int:
    """A descriptor of an anonymous file with this content, at its beginning; closed with ``opened``."""
    file = opened.enter_context(os.fdopen(os.memfd_create("archloom"), "w+b"))
    file.write(as_bytes(content))
    file.seek(0)
    return file.fileno()


def as_bytes(content: str | bytes) -> bytes:
    """A text in UTF-8; what cannot be written so is replaced."""
    return content if isinstance(content, bytes) else content.encode(errors="replace")

"""What must not be seen: values from the environment, keys and headers, and how they are cut out of texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import quote, quote_plus

from archloom.tools.errors import UsageError

_SHORTEST = 6
"""Shorter words of a header, such as ``1`` or ``Basic``, are no secrets, and would be cut out of everything."""


class Secrets:
    """Fills ``${NAME}`` in from the environment, and hides from then on what it was told to hide."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._hidden: set[str] = set()
        self._found: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"Secrets({len(self._hidden)})"

    def resolved(self, text: str, field: str) -> str:
        """The text with its variables filled in, without white space around it.

        Raises:
            UsageError: a variable is not set, or the value spans lines.
        """

        def value(match: re.Match[str]) -> str:
            name = match["name"]
            if name not in self._environ:
                raise UsageError(
                    f"{field}: the environment variable {name!r} is not set.", hint=f"Set it: export {name}=..."
                )
            return self._environ[name]

        filled = re.sub(r"\$\{(?P<name>\w+)\}", value, text).strip()
        if not filled.isprintable():
            raise UsageError(f"{field}: the value holds a line break or another control character.")
        return filled

    def secret(self, text: str, field: str) -> str:
        """The same, for a text that must not be seen; a server may echo each of its words alone."""
        filled = self.resolved(text, field)
        # "user:password" in a header is two secrets, of which a server may echo one.
        self.hide(filled, *(word for word in re.split(r"[\s:,;]+", filled) if len(word) >= _SHORTEST))
        return filled

    def hide(self, *values: str) -> None:
        """Hides these, too."""
        self._hidden.update(form for value in values if len(value) >= _SHORTEST for form in _forms(value))
        # The longest first: a secret may be part of another one.
        longest = sorted(self._hidden, key=len, reverse=True)
        self._found = re.compile("|".join(map(re.escape, longest))) if longest else None

    def hidden(self, text: str) -> str:
        """The text without them."""
        return self._found.sub("***", text) if self._found else text

    def cause(self, exc: BaseException) -> BaseException | None:
        """What may stand as the cause of an error: the exception, unless it would show a secret in a traceback."""
        return exc if self.hidden(text := f"{exc} {exc!r}") == text else None


def _forms(value: str) -> set[str]:
    """How it may stand in an answer or an address: as it is, as JSON in its dialects, as Python, as a URL."""
    written = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1]}
    written |= {form.replace("/", "\\/") for form in written}
    return {value, *written, quote(value), quote(value, safe=""), quote_plus(value)}

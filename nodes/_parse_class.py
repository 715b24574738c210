"""Reading which of some classes a reply names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archloom.nodes._parse import Unparsed

_CLASS = re.compile(r"^[\s>*_#-]*class[\s*_]*[:=][\s*_`\"']*(?P<name>.*?)[\s*_`\"'.]*$", re.IGNORECASE | re.MULTILINE)


def parse_class(reply: str, classes: Sequence[str]) -> str | Unparsed:
    """The class from the last line ``Class: NAME``, or from a reply that is nothing but a name; case does not count.

    A line that names something else is not read, and neither is a name in running text.
    """
    found = [match["name"] for match in _CLASS.finditer(reply)]
    said = (found[-1] if found else reply.strip().strip("*_`\"'.")).casefold()
    named = [each for each in classes if each.casefold() == said]
    if len(named) == 1:
        return named[0]
    return Unparsed(f"no line 'Class: NAME' with one of {', '.join(classes)}")

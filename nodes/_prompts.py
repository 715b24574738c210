"""Prompts: Jinja templates beside the nodes, rendered in a sandbox."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment, Template

from archloom.nodes.errors import NodeError


class PromptError(NodeError):
    """A prompt template cannot be rendered."""

    code = "E404"
    exit_code = 2


@cache
def built_in(package: str, name: str) -> str:
    """Source of the prompt that ships as ``prompts/NAME.j2`` beside the nodes of a package."""
    return (files(package) / "prompts" / f"{name}.j2").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    """The sandbox; made on first use, because a document without prompts should not pay for importing Jinja."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )


def check_template(source: str, known: frozenset[str]) -> str | None:
    """What is wrong with a template, or ``None``: a syntax error, or a variable that no node provides."""
    from jinja2 import TemplateError, meta

    try:
        unknown = meta.find_undeclared_variables(_environment().parse(source)) - known
    except TemplateError as exc:
        return f"prompt template: {exc}"
    if unknown:
        return f"prompt template uses {', '.join(sorted(map(repr, unknown)))}; it may use {', '.join(sorted(known))}"
    return None


def render(source: str, **values: object) -> str:
    """The template's text for these values.

    Raises:
        PromptError: an undefined name, or something the sandbox forbids.
    """
    from jinja2 import TemplateError

    try:
        return _compiled(source).render(**values).strip()
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
        raise PromptError(f"prompt template cannot be rendered: {exc}") from exc


@cache
def _compiled(source: str) -> Template:
    return _environment().from_string(source)

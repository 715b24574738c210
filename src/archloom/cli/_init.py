"""``archloom init``: a workflow to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archloom.cli._app import app
from archloom.tools.errors import UsageError

_WORKFLOW = """\
# yaml-language-server: $schema=archloom.schema.json
archloom: 1
name: first
doc: Draws five answers and keeps the one that most of them agree on.
answer: number
models:
  # Runs offline and at once. Replace it by a real model:
  #   {provider: llamacpp, model: smollm2-135m-instruct}      embedded, no key
  #   {provider: openai, model: NAME, base_url: "http://127.0.0.1:8000/v1"}      vLLM or any compatible server
  solver: {provider: scripted, replies: ["7 * 8 = 56", "It is 54.", "The answer is 56."]}
nodes:
  draft: {type: generator, model: solver, samples: 5}
  answer: {type: vote, after: draft}
output: answer
"""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write into.")] = Path(),
) -> None:
    """Write a first workflow that runs offline, and the schema for your editor."""
    import json

    from archloom.graphs import document_schema

    file = folder / "workflow.yaml"
    if file.exists():
        raise UsageError(f"{file} exists and is left as it is.", hint="Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(_WORKFLOW, encoding="utf-8")
    (folder / "archloom.schema.json").write_text(json.dumps(document_schema(), indent=1), encoding="utf-8")
    typer.echo(f"{file} is ready. Try:\n  archloom run {file} 'What is 7 times 8?'")

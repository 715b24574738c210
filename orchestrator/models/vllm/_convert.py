"""Turns weights in a ``.gguf`` file into the checkpoint that vLLM reads; ``make vllm`` runs it.

It is started by file name with the interpreter in whose environment vLLM is, and imports nothing of archloom::

    python _convert.py WEIGHTS.gguf FOLDER
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Writes the folder as a whole, or not at all; one that is there stays as it is."""
    source, target = map(Path, sys.argv[1:])
    if target.is_dir():
        return
    os.environ["HF_HUB_OFFLINE"] = "1"  # all that is needed is in the file
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=target.parent) as scratch:
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(scratch)
        AutoModelForCausalLM.from_pretrained(
            source.parent,
            gguf_file=source.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        ).save_pretrained(scratch)
        Path(scratch).rename(target)
        Path(scratch).mkdir()  # for the context manager to remove


if __name__ == "__main__":
    main()

"""The process that runs llama.cpp's server for :mod:`archloom.orchestrator.models.llamacpp._client`.

It is started by file name and imports nothing of archloom, so it is ready as soon as the weights are read.
It reads one JSON line of settings, answers with one JSON line (``{"address": ...}``, or ``{"missing": ...}``
when the engine cannot be imported), and lives until its standard input closes.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves until the parent closes the pipe or dies."""
    if sys.platform == "linux":
        # The kernel ends us with our parent, even while the engine reads weights and Python is locked.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    settings = json.loads(sys.stdin.readline())
    with os.fdopen(os.dup(1), "w") as parent:
        os.dup2(2, 1)  # whatever the engine prints belongs into the log
        try:
            import xllamacpp
        except ImportError as exc:
            print(json.dumps({"missing": str(exc)}), file=parent)
            return
        params = xllamacpp.CommonParams()
        params.model.path = settings["path"]
        params.n_parallel = settings["slots"]
        params.n_ctx = settings["context"] * settings["slots"]
        params.fit_params = False  # would shrink the context without a word
        for pool in (params.cpuparams, params.cpuparams_batch):
            pool.n_threads = settings["threads"]
            pool.poll = 0  # spinning threads slow each other down when other work has the cores
        params.cache_prompt = True
        params.cache_ram_mib = 0  # by default it keeps up to 8 GiB of old prompts
        params.hostnames, params.port = ["127.0.0.1"], 0
        params.api_keys = [settings["key"]]  # nobody else on this machine may use it
        params.ui = params.endpoint_slots = False
        params.verbosity = 1  # errors; the next level writes lines for every request
        server = xllamacpp.Server(params)
        print(json.dumps({"address": server.listening_address}), file=parent)
    sys.stdin.read()
    os._exit(0)  # requests under way have nobody to go to


if __name__ == "__main__":
    main()

"""A real, tiny language model behind llama.cpp's own OpenAI-compatible server, in a process of its own.

Run as a program with the path of a GGUF file: it prints its address as one line and serves until its standard
input closes, so that it never outlives the one who started it.
"""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request


def main(model_path: str) -> None:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model_path
    parameters.port = 0
    parameters.n_ctx = 2048
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(parameters)
    address = server.listening_address
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])

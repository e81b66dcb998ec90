"""The process of the local model: llama.cpp as a server on the loopback interface, until standard input ends.

Run by its path and isolated, so it knows nothing of the server: `local_process.py FOLDER WEIGHTS THREADS`, with the
folder where xllamacpp is. The first line of standard input is the key that it demands; it says its address on standard
output once it listens. When the server dies, whatever way, standard input ends, and so does this.
"""

import os
import sys

CONTEXT_TOKENS = 8192
"""what all questions that are being answered share; SmolLM2 was trained with as many"""
AT_ONCE = 4


def main() -> None:
    """Serve until standard input ends."""
    folder, weights, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path.append(folder)
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = weights
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [sys.stdin.readline().strip()]
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = AT_ONCE
    params.kv_unified = True
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)  # noqa: T201 - this is how the parent learns it
    sys.stdin.read()
    os._exit(0)  # Threads of the model may be at work.


if __name__ == "__main__":
    main()

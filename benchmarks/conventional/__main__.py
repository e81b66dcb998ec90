"""`python -m benchmarks.conventional --port 8000 --database URI` serves until SIGTERM.

The key it accepts comes from the environment variable CONVENTIONAL_API_KEY, which must be set.
"""

import argparse
import os

import uvicorn

from benchmarks.conventional.app import create_app


def main() -> None:
    """Serve with one worker, no reload and no access log, on the fastest loop and parser uvicorn offers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conventional")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--database", required=True, help="sqlite:///FILE or postgresql://…")
    parser.add_argument("--history", action="store_true", help="keep each state of a PAL in a row of its own")
    arguments = parser.parse_args()
    app = create_app(arguments.database, os.environ["CONVENTIONAL_API_KEY"], arguments.history)
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        workers=1,
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()

"""`make torture`: run for minutes, tell what was survived, and exit with 1 where anything is wrong."""

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.acceptance.register.run import On, torture
from tests.acceptance.register.worlds import on_postgres, on_sqlite

WORLDS: dict[str, On] = {"sqlite": on_sqlite, "postgres": on_postgres}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long, all databases together")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the same choices again, of clients and of faults")
    parser.add_argument("--database", choices=sorted(WORLDS), action="append", help="one of them; else each")
    flags = parser.parse_args()
    names = flags.database or sorted(WORLDS)
    is_bad = False
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix=f"palace-torture-{name}-"))
        print(f"{name}: seed {flags.seed}, {flags.minutes / len(names):g} minutes …", flush=True)
        verdict = torture(WORLDS[name], folder, flags.seed, flags.minutes * 60 / len(names))
        print(verdict, flush=True)
        if verdict.violations:
            is_bad = True
            print(f"Logs and the whole history are in {folder}.", flush=True)
        else:
            shutil.rmtree(folder)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())

"""Schemathesis, from the server's own document: examples, every boundary, random requests, chains of requests."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.generic.subjects import SUBJECTS, Client
from tests.serving import KEY, start_palace

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def ids(client: Client) -> str:
    """An object of every kind, made where clients make some, by the names of ids in paths; as a table of TOML."""
    found: dict[str, str] = {}
    for subject in SUBJECTS:
        if subject.id_member not in found:
            made = subject.has("POST") and subject.host is None
            found[subject.id_member] = client.make(subject) if made else subject.resource.names.example_id
    return f"{{ {', '.join(f'{name} = {json.dumps(id)}' for name, id in found.items())} }}"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", PALACE_LOG_REQUESTS="false") as palace, palace.client() as http:
        filled = tmp_path / "schemathesis.toml"
        filled.write_text(CONFIGURATION.read_text().replace("parameters = {}", f"parameters = {ids(Client(http))}"))
        command = ["run", "--no-color", "--max-failures", "20", f"{palace.url}/openapi.json"]
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", str(filled), *command],
            env=os.environ | {"TAVUS_API_KEY": KEY, "PYTHONUTF8": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr

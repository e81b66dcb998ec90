"""Schemathesis, from the server's own document: examples, every boundary, random requests, chains of requests."""

import os
import subprocess
import sys
from pathlib import Path

from tests.serving import KEY, STOCK_FACE, start_palace

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with start_palace(tmp_path / "data", PALACE_LOG_REQUESTS="false") as palace, palace.client() as client:
        made = client.post("/v2/pals", json={"system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE})
        command = ["run", "--no-color", "--max-failures", "20", f"{palace.url}/openapi.json"]
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), *command],
            env=os.environ | {"TAVUS_API_KEY": KEY, "PALACE_TEST_PAL": made.json()["pal_id"], "PYTHONUTF8": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr

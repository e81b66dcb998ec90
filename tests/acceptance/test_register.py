"""Whatever is killed, cut, choked or stopped: no acknowledged write is lost, none made twice, no read goes backwards.

A short run; `make torture` is a long one. See docs/explanation/safety.md.
"""

import os
import secrets
from pathlib import Path

import pytest

from tests.acceptance.register.__main__ import WORLDS
from tests.acceptance.register.run import torture

SECONDS = 12


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_the_promises_hold_whatever_goes_wrong(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = os.environ.get("PALACE_TORTURE_SEED") or secrets.token_hex(4)
    verdict = torture(WORLDS[name], tmp_path, seed, SECONDS)
    with capsys.disabled():
        print(f"\n{verdict}")
    assert verdict.violations == [], f"The logs are in {tmp_path}."
    acknowledged = sum(attempt.outcome == "done" for attempt in verdict.history.attempts)
    assert acknowledged > 200, "the load was too small to prove anything"
    assert len(verdict.history.troubles) > 3

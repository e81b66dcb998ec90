"""After all that the other suites did to one server: its file says of itself what it must."""

import os
import sys
from pathlib import Path

import pytest

from tests.generic.stored import check_indexes, leading_nowhere
from tests.quick import run
from tests.rows import check_sound, rows
from tests.serving import Palace, database_of

MOST_BACKENDS = 2
"""nobody else can look into a store in memory"""


@pytest.fixture
def data(server: Palace) -> Path:
    return server.data


def test_both_indexes_follow_from_the_documents(data: Path) -> None:
    check_indexes(data)
    assert leading_nowhere(data) == []


def test_every_revision_of_every_object_is_there(data: Path) -> None:
    counted = "SELECT documents.revision, count(*) FROM documents JOIN revisions ON document = seq GROUP BY seq"
    assert all(revision == count for revision, count in rows(data, counted))
    check_sound(data)


def test_the_audit_log_is_whole(data: Path) -> None:
    command = [sys.executable, "-m", "palace", "audit", "verify", "--data", str(data)]
    done = run(command, env=os.environ | database_of(data))
    assert done.returncode == 0, done.stdout + done.stderr

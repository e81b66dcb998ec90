"""Long histories: every revision reads right, however far it lies from a whole document."""

import json
from itertools import pairwise

import pytest

from palace.revisions.history import LONGEST_CHAIN
from tests.inside import inside
from tests.serving import STOCK_FACE

REVISIONS = 30 * LONGEST_CHAIN + 7
PAL = {
    "system_prompt": "Count. " * 100,
    "default_face_id": STOCK_FACE,
    "memories": [f"memory {n}" for n in range(40)],
    "layers": {"transport": {}},
}


def operations(number: int) -> list[dict]:
    """Something else at each revision: a text, the middle of a list, odd names; now and then most of the document."""
    steps = [{"op": "replace", "path": "/greeting", "value": f"Revision {number}"}]
    if number % 50 == 0:
        steps += [{"op": "replace", "path": "/memories", "value": [f"{number}/{n} " + "x" * 60 for n in range(40)]}]
    elif number % 3 == 0:
        steps += [{"op": "add", "path": f"/memories/{number % 20}", "value": f"at {number}"}]
    elif number % 3 == 1:
        steps += [{"op": "remove", "path": f"/memories/{number % 15}"}]
    else:
        steps += [{"op": "add", "path": f"/layers/transport/~1{number % 7}~0", "value": {"": [number, None, True]}}]
    return steps


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A Palace, a PAL in it, and what the PAL said at each revision from 1 on."""
    with inside(tmp_path_factory.mktemp("chains")) as palace:
        pal = palace.call("createPal", body=PAL).body["pal_id"]
        said = [palace.call("getPal", pal).body]
        for number in range(2, REVISIONS + 1):
            answer = palace.call("patchPal", pal, operations(number))
            assert answer.headers["x-revision"] == str(number)
            said.append(answer.body)
        yield palace, pal, said


def rows_of(palace, pal):
    reading = palace.services.store.reading

    async def read():
        record = await reading.get("pal", pal, palace.account)
        return await reading.revisions(record.seq, before=1 << 40, limit=1 << 20)

    return list(reversed(palace.run(read())))


def test_every_revision_of_a_long_history_reads_as_it_was(history):
    palace, pal, said = history
    for number, document in enumerate(said, start=1):
        assert palace.call("getPalRevision", pal, number=number).body["document"] == document
    assert palace.call("getPalRevision", pal, number=REVISIONS + 1).status == 404
    assert palace.call("getPalRevision", pal, number=0).status == 404


def test_no_revision_lies_further_from_a_whole_document_than_the_longest_chain(history):
    palace, pal, _ = history
    rows = rows_of(palace, pal)
    assert [row.number for row in rows] == list(range(1, REVISIONS + 1))
    whole = [row.number for row in rows if row.base == row.number]
    assert [max(number for number in whole if number <= row.number) for row in rows] == [row.base for row in rows]
    gaps = [after - before for before, after in pairwise(whole)]
    assert max(gaps) == LONGEST_CHAIN
    assert len(whole) > REVISIONS // LONGEST_CHAIN


def test_a_patch_of_most_of_the_document_is_kept_as_a_whole_document(history):
    palace, pal, said = history
    rows = rows_of(palace, pal)
    for number in range(50, REVISIONS, 50):
        assert json.loads(rows[number - 1].content) == said[number - 1]
    patches = [row for row in rows if row.base != row.number]
    assert all(len(row.content) <= len(json.dumps(said[row.number - 1])) // 2 for row in patches)


@pytest.mark.parametrize("to", [1, LONGEST_CHAIN, LONGEST_CHAIN + 1, 50, 51, REVISIONS - 1])
def test_going_far_back_and_comparing_over_many_whole_documents(history, to):
    palace, pal, said = history
    told = palace.call("diffPalRevisions", pal, query={"from": str(to), "to": str(REVISIONS)}).body
    assert told["changes"][0]["before"] == f"Revision {to}" if to > 1 else told["changes"][0]["before"] is None
    preview = palace.call("rollbackPal", pal, {"to": to}, query={"dry_run": "true"}).body
    same = {name: value for name, value in said[to - 1].items() if name != "updated_at"}
    assert {name: value for name, value in preview["document"].items() if name != "updated_at"} == same

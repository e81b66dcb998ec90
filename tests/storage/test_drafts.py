"""What every store promises about drafts."""

from dataclasses import replace

import pytest

from palace.storage import Draft, DraftOpen, Record

NOW, LATER = "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"


def draft(document, number=1, state="open", body=b'{"n":1}'):
    return Draft(document, number, state, 1, "k1", NOW, NOW, "e1", None, b'{"/key":"s1"}', b'{"n":0}', body)


async def put(store, *drafts):
    for item in drafts:
        await store.transact(lambda tx, item=item: tx.put_draft(item))


async def new_document(store, id="p1"):
    return await store.transact(lambda tx: tx.insert(Record("pal", id, 1, 1, NOW, NOW, b'{"n":0}')))


def test_a_draft_comes_back_as_it_was_put_also_after_a_restart(play):
    async def first(store):
        document = await new_document(store)
        await put(store, draft(document), draft(await new_document(store, "p2"), body=b"{}"))
        return document

    async def second(store):
        assert await store.reading.open_draft(document) == draft(document)
        assert await store.reading.get_draft(document, 1) == draft(document)
        assert await store.reading.get_draft(document, 2) is None
        assert await store.reading.open_draft(document + 9) is None

    document = play(first)
    play(second)


def test_a_draft_is_put_again_with_what_became_of_it(play):
    async def scene(store):
        document = await new_document(store)
        changed = replace(draft(document, body=b'{"n":2}'), updated_at=LATER, etag="e2", key_id="k2", base_revision=5)
        await put(store, draft(document), changed)
        assert await store.reading.open_draft(document) == changed
        await put(store, replace(changed, state="discarded"))
        assert await store.reading.open_draft(document) is None
        assert await store.reading.get_draft(document, 1) == replace(changed, state="discarded")

    play(scene)


def test_one_draft_of_a_document_is_open_at_a_time(play):
    async def scene(store):
        document, other = await new_document(store), await new_document(store, "p2")
        await put(store, draft(document, 1, "discarded"), draft(document, 2), draft(other))
        with pytest.raises(DraftOpen):
            await put(store, draft(document, 3))
        with pytest.raises(DraftOpen):
            await put(store, draft(document, 1))
        await put(store, draft(document, 2, "published"), draft(document, 3))
        assert (await store.reading.open_draft(document)).number == 3

    play(scene)


def test_drafts_are_listed_newest_first_and_page_by_page(play):
    async def scene(store):
        document = await new_document(store)
        await put(store, *(draft(document, number, "discarded") for number in range(1, 6)))
        await put(store, draft(await new_document(store, "p2"), 9))
        found = await store.reading.drafts(document, before=100, limit=2)
        found += await store.reading.drafts(document, before=found[-1].number, limit=9)
        assert [one.number for one in found] == [5, 4, 3, 2, 1]

    play(scene)


def test_drafts_go_with_a_document_that_is_gone_for_good_and_not_before(play):
    async def scene(store):
        document = await new_document(store)
        await put(store, draft(document))
        record = await store.reading.get("pal", "p1", 1)
        await store.transact(lambda tx: tx.hide(record, NOW, 2))
        assert await store.reading.open_draft(document) is not None
        await store.transact(lambda tx: tx.forget_documents(LATER, 9))
        assert await store.reading.open_draft(document) is None

    play(scene)

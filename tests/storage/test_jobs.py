"""What every store promises about jobs and files."""

from itertools import count

from palace.storage import Record

NUMBERS = count(1)
AFTER_ALL = "9999"
EARLY, NOW, LATER = (f"2026-01-0{day}T00:00:00.000000Z" for day in (1, 2, 3))


async def new_document(store, id, owner=7):
    return await store.transact(lambda tx: tx.insert(Record("face", id, owner, 1, NOW, NOW, b"{}")))


async def add(store, document, due_at=NOW, input=b"{}", kind="train_face"):
    await store.transact(lambda tx: tx.jobs.add(next(NUMBERS), kind, document, due_at, input))


async def due(store, now=NOW, most=10, share=10, kinds=(), *, are_these=False):
    return await store.reading.jobs.due(now, most, share, kinds, are_these=are_these)


def test_jobs_are_due_in_their_order_once_their_time_has_come(play):
    async def scene(store):
        document = await new_document(store, "r1")
        for due_at, input in ((NOW, b"2"), (EARLY, b"1"), (LATER, b"3")):
            await add(store, document, due_at, input)
        assert [job.input for job in await due(store)] == [b"1", b"2"]
        assert [job.input for job in await due(store, LATER, 1)] == [b"1"]
        [job, _] = await due(store)
        assert (job.kind, job.object_kind, job.id, job.owner, job.attempts) == ("train_face", "face", "r1", 7, 0)
        assert job.document == document

    play(scene)


def test_no_account_has_more_than_its_share_with_what_is_worked_at(play):
    async def scene(store):
        mine, yours = await new_document(store, "r1"), await new_document(store, "r2", owner=8)
        for number in range(4):
            await add(store, mine, EARLY, b"mine %d" % number)
        await add(store, yours, NOW, b"yours")
        first, second, other = await due(store, share=2)
        assert (first.owner, second.owner, other.input) == (7, 7, b"yours")
        await store.transact(lambda tx: tx.jobs.start(first.job, 0, LATER))
        assert [job.owner for job in await due(store, share=2)] == [7, 8]
        await store.transact(lambda tx: tx.jobs.start(second.job, 0, LATER))
        assert [job.input for job in await due(store, share=2)] == [b"yours"]
        await store.transact(lambda tx: tx.jobs.put(first.job, "done", 1, NOW))
        assert [job.owner for job in await due(store, share=2)] == [7, 8]

    play(scene)


def test_kinds_that_have_places_of_their_own_are_counted_apart(play):
    async def scene(store):
        document, long = await new_document(store, "r1"), ("rehearse", "film")
        for kind in ("rehearse", "rehearse", "train_face", "film"):
            await add(store, document, kind=kind)
        [first, second] = await due(store, share=2, kinds=long, are_these=True)
        assert (first.kind, second.kind) == ("rehearse", "rehearse")
        await store.transact(lambda tx: tx.jobs.start(first.job, 0, LATER))
        await store.transact(lambda tx: tx.jobs.start(second.job, 0, LATER))
        assert await due(store, share=2, kinds=long, are_these=True) == []
        assert [job.kind for job in await due(store, share=1, kinds=long)] == ["train_face"]

    play(scene)


def test_who_saw_a_job_before_another_attempt_failed_does_not_begin_it(play):
    async def scene(store):
        await add(store, await new_document(store, "r1"))
        [seen] = await due(store)
        assert await store.transact(lambda tx: tx.jobs.start(seen.job, seen.attempts, LATER))
        assert not await store.transact(lambda tx: tx.jobs.start(seen.job, seen.attempts, LATER))
        await store.transact(lambda tx: tx.jobs.put(seen.job, "waiting", 1, LATER))
        assert not await store.transact(lambda tx: tx.jobs.start(seen.job, seen.attempts, LATER))
        [now] = await due(store, LATER)
        assert await store.transact(lambda tx: tx.jobs.start(now.job, now.attempts, LATER))

    play(scene)


def test_a_job_that_was_begun_is_nobody_elses_until_it_is_recovered(play):
    async def first(store):
        await add(store, await new_document(store, "r1"))
        [job] = await due(store)
        await store.transact(lambda tx: tx.jobs.start(job.job, 0, LATER))
        assert await due(store) == []

    async def second(store):
        assert await store.transact(lambda tx: tx.jobs.recover(AFTER_ALL)) == 1
        [job] = await due(store)
        assert job.attempts == 1
        await store.transact(lambda tx: tx.jobs.put(job.job, "waiting", 1, LATER))
        assert (await due(store), len(await due(store, LATER))) == ([], 1)
        await store.transact(lambda tx: tx.jobs.put(job.job, "done", 2, NOW))
        assert await due(store, LATER) == []
        assert await store.transact(lambda tx: tx.jobs.recover(AFTER_ALL)) == 0

    play(first)
    play(second)


def test_jobs_and_files_wait_while_their_document_is_deleted_and_go_with_it(play):
    async def scene(store):
        await add(store, await new_document(store, "r1"))
        record = await store.reading.get("face", "r1", 7)
        await store.transact(lambda tx: tx.files.add("a.jpg", record.seq, NOW, "image/jpeg", b"picture"))
        assert await store.reading.files.get("a.jpg") == ("image/jpeg", b"picture")
        await store.transact(lambda tx: tx.hide(record, NOW, 1))
        assert (await due(store), await store.reading.files.get("a.jpg")) == ([], None)
        assert await store.reading.jobs.waiting() == 0
        hidden, _ = await store.reading.get_with_deleted("face", "r1", 7)
        again = {"body": b"{}", "secrets": None, "updated_at": NOW, "etag": "", "base": 1}
        await store.transact(lambda tx: tx.replace(hidden, **again))
        assert (len(await due(store)), bool(await store.reading.files.get("a.jpg"))) == (1, True)
        assert await store.reading.jobs.waiting() == 1
        record = await store.reading.get("face", "r1", 7)
        await store.transact(lambda tx: tx.delete(record))
        assert (await due(store), await store.reading.files.get("a.jpg")) == ([], None)

    play(scene)

"""What happens to a conversation is told in order and once, whatever fails and however many servers hold it."""

import asyncio
from typing import Any

import pytest

from palace.conversation.events import EndAsked, InterruptAsked, Joined, Left, Said, Wish
from palace.conversation.script import Tool
from palace.storage import Transaction
from palace.talking import Damaged, Gone, Place, Room, Rooms
from palace.talking.visiting import come_in, go
from tests.talking.stage import Model, Stage, failing, heard, play, settled


def kept(room: Room, role: str) -> list[str]:
    return [line["content"] for line in room.lines if line["role"] == role]


# --- One server -------------------------------------------------------------------------------------------------------


def test_a_tool_that_is_called_beside_the_end_is_called() -> None:
    async def scene(stage: Stage) -> None:
        called: list[str] = []

        async def call(rooms: Rooms, room: Room, command: Any) -> None:
            await settled()
            called.append(command.tool_id)

        model = Model()
        tools = (Tool("save", "Saves.", {}, "t1", on_resolve="fire_and_forget", is_api=True),)
        place = await stage.begin(tools=tools)
        server = stage.server(model, call)
        room = await server.rooms.room(place)
        await server.rooms.happen(room, Joined("ann"), Said("Bye."))
        await settled()
        await model.answers("Bye!", Wish("1", "save", "{}"), Wish("2", "end_call", "{}"))
        await settled()
        await settled()
        assert (room.state.status, called) == ("ended", ["t1"])

    play(scene)


def test_an_end_that_could_not_be_stored_has_not_happened() -> None:
    async def scene(stage: Stage) -> None:
        place = await stage.begin(max_call_seconds=30)
        server = stage.server()
        room = await server.rooms.room(place)
        await server.rooms.happen(room, Joined("ann"))
        await failing(server, room, EndAsked("x"))
        async with server.rooms.listening(room) as listener:
            assert (listener.why, room.state.status) == ("", "active")
            stage.later(31)
            await server.look()
            assert await heard(listener) == ["system.shutdown"]
        assert room.state.shutdown_reason == "max_call_duration reached"

    play(scene)


def test_a_model_is_asked_while_the_step_is_stored_and_stopped_when_it_could_not_be() -> None:
    async def scene(stage: Stage) -> None:
        model = Model()
        server = stage.server(model)
        room = await server.rooms.room(await stage.begin())
        await server.rooms.happen(room, Joined("ann"))
        async with server.rooms.listening(room) as listener:
            server.store.is_open.clear()
            saying = asyncio.create_task(failing(server, room, Said("Hello?")))
            await settled()
            assert (len(model.asked), model.stopped) == (1, [])
            assert await heard(listener) == []
            server.store.is_open.set()
            await saying
            await settled()
            assert (model.stopped, room.doing) == ([model.asked[0].inference_id], {})
            assert await heard(listener) == []
            await server.rooms.happen(room, Said("Hello?"))
            await settled()
            await model.answers("Hello.")
            assert await heard(listener) == ["utterance", "utterance", "utterance.streaming"]
        assert (kept(room, "user"), kept(room, "assistant")) == (["Hello?"], ["Hello."])

    play(scene)


def test_timers_go_on_after_a_step_that_could_not_be_stored() -> None:
    async def scene(stage: Stage) -> None:
        server = stage.server()
        room = await server.rooms.room(await stage.begin(max_call_seconds=30))
        await server.rooms.happen(room, Joined("ann"))
        await failing(server, room, EndAsked("x"))
        stage.later(31)
        await server.look()
        assert room.state.shutdown_reason == "max_call_duration reached"

    play(scene)


def test_who_comes_in_at_the_second_try_is_greeted() -> None:
    async def scene(stage: Stage) -> None:
        server = stage.server()
        room = await server.rooms.room(await stage.begin(greeting="Welcome."))
        await failing(server, room, Joined("ann"))
        async with server.rooms.listening(room) as listener:
            await come_in(server.rooms, room, "ann")
            assert await heard(listener) == ["utterance"]

    play(scene)


def test_that_the_pal_begins_to_speak_is_kept() -> None:
    async def scene(stage: Stage) -> None:
        model = Model()
        server = stage.server(model)
        room = await server.rooms.room(await stage.begin(is_chat=False))
        await server.rooms.happen(room, Joined("ann"), Said("Hello?"))
        before = room.state.seq
        await settled()
        await model.writes("Hello th")
        seen = [one["event_type"] for one in await server.rooms.messages(room, before)]
        assert seen == ["conversation.started_speaking", "conversation.utterance.streaming"]
        await model.answers("Hello there.")
        stored = [one["event_type"].removeprefix("conversation.") for one in await server.rooms.messages(room, before)]
        assert stored == ["started_speaking", "utterance", "utterance.streaming", "stopped_speaking"]

    play(scene)


def test_after_a_restart_the_model_is_asked_once_and_no_number_is_given_again() -> None:
    async def scene(stage: Stage) -> None:
        first, second = Model(), Model()
        before, after = stage.server(first), stage.server(second)
        place = await stage.begin()
        room = await before.rooms.room(place)
        await before.rooms.happen(room, Joined("(http)"), Said("Hello?"))
        await settled()
        for number in range(20):
            await first.writes("word " * number)
        told = room.state.seq
        await before.rooms.let_go()
        await after.waking._take_over()
        await settled()
        assert len(second.asked) == 1
        await second.answers("Hello.")
        fresh = await after.rooms.room(place)
        assert all(one["seq"] > told for one in await after.rooms.messages(fresh, told - 1))
        assert kept(fresh, "assistant") == [("word " * 19), "Hello."], "what people had heard was said"

    play(scene)


def test_a_call_that_is_just_being_stored_is_not_lost() -> None:
    async def scene(stage: Stage) -> None:
        model = Model()
        tools = (Tool("look_up", "Looks.", {}, "t1", on_resolve="generate_response", is_api=True),)
        server = stage.server(model)
        room = await server.rooms.room(await stage.begin(tools=tools))
        await server.rooms.happen(room, Joined("ann"), Said("A room?"))
        await settled()
        server.store.is_open.clear()
        answering = asyncio.create_task(model.answers("", Wish("1", "look_up", "{}")))
        await settled()
        stage.later(0.01)
        room.state.timers["idle"] = stage.services.clock.now().timestamp()  # Something is due just then.
        looking = asyncio.create_task(server.waking._wake(room))
        await settled()
        server.store.is_open.set()
        await asyncio.gather(answering, looking)
        assert list(room.state.calls) == ["1"]
        assert kept(room, "tool") == []

    play(scene)


def test_a_conversation_that_cannot_be_read_does_not_stop_the_others() -> None:
    async def scene(stage: Stage) -> None:
        server = stage.server(is_shared=True)
        place, other = await stage.begin(), await stage.begin("c2", max_call_seconds=5)
        room, well = await server.rooms.room(place), await server.rooms.room(other)

        async def damage(tx: Transaction) -> None:
            await tx.conversations.put(place.document, room.number, "", b"no state")

        await stage.services.store.transact(damage)
        stage.later(6)
        for _ in range(2):
            await server.look()
        assert well.state.shutdown_reason == "max_call_duration reached"
        with pytest.raises(Damaged) as caught:
            await stage.server().rooms.room(place)
        assert "no state" not in str(caught.value)

    play(scene)


def test_what_is_not_there_leaves_no_lock_behind() -> None:
    async def scene(stage: Stage) -> None:
        rooms = stage.server().rooms
        with pytest.raises(Gone):
            await rooms.room(Place(100, "c9", 1))
        assert not rooms._opening

    play(scene)


# --- Two servers on one store -----------------------------------------------------------------------------------------


def test_who_listens_elsewhere_while_an_answer_is_awaited_hears_it_and_the_next() -> None:
    async def scene(stage: Stage) -> None:
        model = Model()
        here, there = stage.server(model, is_shared=True), stage.server(is_shared=True)
        place = await stage.begin()
        room = await here.rooms.room(place)
        await here.rooms.happen(room, Joined("ann"), Said("Hello?"))
        await settled()
        async with there.rooms.listening(await there.rooms.room(place)) as listener:
            await model.answers("Hello.")
            await there.look()
            assert await heard(listener) == ["utterance", "utterance.streaming"]
            await here.rooms.happen(room, Said("Again?"))
            await there.look()
            assert await heard(listener) == ["utterance"]

    play(scene)


def test_whoever_joins_elsewhere_does_not_disturb_an_answer_that_is_being_written() -> None:
    async def scene(stage: Stage) -> None:
        model = Model()
        here, there = stage.server(model, is_shared=True), stage.server(is_shared=True)
        place = await stage.begin(is_chat=False)
        room = await here.rooms.room(place)
        await here.rooms.happen(room, Joined("ann"), Said("Hello?"))
        await settled()
        async with here.rooms.listening(room) as listener:
            await model.writes("Hello th")
            await there.rooms.happen(await there.rooms.room(place), Joined("ben"))
            await here.look()
            await model.writes("Hello there.")
            await model.answers("Hello there.")
            told = await listener.next(0)
        assert [one["seq"] for one in told] == sorted({one["seq"] for one in told})
        kinds = [one["event_type"].removeprefix("conversation.") for one in told]
        speaking = ["started_speaking", "utterance.streaming", "utterance.streaming"]
        assert kinds == [*speaking, "utterance", "utterance.streaming", "stopped_speaking"]
        assert room.state.people == ["ann", "ben"]

    play(scene)


def test_a_model_whose_answer_nobody_wants_any_more_is_stopped_wherever_it_was_asked() -> None:
    async def scene(stage: Stage) -> None:
        model, other = Model(), Model()
        here, there = stage.server(model, is_shared=True), stage.server(other, is_shared=True)
        place = await stage.begin()
        room, same = await here.rooms.room(place), await there.rooms.room(place)
        await here.rooms.happen(room, Joined("ann"), Said("Hello?"))
        await settled()
        async with here.rooms.listening(room) as listener:
            await model.writes("Hello there, my")
            await there.rooms.happen(same, Said("Stop."))
            await here.look()
            await settled()
            assert model.stopped == [model.asked[0].inference_id]
            await other.answers("Yes?")
            await here.look()
            told = await listener.next(0)
            assert [one["seq"] for one in told] == sorted({one["seq"] for one in told})
            assert told[-2]["properties"]["speech"] == "Yes?"
        await there.rooms.happen(same, InterruptAsked(), EndAsked("x"))
        await here.look()
        assert (room.state.status, room.doing) == ("ended", {})

    play(scene)


def test_a_person_with_a_line_at_each_of_two_servers_stays_when_one_is_closed() -> None:
    async def scene(stage: Stage) -> None:
        here, there = stage.server(is_shared=True), stage.server(is_shared=True)
        place = await stage.begin(left_seconds=0)
        room, same = await here.rooms.room(place), await there.rooms.room(place)
        await come_in(here.rooms, room, "ann")
        await come_in(there.rooms, same, "ann")
        await go(here.rooms, room, "ann", is_clean=True)
        for _ in range(3):
            await there.look()
            stage.later(2)
            await here.look()
        assert (room.state.status, room.state.people) == ("active", ["ann"])
        await go(there.rooms, same, "ann", is_clean=True)
        stage.later(4)
        await here.look()
        await here.look()
        assert room.state.shutdown_reason == "participant_left_timeout reached"

    play(scene)


def test_on_one_server_whoever_goes_has_left_at_once() -> None:
    async def scene(stage: Stage) -> None:
        server = stage.server()
        room = await server.rooms.room(await stage.begin(left_seconds=0))
        await come_in(server.rooms, room, "ann")
        await go(server.rooms, room, "ann", is_clean=True)
        assert room.state.status == "ended"
        await server.rooms.happen(room, Left("ann"))

    play(scene)

"""The copies in which an app message goes out."""

from palace.conversation.wire import copies
from tests.conversation.scene import scene


def test_what_the_pal_says_goes_out_in_both_vocabularies() -> None:
    call = scene().visitor("Hello").model("Hi.")
    user, pal, streamed = call.messages()[-3:]
    assert copies(user) == [user]
    for message in (pal, streamed):
        assert copies(message) == [message, {**message, "properties": {**message["properties"], "role": "replica"}}]


def test_beginning_and_ending_to_speak_go_out_under_the_older_names_too() -> None:
    call = scene(is_chat=False).visitor("Hello").model("Hi.")
    started = next(one for one in call.messages() if one["event_type"] == "conversation.started_speaking")
    stopped = next(one for one in call.messages() if one["event_type"] == "conversation.stopped_speaking")
    told = [
        (one["event_type"], one.get("properties"), one["seq"])
        for message in (started, stopped)
        for one in copies(message)
    ]
    end = {"interrupted": False, "duration": 0.0}
    assert told == [
        ("conversation.started_speaking", {"role": "pal"}, started["seq"]),
        ("conversation.started_speaking", {"role": "replica"}, started["seq"]),
        ("conversation.replica.started_speaking", None, started["seq"]),
        ("conversation.stopped_speaking", {"role": "pal", **end}, stopped["seq"]),
        ("conversation.stopped_speaking", {"role": "replica", **end}, stopped["seq"]),
        ("conversation.replica.stopped_speaking", end, stopped["seq"]),
    ]
    assert all(one["inference_id"] == started["inference_id"] for one in copies(started))


def test_what_a_person_does_goes_out_once_and_under_the_older_name() -> None:
    message = {"event_type": "conversation.started_speaking", "seq": 7, "properties": {"role": "user"}}
    assert copies(message) == [message, {"event_type": "conversation.user.started_speaking", "seq": 7}]


def test_what_has_no_role_goes_out_as_it_is() -> None:
    call = scene()
    assert [copies(one) for one in call.messages()] == [[one] for one in call.messages()]

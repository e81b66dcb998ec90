import json

from palace.call import Account, Call
from palace.verbs.normalised import HEADER, LONGEST_VALUE, MOST_MEMBERS, stored_differently
from palace.vocabulary import Words, aliases

CALL = Call(Account(1, ""), Words())


def told(sent, stored, call=CALL):
    header = stored_differently(sent, stored, call)[HEADER]
    assert header.isascii()
    return json.loads(header)


def test_what_is_stored_as_sent_has_no_header():
    assert stored_differently({"a": 1, "b": {"c": []}}, {"b": {"c": []}, "a": 1, "d": 5}, CALL) == {}


def test_more_members_than_fit_are_counted():
    sent = {"all": {str(number): "A" for number in range(MOST_MEMBERS + 5)}}
    stored = {"all": dict.fromkeys(sent["all"], "a")}
    listed = told(sent, stored)
    assert listed[-1] == {"more": 5}
    assert listed[:-1] == [
        {"pointer": f"/all/{number}", "how": "normalised", "stored": "a"} for number in range(MOST_MEMBERS)
    ]


def test_a_long_value_is_named_and_not_shown():
    assert told({"a": "x"}, {"a": "y" * LONGEST_VALUE}) == [{"pointer": "/a", "how": "normalised"}]


def test_pointers_and_values_of_every_script_travel_in_ascii():
    assert told({"a": {"深/~": "X"}}, {"a": {"深/~": "🌙"}}) == [
        {"pointer": "/a/深~1~0", "how": "normalised", "stored": "🌙"}
    ]


def test_pointers_and_values_are_in_the_words_of_the_route():
    call = Call(Account(1, ""), Words(is_legacy=True, known=aliases({"flow/pal_x": "replica_x"})))
    assert told({"flow": "x"}, {"flow": {"pal_x": 1}}, call) == [
        {"pointer": "/flow", "how": "coerced", "stored": {"replica_x": 1}}
    ]
    assert told({"flow": {"pal_x": "1"}}, {"flow": {"pal_x": 1}}, call)[0]["pointer"] == "/flow/replica_x"

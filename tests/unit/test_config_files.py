"""PALs as files: what YAML means, what a file owns, what it changes, and what a plan keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.cli.patch import operations_for
from palace.config_files import (
    MissingVariables,
    Plan,
    PlanEntry,
    StalePlan,
    check_plan,
    declared_members,
    dump_plan,
    escaped,
    file_name,
    load_plan,
    member_patches,
    members_for_file,
    refreshed,
    resolved,
    with_declared,
)
from palace.json_patch import PatchError, apply_patch, compile_patch, equal
from palace.yaml_text import InvalidYaml, read_yaml, with_id, write_yaml
from tests.json_patch.strategies import values

MASK = "********"
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.text(
    " \t\n\r\x85\u2028\ufeff#:-|>'\"\\a~5", max_size=12
)


# --- YAML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("off", "off", id="off is no switch"),
        pytest.param("yes", "yes", id="yes is no switch"),
        pytest.param("12:30", "12:30", id="a time is no number"),
        pytest.param("2026-10-07", "2026-10-07", id="a date is text"),
        pytest.param("010", 10, id="no octal numbers"),
        pytest.param("0x1F", "0x1F", id="no hexadecimal numbers"),
        pytest.param("1_000", "1_000", id="no underscores in numbers"),
        pytest.param("1e3", 1000.0, id="an exponent"),
        pytest.param("true", True, id="true"),
        pytest.param("~", None, id="null"),
        pytest.param("", None, id="nothing is null"),
        pytest.param("|\n  one\n  two\n", "one\ntwo\n", id="a block"),
    ],
)
def test_yaml_means_what_json_can_say(text, value):
    read = read_yaml(f"member: {text}")["member"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: 1\nb: 2\na: 3", "line 3, column 1: the member 'a' occurs twice", id="a member twice"),
        pytest.param("a: [1", "line 1, column 6", id="an open bracket"),
        pytest.param("- 1", "a mapping of members", id="a list"),
        pytest.param("", "a mapping of members", id="nothing"),
        pytest.param("1: a", "must be text", id="a number as a name"),
        pytest.param("a: &x [*x]", "recursive", id="a list that holds itself"),
        pytest.param("a: !!python/name:os.system", "nothing that JSON has", id="a Python object"),
        pytest.param("a: 1e999", "too large", id="a number without an end"),
        pytest.param("a: 1\n---\na: 2", "line 2", id="two documents"),
        pytest.param("a: \x07", "not allowed", id="a control character"),
    ],
)
def test_yaml_that_json_cannot_say_is_refused_with_its_place(text, told):
    with pytest.raises(InvalidYaml) as refused:
        read_yaml(text)
    assert told in str(refused.value)


@given(values | TEXTS | st.dictionaries(TEXTS, TEXTS))
def test_what_is_written_as_yaml_is_read_back_the_same(value):
    read = read_yaml(write_yaml({"member": value}))["member"]
    assert equal(read, value)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        pytest.param("pal_name: A\n", "pal_id: p1\npal_name: A\n", id="a plain file"),
        pytest.param("# Mine.\n\npal_name: A\n", "# Mine.\n\npal_id: p1\npal_name: A\n", id="below the comment on top"),
        pytest.param("---\npal_name: A # x\n", "---\npal_id: p1\npal_name: A # x\n", id="below the start"),
        pytest.param("{pal_name: A}\n", "pal_id: p1\npal_name: A\n", id="written anew where a line has no place"),
    ],
)
def test_an_id_is_put_into_a_file_beside_its_comments(text, after):
    assert with_id(text, "p1") == after


# --- References -------------------------------------------------------------------------------------------------------


def test_references_are_resolved_at_any_depth_and_inside_of_texts():
    value = {"a": ["Bearer ${env:TOKEN}"], "b": {"c": "${env:A}-${env:TOKEN}"}, "d": 5}
    assert resolved(value, {"TOKEN": "t", "A": "a"}) == {"a": ["Bearer t"], "b": {"c": "a-t"}, "d": 5}


def test_every_missing_variable_is_told_at_once():
    value = ["${env:B}", {"x": "${env:A}"}, "${env:EMPTY}", "${env:no name}", "${env:OPEN"]
    with pytest.raises(MissingVariables) as missing:
        resolved(value, {"EMPTY": "", "OPEN": "x"})
    assert missing.value.names == ["A", "B", "EMPTY", "OPEN (without its closing brace)", "no name"]


@given(values | st.lists(st.sampled_from(["$", "{env:", "${env:A}", "}", "A"])).map("".join))
def test_an_escaped_value_resolves_to_itself(value):
    assert equal(resolved(escaped(value), {}), value)


# --- From a PAL to a file ---------------------------------------------------------------------------------------------

READ = {
    "pal_id": "p1",
    "pal_name": "Nachtportier Süd",
    "pal_description": None,
    "system_prompt": "Costs ${env:NOTHING}.",
    "dynamic_greeting": False,
    "pipeline_mode": "full",
    "tool_ids": [],
    "disclosure_type": "off",
    "layers": {
        "llm": {"model": "m", "api_key": MASK, "extra_body": {}, "headers": {"x": "y"}},
        "conversational_flow": {"voice_isolation": "off", "wake_phrase": None},
        "stt": {"hotwords": "", "smart_turn_detection": False},
        "transport": {},
    },
    "is_published": True,
    "created_at": "t",
    "updated_at": "t",
}


def test_a_file_holds_what_somebody_has_set_and_refers_to_secrets():
    assert members_for_file(escaped(READ)) == {
        "pal_id": "p1",
        "pal_name": "Nachtportier Süd",
        "system_prompt": "Costs $${env:NOTHING}.",
        "disclosure_type": "off",
        "layers": {
            "llm": {"model": "m", "api_key": "${env:NACHTPORTIER_SUD_LLM_API_KEY}", "headers": {"x": "y"}},
            "conversational_flow": {"voice_isolation": "off"},
            "stt": {"smart_turn_detection": False},
        },
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("Night Desk", "night-desk-p1.yaml", id="words"),
        pytest.param("Süß / ../../etc", "su-etc-p1.yaml", id="other characters"),
        pytest.param("夜", "p1.yaml", id="no letter that fits"),
        pytest.param(None, "p1.yaml", id="no name"),
        pytest.param("x" * 200, "x" * 60 + "-p1.yaml", id="a long name"),
    ],
)
def test_a_file_is_named_after_its_pal(name, expected):
    assert file_name({"pal_id": "p1", "pal_name": name}) == expected


@pytest.mark.parametrize(
    ("declared", "current", "after"),
    [
        pytest.param({"a": 1}, {"a": 2, "b": 3}, {"a": 2}, id="only declared members"),
        pytest.param({"l": {"a": 1}}, {"l": {"a": 2, "b": 3}}, {"l": {"a": 2}}, id="at any depth"),
        pytest.param({"a": 1}, {}, {"a": None}, id="a member that is gone"),
        pytest.param({"a": None}, {"a": 1}, {"a": 1}, id="a cleared member that is back"),
        pytest.param({"k": "${env:K}"}, {"k": MASK}, {"k": "${env:K}"}, id="a reference to a secret"),
        pytest.param({"k": "Bearer ${env:K}"}, {"k": "Bearer x"}, {"k": "Bearer ${env:K}"}, id="a reference in a text"),
        pytest.param({"k": "${env:K}"}, {}, {"k": None}, id="a reference to what is gone"),
        pytest.param({"t": [{"k": "${env:K}"}]}, {"t": [{"k": "x"}]}, {"t": [{"k": "${env:K}"}]}, id="one in a list"),
        pytest.param({"t": [1]}, {"t": [2]}, {"t": [2]}, id="a list"),
    ],
)
def test_a_file_is_brought_up_to_date_member_by_member(declared, current, after):
    assert refreshed(declared, current) == after


# --- From a file to a PAL ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "declared", "after"),
    [
        pytest.param({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}, id="other members stay"),
        pytest.param({"l": {"a": 1, "b": 2}}, {"l": {"a": 3}}, {"l": {"a": 3, "b": 2}}, id="at any depth"),
        pytest.param({"t": [1, 2]}, {"t": [3]}, {"t": [3]}, id="lists are owned whole"),
        pytest.param({"a": 1}, {"a": None}, {}, id="null takes a member away"),
        pytest.param({"a": None}, {"a": None}, {"a": None}, id="null where null is"),
        pytest.param({}, {"a": None, "l": {"b": None}}, {"l": {}}, id="null where nothing is"),
        pytest.param({"l": {"a": 1}}, {"l": {}}, {"l": {"a": 1}}, id="an empty mapping owns nothing"),
        pytest.param({}, {"l": {}}, {"l": {}}, id="an empty mapping makes one"),
        pytest.param({"l": 5}, {"l": {"a": 1}}, {"l": {"a": 1}}, id="a mapping in place of a value"),
        pytest.param({"k": "Bearer x"}, {"k": "Bearer ${env:K}"}, {"k": "Bearer x"}, id="what is there already"),
        pytest.param({"k": "Bearer y"}, {"k": "Bearer ${env:K}"}, {"k": "Bearer ${env:K}"}, id="a reference stays one"),
        pytest.param({"k": MASK}, {"k": "${env:K}"}, {"k": "${env:K}"}, id="a secret cannot be compared"),
    ],
)
def test_a_file_owns_what_it_declares_and_nothing_else(current, declared, after):
    assert with_declared(current, declared, {"K": "x"}) == after


def test_older_names_are_understood_in_files():
    assert declared_members({"persona_id": "p1", "persona_name": "A"}) == ("p1", {"pal_name": "A"})
    with pytest.raises(ValueError, match="pal_id"):
        declared_members({"pal_id": 5})


PALS = st.fixed_dictionaries(
    {"layers": st.dictionaries(st.sampled_from(["llm", "conferencing", "stt"]), values)},
    optional={"greeting": values, "languages": values, "memories": values},
)


@given(PALS, PALS)
def test_the_patches_between_two_pals_lead_from_one_to_the_other(before, after):
    document = before
    for patch in member_patches(before, after):
        document = apply_patch(document, compile_patch(patch)).document
    assert equal(document, after)


def test_conferencing_is_patched_apart_and_after_the_face_that_it_needs():
    before = {"default_face_id": None, "layers": {"llm": {"model": "m"}}}
    after = {"default_face_id": "r1", "layers": {"conferencing": {"username": "u"}, "stt": {}}}
    assert member_patches(before, after) == [
        [
            {"op": "replace", "path": "/default_face_id", "value": "r1"},
            {"op": "remove", "path": "/layers/llm"},
            {"op": "add", "path": "/layers/stt", "value": {}},
        ],
        [{"op": "add", "path": "/layers/conferencing", "value": {"username": "u"}}],
    ]
    assert member_patches(after, before)[0] == [{"op": "remove", "path": "/layers/conferencing"}]


# --- Setting members --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pointer", "operation"),
    [
        pytest.param("/a", {"op": "replace", "path": "/a", "value": 5}, id="a member that exists"),
        pytest.param("/b", {"op": "add", "path": "/b", "value": 5}, id="one that does not"),
        pytest.param("/l/t", {"op": "add", "path": "/l/t", "value": 5}, id="in an object"),
        pytest.param("/l/x/y~1z", {"op": "add", "path": "/l/x", "value": {"y/z": 5}}, id="without its parents"),
        pytest.param("/list/0", {"op": "replace", "path": "/list/0", "value": 5}, id="an element"),
        pytest.param("/list/-", {"op": "add", "path": "/list/-", "value": 5}, id="after the last element"),
    ],
)
def test_a_member_is_set_whether_it_exists_or_not(pointer, operation):
    assert operations_for({"a": 1, "l": {}, "list": [1]}, [(pointer, 5)]) == [operation]


def test_members_are_set_one_after_the_other_and_removed_at_the_end():
    operations = operations_for({}, [("/a/b", 1), ("/a/c", 2)], ["/a/b"])
    assert apply_patch({}, compile_patch(operations)).document == {"a": {"c": 2}}
    with pytest.raises(PatchError):
        operations_for({"a": 1}, [("/a/b/c", 1)])
    with pytest.raises(PatchError):
        operations_for({"a": []}, [("/a/5", 1)])


# --- Plans ------------------------------------------------------------------------------------------------------------

CHANGE = PlanEntry("a.yaml", "p1", "A (p1)", '"e1"', [[{"op": "remove", "path": "/a"}]])
CREATION = PlanEntry("b.yaml", None, "B", create={"pal_name": "B"})
PLAN = Plan("http://h:1", "2026-01-01T00:00:00Z", {"a.yaml": "1", "b.yaml": "2"}, [CHANGE, CREATION])


def test_a_plan_is_read_back_as_it_was_saved():
    assert load_plan(dump_plan(PLAN)) == PLAN


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"palace_plan":2}', b'{"palace_plan":1,"entries":[{}]}'])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(StalePlan):
        load_plan(text)


@pytest.mark.parametrize(
    ("server", "files", "told"),
    [
        pytest.param("http://other", PLAN.files, "http://other", id="another server"),
        pytest.param(PLAN.server, {"a.yaml": "9", "b.yaml": "2"}, "a.yaml", id="a file that changed"),
        pytest.param(PLAN.server, {"a.yaml": "1"}, "b.yaml", id="a file that is gone"),
        pytest.param(PLAN.server, {**PLAN.files, "c.yaml": "3"}, "c.yaml", id="a new file"),
    ],
)
def test_a_plan_holds_for_its_server_and_its_files_only(server, files, told):
    check_plan(PLAN, PLAN.server, PLAN.files)
    with pytest.raises(StalePlan) as stale:
        check_plan(PLAN, server, files)
    assert told in str(stale.value)


def test_what_is_done_leaves_the_plan_and_keeps_the_keys_of_the_rest():
    rest = PLAN.without(CHANGE, PLAN.files)
    assert rest.entries == [CREATION]
    assert rest.idempotency_key(CREATION) == PLAN.idempotency_key(CREATION)

import pytest

from palace.vocabulary import (
    AmbiguousAlias,
    Words,
    aliases,
    canonical_document,
    canonical_patch,
    canonical_pointer,
    legacy_document,
)

KNOWN = aliases({"pal_name": "persona_name", "layers/flow/pal_pace": ("replica_pace", "face_pace")})

DOCUMENTS = [
    pytest.param({"persona_name": "persona_name"}, {"pal_name": "persona_name"}, id="keys, never values"),
    pytest.param({"layers": {"flow": {"face_pace": 1}}}, {"layers": {"flow": {"pal_pace": 1}}}, id="below a layer"),
    pytest.param({"flow": {"replica_pace": 1}}, {"flow": {"replica_pace": 1}}, id="not at another place"),
    pytest.param({"layers": {"flow": None}}, {"layers": {"flow": None}}, id="null where an object may be"),
    pytest.param({"pal_name": 1, "persona_name": 1}, {"pal_name": 1}, id="both spellings of one value"),
    pytest.param([{"persona_name": 1}], [{"persona_name": 1}], id="not inside a list"),
    pytest.param("persona_name", "persona_name", id="not a bare value"),
]


@pytest.mark.parametrize(("sent", "inside"), DOCUMENTS)
def test_documents_are_translated_at_known_places_only(sent, inside):
    assert canonical_document(sent, KNOWN) == inside


def test_two_spellings_with_different_values_are_refused():
    with pytest.raises(AmbiguousAlias, match="pal_name and persona_name"):
        canonical_document({"pal_name": "a", "persona_name": "b"}, KNOWN)


@pytest.mark.parametrize(
    ("sent", "inside"),
    [
        ("", ""),
        ("/persona_name", "/pal_name"),
        ("/layers/flow/replica_pace", "/layers/flow/pal_pace"),
        ("/layers/flow/replica_pace/x", "/layers/flow/pal_pace/x"),
        ("/layers/persona_name", "/layers/persona_name"),
        ("/persona~0name", "/persona~0name"),
        ("persona_name", "persona_name"),
    ],
)
def test_pointers_are_translated_token_by_token(sent, inside):
    assert canonical_pointer(sent, KNOWN)[0] == inside


def test_a_patch_is_translated_in_path_from_and_value():
    sent = [
        {"op": "add", "path": "/layers", "value": {"flow": {"replica_pace": 1}}},
        {"op": "move", "from": "/persona_name", "path": "/x"},
        {"op": "add", "path": "/x/layers", "value": {"flow": {"replica_pace": 1}}},
    ]
    assert canonical_patch(sent, KNOWN) == [
        {"op": "add", "path": "/layers", "value": {"flow": {"pal_pace": 1}}},
        {"op": "move", "from": "/pal_name", "path": "/x"},
        {"op": "add", "path": "/x/layers", "value": {"flow": {"replica_pace": 1}}},
    ]


@pytest.mark.parametrize("malformed", [None, 1, "x", {}, [None, 1, {"path": 5, "from": None, "value": {}}]])
def test_what_is_no_patch_passes_unchanged(malformed):
    assert canonical_patch(malformed, KNOWN) == malformed


def test_legacy_replies_use_the_first_older_spelling():
    inside = {"pal_name": "x", "layers": {"flow": {"pal_pace": 1}}}
    assert legacy_document(inside, KNOWN) == {"persona_name": "x", "layers": {"flow": {"replica_pace": 1}}}
    assert Words(True, KNOWN).pointer("/layers/flow/pal_pace") == "/layers/flow/replica_pace"
    assert Words(True, KNOWN).pointer("") == ""
    assert Words(False, KNOWN).pointer("/pal_name") == "/pal_name"

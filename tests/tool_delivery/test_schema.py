"""Arguments of a model against the schema of a tool: what is wrong is told so that the model can repair its call."""

import time
from typing import Any

import pytest

from palace.tool_delivery import BadArguments, read_arguments

HEAD = "The tool was not called, because its arguments do not fit. Call it again with these put right:\n"
ROOM = {
    "type": "object",
    "properties": {
        "nights": {"type": "integer", "minimum": 1, "maximum": 14},
        "kind": {"enum": ["single", "double"]},
        "guests": {"type": "array", "items": {"type": "object", "required": ["name"]}, "maxItems": 2},
        "currency": {"type": "string", "default": "EUR"},
        "source": {"const": "pal"},
        "note": {"type": "string", "default": None},
    },
    "required": ["nights"],
    "additionalProperties": False,
}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
FILLED = {"currency": "EUR", "source": "pal"}


def refusal(text: str, parameters: dict[str, Any] = ROOM) -> str:
    with pytest.raises(BadArguments) as caught:
        read_arguments(text, parameters)
    return caught.value.text


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"nights": 3}', {"nights": 3, **FILLED}),
        ('{"nights": 3, "currency": "USD"}', {"nights": 3, "currency": "USD", "source": "pal"}),
        ('{"nights": 3, "guests": [{"name": "Ann"}]}', {"nights": 3, "guests": [{"name": "Ann"}], **FILLED}),
    ],
)
def test_arguments_that_fit_come_back_with_what_is_fixed_or_has_a_default(text: str, arguments: Any) -> None:
    assert read_arguments(text, ROOM) == arguments


@pytest.mark.parametrize("text", ["", " ", "{}"])
def test_no_arguments_are_none(text: str) -> None:
    assert read_arguments(text, {}) == {}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("{}", ["nights: Missing data for required field."]),
        ('{"nights": "3"}', ["nights: Not a valid integer."]),
        ('{"nights": 15}', ["nights: Must be less than or equal to 14."]),
        ('{"nights": 1, "kind": "suite"}', ["kind: Must be one of: single, double."]),
        ('{"nights": 1, "source": "me"}', ["source: Must be one of: pal."]),
        ('{"nights": 1, "guests": [{"name": "x"}, {}]}', ["guests.1.name: Missing data for required field."]),
        (
            '{"nights": 0, "city": "x"}',
            [
                "nights: Must be greater than or equal to 1.",
                "city: Unknown field. There are: nights, kind, guests, currency, source, note.",
            ],
        ),
        ('{"nights": null}', ["nights: Field may not be null."]),
    ],
)
def test_everything_that_does_not_fit_is_told_at_once(text: str, problems: list[str]) -> None:
    assert refusal(text) == HEAD + "\n".join(f"- {problem}" for problem in problems)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"nights": ', "are no valid JSON"),
        (
            '{"nights": NaN}',
            "are no valid JSON",
        ),
        (
            '{"a": "\\ud800"}',
            "are no valid JSON",
        ),
        ("[" * 50_000, "are no valid JSON"),
        ("[3]", "are no object"),
    ],
)
def test_what_is_no_object_is_told_in_a_sentence(text: str, said: str) -> None:
    how = 'Give one JSON object, such as {"name": "value"}.'
    assert refusal(text) == f"The tool was not called, because its arguments {said}. {how}"


def test_very_long_arguments_are_refused() -> None:
    assert "more than 100000 characters" in refusal('{"a": "' + "x" * 100_000 + '"}', {})


def test_of_many_problems_the_first_are_told() -> None:
    schema = {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "string"}}}}
    assert refusal('{"l": [' + ",".join("1" * 50) + "]}", schema).endswith("- l.19: Not a valid string.\n- and 30 more")


def test_names_of_the_server_s_own_are_no_arguments() -> None:
    said = refusal('{"tavus_conversation_id": "another"}', {})
    assert said.endswith("- tavus_conversation_id: Unknown field. Leave it out.")


def tower(depth: int) -> dict[str, Any]:
    """A schema in which every floor asks the one below twice: 2^depth looks at it."""
    floors = {f"f{n}": {"anyOf": [{"$ref": f"#/$defs/f{n + 1}"}] * 2} for n in range(depth)}
    return {"$defs": {**floors, f"f{depth}": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/f0"}}}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"properties": {"a": {"type": "text"}}}, id="an unknown type"),
        pytest.param({"properties": {"a": {"minimum": "1"}}}, id="a limit that is a text"),
        pytest.param({"required": "a"}, id="required that is a text"),
        pytest.param({"$ref": "https://elsewhere.example/schema"}, id="another document"),
        pytest.param({"$ref": "#/$defs/none"}, id="a place that is not there"),
        pytest.param({"$ref": "#"}, id="itself"),
        pytest.param({"properties": {"a": {"pattern": "(a+)+$"}}}, id="a slow pattern"),
        pytest.param({"properties": {"a": {"pattern": "("}}}, id="a broken pattern"),
        pytest.param({"patternProperties": {"(a+)+$": {}}, "additionalProperties": False}, id="slow names"),
        pytest.param({"propertyNames": {"pattern": "(a+)+$"}}, id="slow names of another kind"),
        pytest.param(tower(60), id="2^60 steps"),
        pytest.param({"$schema": DRAFT_7, **tower(60)}, id="2^60 in another draft"),
        pytest.param(
            {"allOf": [{"$schema": DRAFT_7, "properties": {"a": {"pattern": "(a+)+$"}}}]},
            id="a slow pattern in another draft",
        ),
        pytest.param({"properties": {"l": {"uniqueItems": True}}}, id="many comparisons"),
        pytest.param({"allOf": [{}] * 3000}, id="many parts"),
        pytest.param({"properties": {"l": {"items": {"allOf": [{}] * 300}}}}, id="many looks at many items"),
    ],
)
def test_a_schema_that_cannot_be_judged_by_does_not_hold_the_server_up(schema: dict[str, Any]) -> None:
    text = '{"a": "' + "a" * 60 + 'b", "' + "a" * 60 + 'b": 1, "l": [' + ",".join("{}" for _ in range(20_000)) + "]}"
    began = time.process_time()
    assert read_arguments(text, schema)["a"]
    assert time.process_time() - began < 2


def test_judging_goes_on_after_a_schema_that_was_too_involved() -> None:
    read_arguments('{"a": 1}', tower(60))
    assert "nights" in refusal("{}")

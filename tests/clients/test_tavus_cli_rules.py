"""`tavus-cli`, as it is published: objectives, guardrails and pronunciation dictionaries."""

from typing import Any

import httpx
import pytest

from tests.clients.apart import CommandLine
from tests.serving import STOCK_FACE

# --- Objectives -------------------------------------------------------------------------------------------------------


def new_set(tavus: CommandLine) -> tuple[str, dict[str, Any]]:
    """The id of a set made from the command line's own example, and the example."""
    example = tavus("objective", "example")
    return tavus("objective", "create", "--file", tavus.file(example))["objectives_id"], example


def test_its_example_of_objectives_is_valid_and_makes_a_set(tavus: CommandLine) -> None:
    objectives_id, example = new_set(tavus)
    shown = tavus("objective", "get", objectives_id)
    names = [item["objective_name"] for item in shown["data"]]
    assert names == [item["objective_name"] for item in example["data"]]
    assert shown["data"][1]["next_conditional_objectives"] == example["data"][1]["next_conditional_objectives"]
    tavus("objective", "validate", "--file", tavus.file(example))


def test_a_set_without_one_root_is_refused_by_validate_and_by_create(tavus: CommandLine) -> None:
    items = [{"objective_name": name, "objective_prompt": "Ask."} for name in ("ask_name", "ask_dates")]
    file = tavus.file({"name": "two_roots", "data": items})
    assert "Tavus API POST /objectives/validate failed with 400" in tavus.refused(
        "objective", "validate", "--file", file
    )
    assert "failed with 400" in tavus.refused("objective", "create", "--file", file)


def test_objectives_are_patched_with_json_patch(tavus: CommandLine) -> None:
    objectives_id, _ = new_set(tavus)
    change = [{"op": "replace", "path": "/data/0/objective_prompt", "value": "Greet the guest."}]
    answer = tavus("objective", "patch", objectives_id, "--file", tavus.file(change))
    assert answer == {"message": "Objective updated successfully"}
    assert tavus("objective", "get", objectives_id)["data"][0]["objective_prompt"] == "Greet the guest."
    assert tavus("objective", "patch", objectives_id, "--file", tavus.file(change)) is None
    wrong = tavus.file([{"op": "remove", "path": "/data/9"}])
    assert "failed with 400" in tavus.refused("objective", "patch", objectives_id, "--file", wrong)


def test_objectives_are_listed_and_deleted(tavus: CommandLine) -> None:
    objectives_id, _ = new_set(tavus)
    page = tavus("objective", "list", "--json", "--limit", "100")
    assert objectives_id in [item["objectives_id"] for item in page["data"]]
    found = tavus("objective", "list", "--json", "--name-or-uuid", objectives_id, "--sort", "descending")
    assert [item["objectives_id"] for item in found["data"]] == [objectives_id]
    assert tavus("objective", "delete", objectives_id) is None
    assert "failed with 404" in tavus.refused("objective", "get", objectives_id)


def test_a_pal_is_created_with_objectives_and_guardrails(tavus: CommandLine, api: httpx.Client) -> None:
    objectives_id, _ = new_set(tavus)
    guardrail_id = tavus(*NEW_GUARDRAIL, "--name", "cli_of_a_pal")["uuid"]
    words = ("--face-id", STOCK_FACE, "--objectives-id", objectives_id, "--guardrail-id", guardrail_id)
    pal_id = tavus("pal", "create", "--system-prompt", "Answer briefly.", *words, "--guardrail-tag", "desk")["pal_id"]
    pal = api.get(f"/v2/pals/{pal_id}").json()
    assert (pal["objectives_id"], pal["guardrail_ids"], pal["guardrail_tags"]) == (
        objectives_id,
        [guardrail_id],
        ["desk"],
    )
    tavus("guardrail", "delete", guardrail_id)
    tavus("objective", "delete", objectives_id)
    pal = api.get(f"/v2/pals/{pal_id}").json()
    assert (pal["objectives_id"], pal["guardrail_ids"]) == (None, [])


# --- Guardrails -------------------------------------------------------------------------------------------------------

NEW_GUARDRAIL = ("guardrail", "create", "--prompt", "Never quote a price.")


def test_a_guardrail_is_created_and_read(tavus: CommandLine) -> None:
    made = tavus(*NEW_GUARDRAIL, "--name", "cli_no_prices", "--tag", "desk", "--tag", "night", "--no-app-message")
    assert (made["guardrail_name"], made["modality"], made["tags"]) == ("cli_no_prices", "verbal", ["desk", "night"])
    assert made["app_message"] is False
    shown = tavus("guardrail", "get", made["uuid"])
    assert {name: shown[name] for name in made} == made
    assert tavus("guardrail", "get", made["uuid"], "--verbose")["guardrail_type"]


def test_a_guardrail_is_patched_field_by_field(tavus: CommandLine) -> None:
    guardrail_id = tavus(*NEW_GUARDRAIL, "--name", "cli_patched")["uuid"]
    patched = tavus("guardrail", "patch", guardrail_id, "--prompt", "Never quote a rate.", "--tag", "desk")
    assert (patched["guardrail_prompt"], patched["tags"]) == ("Never quote a rate.", ["desk"])
    call = {"name": "note", "arguments": {"what": "price"}}
    file = tavus.file({"tool_call": call, "modality": "visual"})
    assert tavus("guardrail", "patch", guardrail_id, "--file", file)["tool_call"] == call
    assert tavus("guardrail", "patch", guardrail_id, "--tag", "desk") is None


def test_guardrails_are_listed_by_tag_from_page_zero(tavus: CommandLine) -> None:
    """By itself the command line asks for page 1, which is the second one (contract 1.5)."""
    guardrail_id = tavus(*NEW_GUARDRAIL, "--name", "cli_tagged", "--tag", "cli tag")["uuid"]
    page = tavus("guardrail", "list", "--json", "--tags", "cli tag", "--page", "0", "--verbose")
    assert [item["uuid"] for item in page["data"]] == [guardrail_id]
    by_itself = tavus("guardrail", "list", "--json", "--tags", "cli tag")
    assert (by_itself["data"], by_itself["total_count"]) == ([], 1)
    assert tavus("guardrail", "tags", "--search", "cli tag")["total_count"] == 1


def test_guardrails_are_deleted(tavus: CommandLine) -> None:
    guardrail_id = tavus(*NEW_GUARDRAIL, "--name", "cli_deleted")["uuid"]
    assert tavus("guardrail", "delete", guardrail_id) is None
    assert "failed with 404" in tavus.refused("guardrail", "get", guardrail_id)


def test_sets_of_guardrails_are_listed_as_legacy_rows(tavus: CommandLine, api: httpx.Client) -> None:
    items = [{"guardrail_name": "cli_of_a_set", "guardrail_prompt": "Never quote a price."}]
    answer = api.post("/v2/guardrails", json={"name": "Desk rules", "data": items})
    assert answer.status_code == 200, answer.text
    page = tavus("guardrail", "list", "--json", "--legacy", "--limit", "100")
    assert answer.json()["guardrails_id"] in [row["guardrails_id"] for row in page["data"]]


# --- Pronunciation dictionaries ---------------------------------------------------------------------------------------

DICTIONARY = "pronunciation-dictionary"


def new_dictionary(tavus: CommandLine) -> dict[str, Any]:
    """A dictionary made from the command line's own example."""
    made: dict[str, Any] = tavus(DICTIONARY, "create", "--file", tavus.file(tavus(DICTIONARY, "example")))
    return made


def test_its_example_of_a_dictionary_makes_one_that_reads_the_same(tavus: CommandLine) -> None:
    made = new_dictionary(tavus)
    assert (made["name"], made["rules_count"]) == ("tavus-defaults", 2)
    assert [rule.get("alphabet") for rule in made["rules"]] == [None, "ipa"]
    assert tavus(DICTIONARY, "get", made["pronunciation_dictionary_id"]) == made


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        pytest.param({"name": "House names"}, ("House names", 2), id="a name"),
        pytest.param(
            {"rules": [{"text": "Wren", "pronunciation": "ren", "type": "alias"}]}, ("tavus-defaults", 1), id="rules"
        ),
    ],
)
def test_a_dictionary_is_patched_field_by_field(tavus: CommandLine, change: Any, seen: tuple[str, int]) -> None:
    id = new_dictionary(tavus)["pronunciation_dictionary_id"]
    patched = tavus(DICTIONARY, "patch", id, "--file", tavus.file(change))
    assert (patched["name"], patched["rules_count"]) == seen
    assert tavus(DICTIONARY, "patch", id, "--file", tavus.file(change)) is None


def test_dictionaries_are_listed_newest_first_and_deleted(tavus: CommandLine, api: httpx.Client) -> None:
    id = new_dictionary(tavus)["pronunciation_dictionary_id"]
    page = tavus(DICTIONARY, "list", "--json")
    assert page["data"][0]["pronunciation_dictionary_id"] == id
    assert "rules" not in page["data"][0]
    layers = {"tts": {"pronunciation_dictionary_id": id}}
    words = ("--system-prompt", "Answer briefly.", "--face-id", STOCK_FACE, "--layers-file", tavus.file(layers))
    pal_id = tavus("pal", "create", *words)["pal_id"]
    assert tavus(DICTIONARY, "delete", id) is None
    assert "failed with 404" in tavus.refused(DICTIONARY, "get", id)
    assert api.get(f"/v2/pals/{pal_id}").json()["layers"]["tts"]["pronunciation_dictionary_id"] is None

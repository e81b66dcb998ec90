"""Pronunciation dictionaries: how a voice says words that it would say wrong (contract 10).

A PAL uses one through `layers.tts.pronunciation_dictionary_id`.
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from palace import verbs
from palace.call import Call, Reply
from palace.resource import Document, Endpoint, Names, Problem, Resource, Services, Stamp, Wording
from palace.validation import Model
from palace.verbs.writing import Outcome

MOST_RULES = 10_000


# --- Models -----------------------------------------------------------------------------------------------------------


class Rule(Model):
    """How one word or phrase is said."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    pronunciation: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    type: Literal["alias", "ipa"]
    """`alias`: words that sound like it; `ipa`: the International Phonetic Alphabet."""
    alphabet: Literal["ipa"] | None = None
    """`ipa`, where the type is; absent elsewhere."""
    case_sensitive: bool = False
    word_boundaries: bool = True

    @model_validator(mode="after")
    def _as_stored(self) -> "Rule":
        """Every member of a rule is stored, except an alphabet where there is none (contract 10)."""
        if self.type == "ipa":
            self.alphabet = "ipa"
        self.__pydantic_fields_set__.update({"case_sensitive", "word_boundaries"})
        if self.alphabet is None:
            self.__pydantic_fields_set__.discard("alphabet")
        return self


class PronunciationDictionary(Model):
    """What a client may write of a dictionary."""

    name: Annotated[str, StringConstraints(max_length=255)] = ""
    rules: list[Rule] = Field(default_factory=list, max_length=MOST_RULES)


# --- Rules ------------------------------------------------------------------------------------------------------------


def rules(dictionary: PronunciationDictionary) -> Iterator[Problem]:
    """A name, and no text twice."""
    if not dictionary.name.strip():
        yield Problem(("name",), "missing", "Invalid request: name is required", form="bare")
    seen: set[str] = set()
    for index, rule in enumerate(dictionary.rules):
        if rule.text in seen:
            text = "Invalid request: duplicate text values in rules"
            yield Problem(("rules", index, "text"), "duplicate", text, form="bare")
        seen.add(rule.text)
        if rule.type == "alias" and rule.alphabet is not None:
            yield Problem(("rules", index, "alphabet"), "not_allowed", "Only for rules of type ipa.")


# --- Handlers ---------------------------------------------------------------------------------------------------------


def created(outcome: Outcome) -> Reply:
    """201 with all of it (contract 10)."""
    return Reply(201, outcome.record.body, outcome.headers)


async def patch(resource: Resource, call: Call, services: Services) -> Reply:
    """`verbs.patch`, to which what only the server writes is no fault: such an operation is left out (contract 10)."""
    return await verbs.patch(resource, call, services, prepare=partial(verbs.without_read_only, resource))


# --- The resource -----------------------------------------------------------------------------------------------------

EXAMPLE: Document = {
    "name": "Names of the house",
    "rules": [
        {"text": "Wren", "pronunciation": "ren", "type": "alias"},
        {"text": "Nguyen", "pronunciation": "ŋwiən", "type": "ipa", "case_sensitive": True},
    ],
}
LIST = verbs.ListStyle(first_page=0, default_sort="desc", tells_page=True, left_out=("rules",))

ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["pronunciation_dictionary_id", "name", "rules_count", "created_at", "updated_at"],
    "properties": {
        "pronunciation_dictionary_id": {"type": "string"},
        "name": {"type": "string"},
        "rules_count": {"type": "integer"},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
    },
}

PRONUNCIATION_DICTIONARY = Resource(
    kind="pronunciation_dictionary",
    names=Names(
        "pronunciation-dictionaries",
        "Pronunciation dictionaries",
        "a pronunciation dictionary",
        "pronunciation_dictionary_id",
        "pd_",
        "pd_abc123def456ab78",
        id_digits=16,
    ),
    wording=Wording(unknown=(404, "Pronunciation dictionary not found")),
    model=PronunciationDictionary,
    example=EXAMPLE,
    stamps=(Stamp("rules_count", {"type": "integer"}, lambda fields, _owner: len(fields["rules"])),),
    rules=rules,
    labels={"name": ("name",)},
    endpoints=(
        Endpoint(
            "POST",
            "",
            "createPronunciationDictionary",
            "Create a pronunciation dictionary",
            "Creates a dictionary of at most 10,000 rules.",
            partial(verbs.create, answer=created),
            answers={201: "The dictionary.", 400: "The document is not a valid dictionary."},
            body="document",
            required=("name",),
        ),
        Endpoint(
            "GET",
            "",
            "listPronunciationDictionaries",
            "List pronunciation dictionaries",
            "Your dictionaries without their rules, newest first; pages are counted from 0.",
            partial(verbs.list_page, style=LIST),
            answers={200: "One page of dictionaries.", 400: "A query parameter is not valid."},
            parameters=verbs.list_parameters(LIST),
            answer_schema=verbs.page_schema(ITEM, LIST),
        ),
        Endpoint(
            "GET",
            "/{id}",
            "getPronunciationDictionary",
            "Get a pronunciation dictionary",
            "The dictionary with all of its rules.",
            verbs.read,
            answers={200: "The dictionary.", 404: "There is no such dictionary, or it is not yours."},
        ),
        Endpoint(
            "PATCH",
            "/{id}",
            "patchPronunciationDictionary",
            "Patch a pronunciation dictionary",
            "Changes name or rules with a JSON Patch (RFC 6902). Operations on members that only the server writes are "
            "left out. PALs that use the dictionary speak by its new rules in their next conversation.",
            patch,
            answers={
                200: "Changed: the whole dictionary.",
                304: "Nothing was changed.",
                400: "The result would not be a valid dictionary.",
                404: "There is no such dictionary, or it is not yours.",
                422: "`Invalid JSON patch format`, or an operation does not fit the document.",
            },
            body="patch",
            examples={
                "another name": [{"op": "replace", "path": "/name", "value": "Names of the street"}],
                "one more rule": [
                    {"op": "add", "path": "/rules/-", "value": {"text": "Li", "pronunciation": "lee", "type": "alias"}}
                ],
            },
        ),
        Endpoint(
            "DELETE",
            "/{id}",
            "deletePronunciationDictionary",
            "Delete a pronunciation dictionary",
            "Deletes the dictionary; PALs that used it use none.",
            verbs.delete,
            answers={204: "Deleted.", 404: "There is no such dictionary, or it is not yours."},
        ),
        verbs.references_endpoint("a pronunciation dictionary", 404),
        *verbs.history_endpoints("a pronunciation dictionary", unknown=404),
    ),
)

"""Who takes part, and by which script: a PAL with all that it refers to, as they are when a conversation begins."""

from collections.abc import AsyncIterator
from typing import Any

import orjson

from palace.conversation.script import Guardrail, Objective, Script, Tool
from palace.masks import load_refs
from palace.resource import Document, Problem, value_at
from palace.resources.conversations.request import MOST_SECONDS, NewConversation
from palace.storage import Listing, Record, Transaction
from palace.talking.given import Given, Pinned
from palace.validation import refuse
from palace.verbs.queries import LARGEST_PAGE_SIZE

STOCK_PAL = "pb87e71797da"
"""Whom a face alone talks as."""
CHAT_LEFT_SECONDS = 300
"""Clients of a chat come and go with each line."""
UNKNOWN_PAL, UNKNOWN_FACE = "Invalid pal_id", "Invalid face_id"
NO_FACE = "Invalid face_id: the PAL has no default face, so the conversation needs one."
INLINE: dict[str, Any] = {"on_call": "passthrough", "on_resolve": "add_to_context"}
"""How tools are treated that are written into the PAL itself: the client carries them out (contract 5.5)."""


def pinned(record: Record) -> Pinned:
    """The document as it is now."""
    return Pinned(record.kind, record.id, record.revision, orjson.loads(record.body), load_refs(record.secrets))


async def cast(new: NewConversation, tx: Transaction, account: int) -> tuple[Given, str | None, dict[str, Any]]:
    """What the conversation is given, its face, and the members of its script that come from other objects.

    Raises InvalidDocument and its kin for a PAL or a face that there is not.
    """
    pal = await tx.get("pal", new.pal_id or STOCK_PAL, account)
    if pal is None:
        raise refuse([Problem(("pal_id",), "unknown_reference", UNKNOWN_PAL, form="bare")])
    document = orjson.loads(pal.body)
    face = new.face_id or document["default_face_id"]
    if face is None and not new.is_chat:
        raise refuse([Problem(("face_id",), "missing", NO_FACE, form="bare")])
    if face is not None and not await tx.exists("face", face, account):
        raise refuse([Problem(("face_id",), "unknown_reference", UNKNOWN_FACE, form="bare")])
    tools, parts = await parts_of(document, tx, account)
    return Given(pinned(pal), tools, new.callback_url, new.is_private), face, parts


async def parts_of(pal: Document, tx: Transaction, account: int) -> tuple[dict[str, Pinned], dict[str, Any]]:
    """The tools of a PAL as they are now, and the members of a script that come from other objects than the PAL."""
    tools = {id: pinned(record) async for id, record in _all(tx, "tool", pal["tool_ids"], account)}
    parts = {
        "tools": (*(_tool(one) for one in tools.values() if _is_for_model(one.document)), *_inline(pal)),
        "objectives": await _objectives(tx, pal["objectives_id"], account),
        "guardrails": tuple([_guardrail(one) async for one in _guardrails(tx, pal, account)]),
    }
    return tools, parts


async def _all(tx: Transaction, kind: str, ids: list[str], account: int) -> AsyncIterator[tuple[str, Record]]:
    """Those of the objects that are there."""
    for id in ids:
        record = await tx.get(kind, id, account)
        if record is not None:
            yield id, record


def script(
    new: NewConversation, given: Given, face: str | None, parts: dict[str, Any], id: str, started_at: float
) -> Script:
    """What the brain goes by."""
    pal, asked = given.pal.document, new.properties
    flow = value_at(pal, ("layers", "conversational_flow")) or {}
    is_dynamic = new.dynamic_greeting if new.dynamic_greeting is not None else pal["dynamic_greeting"]
    greeting = new.custom_greeting or ("" if new.dynamic_greeting else pal["greeting"] or "")
    left = asked.participant_left_timeout
    return Script(
        conversation_id=id,
        pal_id=given.pal.id,
        face_id=face,
        started_at=started_at,
        prompt="\n\n".join(part for part in (pal["system_prompt"], pal["context"]) if part.strip()),
        context=new.conversational_context,
        greeting=greeting,
        is_greeting_dynamic=bool(is_dynamic) and not new.custom_greeting,
        is_chat=new.is_chat,
        is_echo=pal["pipeline_mode"] == "echo",
        language=_language(new, pal),
        idle_engagement=flow.get("idle_engagement", "off"),
        ends_when_idle=flow.get("idle_end_behavior") == "end_conversation",
        max_call_seconds=min(asked.max_call_duration, MOST_SECONDS),
        left_seconds=left if left is not None else CHAT_LEFT_SECONDS if new.is_chat else 0,
        absent_seconds=asked.participant_absent_timeout,
        most_people=new.max_participants - 1 if new.max_participants else 0,
        **parts,
    )


def _language(new: NewConversation, pal: Document) -> str:
    """What the PAL speaks: what the call says, else the PAL; nothing where the model finds out by itself."""
    codes, named = new.properties.languages, new.properties.language or ""
    if codes is None and not named:
        codes = pal["languages"]
    if codes:
        more = f" first; if the person prefers, also {', '.join(codes[1:])}" if codes[1:] else ""
        return f"the language with the ISO code {codes[0]}{more}"
    return "" if named in ("", "multilingual") else named.capitalize()


# --- What the PAL refers to -------------------------------------------------------------------------------------------


def _is_for_model(tool: Document) -> bool:
    """Whether the language model calls it: others are called when the PAL sees or hears, or after the end."""
    return bool(tool["trigger_type"] == "in_call" and tool["origin"] == "llm")


def _tool(one: Pinned) -> Tool:
    said = one.document
    return Tool(
        name=said["name"],
        description=said["description"],
        parameters=said["parameters"],
        tool_id=one.id,
        on_call=said["on_call"] or "passthrough",
        on_resolve=said["on_resolve"] or "fire_and_forget",
        static_filler=said["static_filler"] or "",
        is_api=bool(said["delivery"].get("api")),
    )


def _inline(pal: Document) -> list[Tool]:
    found = value_at(pal, ("layers", "llm", "tools")) or []
    return [
        Tool(
            name=tool["function"]["name"],
            description=tool["function"].get("description") or "",
            parameters=tool["function"].get("parameters") or {},
            **INLINE,
        )
        for tool in found
    ]


async def _objectives(tx: Transaction, id: str | None, account: int) -> tuple[Objective, ...]:
    record = await tx.get("objectives", id, account) if id else None
    if record is None:
        return ()
    return tuple(
        Objective(
            name=one["objective_name"],
            prompt=one["objective_prompt"],
            is_manual=one["confirmation_mode"] == "manual",
            variables=tuple(one["output_variables"]),
            next=one["next_required_objective"],
            next_if=one["next_conditional_objectives"] or {},
            callback_url=one["callback_url"],
        )
        for one in orjson.loads(record.body)["data"]
    )


async def _guardrails(tx: Transaction, pal: Document, account: int) -> AsyncIterator[Document]:
    """Those that the PAL names, those with one of its tags, and those of its older set; each once."""
    ids = list(pal["guardrail_ids"])
    if pal["guardrails_id"]:
        a_set = await tx.get("guardrails", pal["guardrails_id"], account)
        ids += [one["uuid"] for one in orjson.loads(a_set.body)["data"]] if a_set else []
    if pal["guardrail_tags"]:
        listing = Listing(limit=LARGEST_PAGE_SIZE, labels={"tag": pal["guardrail_tags"]})
        found = await tx.links.search("guardrail", account, listing)
        ids += [orjson.loads(body)["uuid"] for body in found.bodies]
    async for _, record in _all(tx, "guardrail", list(dict.fromkeys(ids)), account):
        yield orjson.loads(record.body)


def _guardrail(said: Document) -> Guardrail:
    return Guardrail(
        name=said["guardrail_name"],
        id=said["uuid"],
        prompt=said["guardrail_prompt"],
        callback_url=said["callback_url"],
        is_told=said["app_message"],
    )

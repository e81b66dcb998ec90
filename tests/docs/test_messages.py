"""The page on the messages of conversations names every one that the code knows, and no other."""

import ast
import re
from pathlib import Path

from palace.conversation.heard import IGNORED, PREFIX, READ
from palace.conversation.wire import OLDER, copies

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/conversation_messages.md").read_text()
OUT, IN = PAGE.split("## From clients")
OF_THE_LINE = {f"system.{what}" for what in ("replica_present", "pal_present", "error")}
"""What only a connection is told."""


def named(text: str) -> set[str]:
    """The event types in the first column of a table."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`((?:conversation|system)\.[a-z_.]+)`", row)}


def emitted() -> set[str]:
    """The event types that the brain emits, as they stand in its source, with their copies."""
    found = set()
    for path in (ROOT / "palace/conversation").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "emit":
                found |= types_in(node.args[0])
    roles = [{"event_type": kind, "properties": {"role": role}} for kind in OLDER for role in ("pal", "user")]
    return found | {str(copy["event_type"]) for message in roles for copy in copies(message)}


def types_in(said: ast.expr) -> set[str]:
    if isinstance(said, ast.Constant):
        return {str(said.value)}
    if isinstance(said, ast.JoinedStr):  # system.replica_{what}, of which there is one.
        return {"".join(part.value if isinstance(part, ast.Constant) else "joined" for part in said.values)}
    return set()


def test_every_message_from_the_server_is_on_the_page():
    assert named(OUT) == emitted() | OF_THE_LINE


def test_every_message_from_clients_is_on_the_page():
    assert named(IN) == {PREFIX + name for name in (*READ, *IGNORED)}


def test_the_page_of_a_conversation_knows_what_to_do_with_what_matters():
    """Of the rest it shows nothing: what tells how voices speak, and what comes in another way, too."""
    script = (ROOT / "palace/api/static/chat/chat.js").read_text()
    known = set(re.findall(r'^  "((?:conversation|system)\.[a-z_.]+)"', script, re.MULTILINE))
    unseen = {one for one in emitted() | OF_THE_LINE if one not in known}
    assert all(re.search(r"_speaking$|_joined$|_present$", one) for one in unseen), unseen

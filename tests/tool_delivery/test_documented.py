"""The example of the guide is run against a request that was really sent."""

from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.tool_delivery.tool_server import ToolServer

GUIDE = Path(__file__).parents[2] / "docs/howto/tools.md"


def test_the_example_of_the_guide_verifies_a_signed_call(server: ToolServer) -> None:
    [example] = [token.content for token in MarkdownIt().parse(GUIDE.read_text()) if token.info == "python"]
    names: dict[str, Any] = {}
    exec(example, names)
    server.deliver(server.tool(auth={"type": "hmac", "secret": "the secret"}), {"nights": 3, "city": "Köln"})
    [asked] = server.asked
    signature = asked.headers["x-tavus-signature"]
    assert names["read_call"]("the secret", asked.body, signature) == {
        "name": "room_rate",
        "arguments": {"nights": 3, "city": "Köln"},
        "conversation_id": "c0123456789abcdef",
        "tool_call_id": "call_1",
    }
    for secret, body, other in [
        ("another", asked.body, signature),
        ("the secret", asked.body + b" ", signature),
        ("the secret", asked.body, "0" * 64),
        ("the secret", asked.body, "ü"),
    ]:
        with pytest.raises(PermissionError):
            names["read_call"](secret, body, other)

"""What a conversation was given besides its script: documents as they were, and the secrets behind their masks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from palace.masks import Refs
from palace.resource import Document


class Place(NamedTuple):
    """Which conversation: the number of its document, its id, and whose it is."""

    document: int
    id: str
    owner: int


@dataclass(frozen=True, slots=True)
class Pinned:
    """One document at one revision, and the ids of the secrets behind its masks."""

    kind: str
    id: str
    revision: int
    document: Document
    refs: Refs


@dataclass(frozen=True, slots=True)
class Given:
    """The PAL and its tools, as they were when the conversation began."""

    pal: Pinned
    tools: Mapping[str, Pinned] = field(default_factory=dict)
    callback_url: str = ""
    is_private: bool = False
    """whether a token is needed to come in"""

    def stored(self) -> bytes:
        """All of it as JSON."""
        return orjson.dumps(self)


def given_of(stored: bytes) -> Given:
    """What `stored` made JSON of."""
    said = orjson.loads(stored)
    tools = {id: Pinned(**tool) for id, tool in said["tools"].items()}
    return Given(Pinned(**said["pal"]), tools, said["callback_url"], said.get("is_private", False))

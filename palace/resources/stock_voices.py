"""The voices that a fresh server holds: their ids, names and tags. One id is that of the published examples."""

from palace.resource import Document

DEFAULT_VOICE = "v1f73c4a86a76"

TABLE = (
    (DEFAULT_VOICE, "calm-alto", "english female low calm"),
    ("v2b81d0e57c9", "warm-baritone", "english male low warm"),
    ("v3c94e1f68da", "bright-soprano", "english female high lively"),
    ("v4d05a2b79eb", "steady-tenor", "english male high calm"),
    ("v5e16b3c80fc", "soft-mezzo", "english female medium gentle"),
    ("v6f27c4d91a0", "clear-bass", "english male low formal"),
    ("v7a38d5e02b1", "brisk-alto", "english female low lively"),
    ("v8b49e6f13c2", "gentle-tenor", "english male high gentle"),
    ("v9c50f7a24d3", "lively-soprano", "english female high lively"),
    ("va061a8b35e4", "even-contralto", "multilingual female low formal"),
    ("vb172b9c46f5", "friendly-baritone", "multilingual male low warm"),
    ("vc283c0d57a6", "quiet-mezzo", "multilingual female medium calm"),
)
"""id, name, tags"""

VOICES_OF_FACES = {
    "r4067604db72": "v2b81d0e57c9",
    "r90bbd427f71": DEFAULT_VOICE,
    "rf4e9d9790f0": "v3c94e1f68da",
    "rc9cff32ceba": "v5e16b3c80fc",
}
"""The voice of each stock face."""


def voices() -> list[tuple[str, Document]]:
    """Id and document of every stock voice."""
    faces = {voice: face for face, voice in VOICES_OF_FACES.items()}
    return [
        (id, {"voice_name": name, "face_id": faces.get(id), "tags": [{"tag_name": tag} for tag in tags.split()]})
        for id, name, tags in TABLE
    ]

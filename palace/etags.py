"""Entity tags: one short text for what an object says, to guard writes and to save reads (RFC 9110, section 8.8)."""

from hashlib import blake2b

from palace.errors import BadRequest, Detail

TAG_BYTES = 12
STAMP_CHARACTERS = len(',"updated_at":"2026-10-07T23:44:47.917639Z"}')
"""How every stored document ends; see `content_etag`."""
ANY = "*"


def content_etag(body: bytes, secrets: bytes | None) -> str:
    """The tag of a stored document: a hash of all it says but `updated_at`, and of which secrets it has.

    Changing something and changing it back gives the first tag again, so that nobody is refused for the sake of a time.
    """
    content = blake2b(body[:-STAMP_CHARACTERS], digest_size=TAG_BYTES)
    if secrets:
        content.update(secrets)
    return content.hexdigest()


def quoted(etag: str) -> str:
    """The tag as it stands in a header: strong, in double quotes."""
    return f'"{etag}"'


def tags_in(header: str, name: str) -> tuple[str, ...]:
    """The strong tags of an `If-Match` or `If-None-Match`, without quotes; `*` stands for any. Raises BadRequest.

    A weak tag (`W/"…"`), as a proxy makes it that compressed an answer, counts as strong in `If-None-Match`, and
    matches nothing in `If-Match` (RFC 9110, section 13.1).
    """
    if header.strip() == ANY:
        return (ANY,)
    tags = []
    for part in header.split(","):
        tag = part.strip()
        if tag.startswith("W/"):
            tag = tag[2:] if name == "If-None-Match" else '""'
        if len(tag) < 2 or tag[0] != '"' or tag[-1] != '"':
            problem = f"{name} takes entity tags in double quotes, as the header ETag of an answer shows them, or *."
            raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_etag", problem)])
        tags.append(tag[1:-1])
    return tuple(tags)


def is_matched(tags: tuple[str, ...], etag: str) -> bool:
    """Whether one of the tags is that of the object."""
    return etag in tags or tags == (ANY,)

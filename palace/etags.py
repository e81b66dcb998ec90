"""Entity tags: one short text for what an object says, to guard writes and to save reads (RFC 9110, section 8.8)."""

import re
from hashlib import blake2b

from palace.errors import BadRequest, Detail

TAG_BYTES = 12
STAMP_CHARACTERS = len(',"updated_at":"2026-10-07T23:44:47.917639Z"}')
"""How every stored document ends; see `content_etag`."""
ANY = "*"
ENTITY_TAG = re.compile(r'(W/)?("[!#-~\x80-\xff]*")')
LIST_OF_TAGS = re.compile(rf"[ \t,]*{ENTITY_TAG.pattern}([ \t]*,[ \t,]*{ENTITY_TAG.pattern})*[ \t,]*")


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
    """The tags of an `If-Match` or `If-None-Match` in their quotes, or `*` for any. Raises BadRequest.

    A weak tag (`W/"…"`), as a proxy makes it that compressed an answer, counts as strong in `If-None-Match`, and
    matches nothing in `If-Match` (RFC 9110, section 13.1).
    """
    if header.strip() == ANY:
        return (ANY,)
    if not LIST_OF_TAGS.fullmatch(header):
        problem = f"{name} takes entity tags in double quotes, as the header ETag of an answer shows them, or *."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_etag", problem)])
    return tuple(tag for weak, tag in ENTITY_TAG.findall(header) if not weak or name == "If-None-Match")


def is_matched(tags: tuple[str, ...], etag: str) -> bool:
    """Whether one of the tags is that of the object."""
    return tags == (ANY,) or quoted(etag) in tags

"""Patches of one PAL that the API takes one after the other, as one edit for people."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from palace.client import Preview, Remote, RemoteError, Seen, Terms, Written
from palace.json_patch import apply_patch, compile_patch

FACE = "/default_face_id"
Patch = list[dict[str, Any]]


def preview_patches(remote: Remote, id: str, seen: Seen, patches: Sequence[Patch], terms: Terms) -> list[Preview]:
    """What each patch would change of the PAL as it was seen. Raises RemoteError.

    Conferencing needs a face: where the face changes too, the server cannot be asked about the second patch yet.
    """
    previews: list[Preview] = []
    has_face = any(operation["path"] == FACE for patch in patches for operation in patch)
    for patch in patches:
        if previews and has_face:
            document = apply_patch(seen.document, compile_patch(patch)).document
            touched = [operation["path"] for operation in patch]
            previews.append(Preview(True, document, touched, []))
        else:
            previews.append(remote.preview_patch(id, patch, replace(terms, if_match=seen.etag)))
    return previews


def send_patches(remote: Remote, id: str, etag: str, patches: Sequence[Patch], terms: Terms) -> Written:
    """Send each patch, at least one, guarded with the ETag that the one before it left. Raises RemoteError."""
    results: list[Written] = []
    for patch in patches:
        try:
            results.append(remote.patch(id, patch, replace(terms, if_match=etag)))
        except RemoteError as error:
            raise _half_done(error, results) from error
        etag = results[-1].etag or etag
    last = next((written for written in reversed(results) if written.changed), results[-1])
    notes = [note for written in results for note in written.stored_differently]
    return replace(last, etag=etag, stored_differently=notes)


def _half_done(error: RemoteError, results: list[Written]) -> RemoteError:
    if not any(written.changed for written in results):
        return error
    return error.told(f"{error}\nThe rest was changed before: the API takes conferencing apart from all other members.")

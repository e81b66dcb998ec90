"""Every mistake a client can make, with its status and its body. Anything else is a bug and a 500.

A body carries the same text as `message` and as `error`, because clients of this API read either one (contract 1.4),
and `details`: one entry for each problem, as data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palace.vocabulary import Words

NO_SUCH_OBJECT = (
    "There is no such object, or it is not yours. Lists show the ids there are; most of what was deleted can be "
    "restored."
)


@dataclass(frozen=True, slots=True)
class Detail:
    """One problem: a code for programs, a sentence for people, and the place (in the vocabulary used inside)."""

    code: str
    problem: str
    pointer: str | None = None
    resolved: str | None = None
    operation: int | None = None
    op: str | None = None
    at: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    nearest: tuple[str, ...] = ()
    """places that exist or may exist, one of which may have been meant"""
    fix: tuple[Mapping[str, Any], ...] | None = None
    """operations to send instead of the one to blame; none at all, where that is `()`"""

    def as_json(self, words: Words) -> dict[str, Any]:
        """The entry of `details`, without the members that do not apply."""
        said: dict[str, Any] = {"code": self.code, "problem": words.sentence(self.problem)}
        if self.operation is not None:
            said |= {"operation": self.operation}
        if self.op is not None:
            said |= {"op": self.op}
        if self.at is not None:
            said |= {"at": self.at}
        if self.pointer is not None:
            said |= {"pointer": words.pointer(self.pointer)}
        if self.resolved is not None:
            said |= {"resolved": words.pointer(self.resolved)}
        said |= self.facts
        if self.nearest:
            said |= {"nearest": [words.pointer(pointer) for pointer in self.nearest]}
        if self.fix is not None:
            said |= {"fix": words.patch(self.fix)}
        return said


class ClientError(Exception):
    """The request cannot be carried out, and what it would take is the client's to do."""

    status = 400
    code = "bad_request"

    def __init__(self, text: str, details: Sequence[Detail] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.details = tuple(details) or (Detail(self.code, text),)
        self.headers = dict(headers or {})
        self.corrected_patch: tuple[Mapping[str, Any], ...] | None = None

    def explained(
        self, details: Sequence[Detail], corrected_patch: Sequence[Mapping[str, Any]] | None
    ) -> "ClientError":
        """The same mistake with more to say about it, as another exception."""
        twin = type(self).__new__(type(self), self.text)
        twin.__dict__.update(self.__dict__)
        twin.__cause__ = self.__cause__
        twin.details = tuple(details) or self.details
        twin.corrected_patch = None if corrected_patch is None else tuple(corrected_patch)
        return twin

    def body(self, words: Words, request_id: str) -> dict[str, Any]:
        """The JSON body of the answer."""
        sentence = words.sentence(self.text)
        details = [detail.as_json(words) for detail in self.details]
        said: dict[str, Any] = {"message": sentence, "error": sentence, "details": details}
        if self.corrected_patch is not None:
            said["corrected_patch"] = words.patch(self.corrected_patch)
        return said | {"request_id": request_id}


class InvalidAccessToken(ClientError):
    """401: no key, or one that this server does not know."""

    status = 401
    code = "invalid_access_token"

    def __init__(self, problem: str) -> None:
        super().__init__("Invalid access token", [Detail(self.code, problem)])


class InvalidId(ClientError):
    """400 or, for newer kinds, 404: an id that does not exist or is not yours (contract 1.4)."""

    code = "invalid_id"

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text, [Detail(self.code, NO_SUCH_OBJECT)])
        self.status = status


class ReadOnlyObject(InvalidId):
    """400: a stock object, which everybody reads and nobody changes; clients know the text of InvalidId."""

    code = "stock_object"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.details = (Detail(self.code, "This is a stock object: it can be read, but not changed or deleted."),)


class BadRequest(ClientError):
    """400: something in the request that is neither its JSON nor its document."""


class InvalidDocument(ClientError):
    """400: the document would not be valid. The text is a Python dict of field names, as the API words it."""

    code = "invalid_document"

    def __init__(self, fields: Mapping[Any, Any], details: Sequence[Detail]) -> None:
        super().__init__(f"Bad Request. {fields!r}", details)


class MalformedJson(ClientError):
    """400: the body is not JSON, or JSON that cannot be stored and given back unchanged."""

    code = "malformed_json"


class MalformedPatch(ClientError):
    """422: not a JSON Patch, or one beyond a limit."""

    status = 422
    code = "malformed_patch"

    def __init__(self, details: Sequence[Detail]) -> None:
        super().__init__("Invalid JSON patch format", details)


class PatchDoesNotFit(ClientError):
    """422: an operation does not fit the document; 400 when its parent does not exist (contract 2.5)."""

    def __init__(self, text: str, detail: Detail, status: int) -> None:
        super().__init__(text, [detail])
        self.status = status


class NoSuchRevision(ClientError):
    """404: the history of an object has no revision with this number."""

    status = 404
    code = "no_such_revision"

    def __init__(self, number: int) -> None:
        super().__init__("Revision not found", [Detail(self.code, f"There is no revision {number} of this object.")])


class PreconditionFailed(ClientError):
    """412: the object is not what `If-Match` names (RFC 9110, section 13.1.1). `details` tell what changed since."""

    status = 412
    code = "precondition_failed"

    def __init__(self, details: Sequence[Detail], headers: Mapping[str, str]) -> None:
        text = "The object has changed since you read it. Nothing was changed; read it again."
        super().__init__(text, details, headers)


class PreconditionRequired(ClientError):
    """428: this server takes a change only with `If-Match` (RFC 6585, section 3)."""

    status = 428
    code = "precondition_required"

    def __init__(self) -> None:
        super().__init__("This server changes an object only with the header If-Match: send the ETag that you read.")


class InUse(ClientError):
    """409: an object that others refer to, and that is not to vanish under them. `details` name them."""

    status = 409
    code = "in_use"

    def __init__(self, users: Sequence[Detail]) -> None:
        text = "This is in use: nothing was deleted. Change what uses it, or send ?cascade=true to delete it anyway."
        super().__init__(text, users)


class MovedSince(ClientError):
    """409: a change cannot be taken back, because what it wrote has been written again since."""

    status = 409
    code = "moved_since"


class UnknownSkill(ClientError):
    """404: no skill has this id, or it is not enabled on this server (contract 7)."""

    status = 404
    code = "unknown_skill"

    def __init__(self, ids: Sequence[str], problem: str = "There is no such skill; GET /v2/skills lists them.") -> None:
        details = [Detail(self.code, problem, facts={"skill_id": id}) for id in ids]
        super().__init__(f"Unknown skill '{ids[0]}'", details)


class SkillNotAttached(ClientError):
    """404: a skill that a PAL does not have (contract 7)."""

    status = 404
    code = "skill_not_attached"

    def __init__(self, problem: str) -> None:
        super().__init__("Skill not attached to this PAL", [Detail(self.code, problem)])


class NoSuchDraft(ClientError):
    """404: the object has no open draft, or none with this number."""

    status = 404
    code = "no_draft"

    def __init__(self, problem: str) -> None:
        super().__init__("Draft not found", [Detail(self.code, problem)])


class DraftInTheWay(ClientError):
    """409: another draft is open, and an object has one at a time."""

    status = 409
    code = "draft_open"


class MakerChanges(ClientError):
    """409: a change would go live past a draft (contract 2.6). Clients know the text, and the member `conflict`.

    `draft` tells whose changes these are and from when, `pointers` where, `overlapping` where both write.
    """

    status = 409
    code = "maker_changes"

    def __init__(
        self,
        draft: Mapping[str, Any],
        pointers: Sequence[str],
        overlapping: Sequence[str],
        details: Sequence[Detail] = (),
    ) -> None:
        found = details or [Detail(self.code, "Changed in the draft.", pointer) for pointer in pointers]
        super().__init__("This PAL has changes in PAL Maker. Retry with force=true", found)
        self.draft = draft
        self.places = {"pointers": pointers, "overlapping": overlapping}

    def body(self, words: Words, request_id: str) -> dict[str, Any]:
        """The JSON body of the answer."""
        places = {name: [words.pointer(pointer) for pointer in pointers] for name, pointers in self.places.items()}
        draft = {**self.draft, **places}
        return {**super().body(words, request_id), "conflict": self.code, "draft": draft}


class NoSuchGate(ClientError):
    """404: no suite has to be green before this PAL is published."""

    status = 404
    code = "no_rehearsal_gate"

    def __init__(self) -> None:
        super().__init__("This PAL has no rehearsal gate")


class RehearsalMissing(ClientError):
    """409: what is to go live has not passed the rehearsals that the PAL's gate demands. Nothing was changed."""

    status = 409
    code = "rehearsal_missing"

    def __init__(self, details: Sequence[Detail]) -> None:
        super().__init__(f"This PAL has a rehearsal gate. {details[0].problem}", details)


class KeyReused(ClientError):
    """422: an idempotency key that stands for another request."""

    status = 422
    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key was used for another request. Use a new key for every new request.")


class KeyInUse(ClientError):
    """409: the first request with this idempotency key is still being carried out."""

    status = 409
    code = "idempotency_key_in_use"

    def __init__(self) -> None:
        text = "The first request with this Idempotency-Key is still being carried out. Ask again in a moment."
        super().__init__(text, headers={"retry-after": "1"})


class NoSuchRoute(ClientError):
    """404: no operation has this path."""

    status = 404
    code = "no_such_route"


class NoSuchFile(ClientError):
    """404: no file has this name, or what it belongs to is deleted."""

    status = 404
    code = "no_such_file"

    def __init__(self) -> None:
        super().__init__("File not found")


class MethodNotAllowed(ClientError):
    """405: the path exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class BodyTooLarge(ClientError):
    """413: the body is larger than the server reads."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaType(ClientError):
    """415: a media type that this operation does not read."""

    status = 415
    code = "unsupported_media_type"


class ServerError(ClientError):
    """500: a bug of ours. The text tells nothing but where to look in the log."""

    status = 500
    code = "internal_error"


class StoreUnavailable(ClientError):
    """503: the database could not be read, or not take the write (disk full, for instance). Nothing was changed."""

    status = 503
    code = "store_unavailable"

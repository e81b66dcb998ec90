"""What a client sends to begin a conversation, in either vocabulary (contract 2.2)."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from palace.resource import Problem
from palace.resources.members import CallbackUrl
from palace.validation import Model

LONGEST_TEXT = 100_000
MOST_SECONDS = 3600
CODES = (
    "ar bg bn cs da de el en es fi fr gu he hi hr hu id it ja ka kn ko ml mr ms nl no pa pl pt ro ru sk sv ta te th tl "
    "tr uk vi zh"
)
LANGUAGES = CODES.split(" ")
NOBODY = "Invalid pal_id: send pal_id, face_id, or both."

Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Seconds = Annotated[int, Field(ge=0, le=86_400)]


class Properties(Model):
    """How the call is held."""

    max_call_duration: Annotated[int, Field(ge=1)] = MOST_SECONDS
    """Seconds; more than 3600 count as 3600."""
    participant_left_timeout: Seconds | None = None
    """Seconds after the last person has left: 0 unless told otherwise, in a chat 300."""
    participant_absent_timeout: Annotated[int, Field(ge=1, le=86_400)] = 300
    """Seconds from the creation, while nobody has come; the lifetime of `meeting_token`, too."""
    enable_recording: bool = False
    enable_closed_captions: bool = False
    apply_greenscreen: bool = False
    require_auth: bool = False
    language: str | None = None
    """Deprecated: an English name such as `spanish`, or `multilingual`."""
    languages: list[str] | None = None
    """ISO codes; the conversation opens in the first one."""
    recording_storage: dict[str, Any] | None = None
    recording_s3_bucket_name: str | None = None
    recording_s3_bucket_region: str | None = None
    aws_assume_role_arn: str | None = None
    livekit_ws_url: str | None = None
    livekit_room_token: str | None = None


class NewConversation(Model):
    """A conversation to be begun: with a PAL, with a face, or both."""

    pal_id: str | None = None
    face_id: str | None = None
    """In place of the PAL's own face."""
    conversation_name: Annotated[str, StringConstraints(max_length=255)] | None = None
    conversational_context: Text = ""
    """Appended to what the PAL knows."""
    custom_greeting: Text = ""
    """What the PAL says first, word for word."""
    dynamic_greeting: bool | None = None
    """Whether the language model writes the greeting."""
    callback_url: CallbackUrl = ""
    audio_only: bool = False
    chat: bool = False
    """Text only."""
    modality: Literal["text", "audio", "video"] | None = None
    meeting_url: str | None = None
    participant_tags: list[str] = Field(default_factory=list)
    memory_stores: list[str] = Field(default_factory=list)
    document_ids: list[str] = Field(default_factory=list)
    document_tags: list[str] = Field(default_factory=list)
    document_retrieval_strategy: Literal["speed", "quality", "balanced"] = "balanced"
    test_mode: bool = False
    """Everything is checked, and nobody joins: the conversation has ended when it begins."""
    require_auth: bool = False
    """Only who has the `meeting_token` may come in."""
    max_participants: Annotated[int, Field(ge=2)] | None = None
    """The PAL counts as one."""
    policy: Literal["eu"] | None = None
    properties: Properties = Field(default_factory=Properties)

    @property
    def is_private(self) -> bool:
        """Whether a token is needed to come in: said at either place (contract 22, A5)."""
        return self.require_auth or self.properties.require_auth

    @property
    def is_chat(self) -> bool:
        """Whether it is held in writing."""
        return self.chat or self.modality == "text"


def rules(new: NewConversation) -> Iterator[Problem]:
    """Somebody to talk to, and members that fit together."""
    if not new.pal_id and not new.face_id:
        yield Problem(("pal_id",), "missing", NOBODY, form="bare")
    for index, language in enumerate(new.properties.languages or ()):
        if language not in LANGUAGES:
            place, text = ("properties", "languages", index), f"Must be one of: {', '.join(LANGUAGES)}."
            yield Problem(place, "not_allowed", text, facts={"allowed": LANGUAGES})
    if bool(new.properties.livekit_ws_url) != bool(new.properties.livekit_room_token):
        missing = "livekit_room_token" if new.properties.livekit_ws_url else "livekit_ws_url"
        yield Problem(("properties", missing), "missing", "livekit_ws_url and livekit_room_token go together.")
    if len(new.participant_tags) > 1:
        yield Problem(("participant_tags",), "too_long", "Longer than maximum length 1.", facts={"maximum": 1})


def schema() -> dict[str, Any]:
    """The JSON Schema of `NewConversation`, with nothing to look up elsewhere."""
    whole = NewConversation.model_json_schema()
    properties = whole.pop("$defs")["Properties"]
    whole["properties"]["properties"] = {**properties, "title": "conversationProperties"}
    return whole

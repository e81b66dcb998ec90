"""What a guardrail is, alone and as an item of an older set (contract 9)."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from palace.resources.members import CallbackUrl, Modality, PlainName
from palace.validation import Model

MOST_ITEMS = 50

Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_ -]+$")]


class Guardrail(Model):
    """What a client may write of a guardrail."""

    guardrail_name: PlainName
    guardrail_prompt: Annotated[str, StringConstraints(max_length=1000)]
    """What the PAL must or must not do."""
    modality: Modality = "verbal"
    callback_url: CallbackUrl = ""
    tags: list[Tag] = Field(default_factory=list, max_length=32)
    """Lists find it by these, and PALs have all guardrails with one of their `guardrail_tags`."""
    app_message: bool = True
    """Whether an application in the conversation is told when it is broken."""
    tool_call: dict[str, Any] | None = None
    """What is called when it is broken; absent where that is nothing."""

    @model_validator(mode="after")
    def _as_stored(self) -> "Guardrail":
        """Every member is stored, except a call of nothing (contract 9)."""
        self.tool_call = self.tool_call or None
        self.__pydantic_fields_set__.update(type(self).model_fields)
        if self.tool_call is None:
            self.__pydantic_fields_set__.discard("tool_call")
        return self


class GuardrailItem(Guardrail):
    """A guardrail in a set."""

    uuid: str | None = Field(default=None, json_schema_extra={"readOnly": True})
    """Its id as a guardrail of its own; without one it gets a new one."""


class GuardrailSet(Model):
    """What a client may write of a set of guardrails."""

    name: Annotated[str, StringConstraints(max_length=100)] | None = None
    data: list[GuardrailItem] = Field(max_length=MOST_ITEMS)

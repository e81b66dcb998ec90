"""Kinds of members that objectives and guardrails share (contract 8, 9)."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

LONGEST_URL = 2048
URL_OR_NOTHING = r"^(https?://[^\s/?#]+\S*)?$"


def _checked_url(text: str) -> str:
    if not re.fullmatch(URL_OR_NOTHING.strip("^$"), text):
        raise ValueError("Must be an http or https URL, or empty.")
    return text


CallbackUrl = Annotated[
    str,
    StringConstraints(max_length=LONGEST_URL),
    AfterValidator(_checked_url),
    Field(json_schema_extra={"pattern": URL_OR_NOTHING}),
]
"""Where a request goes when it happens; empty for nowhere."""

Modality = Literal["verbal", "visual", "audio"]
"""What is listened to or looked at."""

PlainName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+$", max_length=100)]

"""What clients send, as events: how long a text may be."""

import pytest

from palace.conversation.heard import LONGEST_TEXT, NotUnderstood, heard

TEXTS = [("respond", "text"), ("echo", "text"), ("append_llm_context", "context"), ("overwrite_llm_context", "context")]


@pytest.mark.parametrize(("kind", "member"), TEXTS)
def test_a_text_that_is_too_long_is_refused_and_told(kind: str, member: str) -> None:
    def sent(characters: int) -> object:
        return {"event_type": f"conversation.{kind}", "properties": {member: "x" * characters}}

    assert len(heard(sent(LONGEST_TEXT))) == 1
    with pytest.raises(NotUnderstood) as refused:
        heard(sent(LONGEST_TEXT + 1))
    limit = "may have 100,000 characters; these are 100,001."
    assert str(refused.value) == f"conversation.{kind}: properties.{member} {limit}"

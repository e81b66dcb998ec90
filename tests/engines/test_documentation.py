"""What the pages on models show is what can be read, and does what they say."""

import re
from pathlib import Path

from palace.config_files import resolved
from palace.engines.base import Ask, Means
from palace.engines.openai_compatible import Seconds
from palace.engines.scripted import ScriptedModel
from palace.engines.scripts import MEMBERS, RULE_MEMBERS, read_script
from palace.engines.table import MEMBERS as MEMBERS_OF_ENTRIES
from palace.engines.table import read_table
from palace.yaml_text import load_yaml
from tests.engines.asking import ask, heard

DOCS = Path(__file__).parents[2] / "docs"
MODELS = (DOCS / "howto/language_models.md").read_text()
SCRIPTED = (DOCS / "reference/scripted_model.md").read_text()


def first_yaml(page: str) -> str:
    found = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert found
    return found[1]


def test_the_table_on_the_page_is_one() -> None:
    table = read_table(resolved(load_yaml(first_yaml(MODELS)), {"OPENAI_API_KEY": "sk-1"}))
    assert table.names == {"tavus-gemma-4", "default", "tavus-gpt-oss", "scripted", "local"}
    assert table.meant("tavus-gpt-oss") == "default"
    gemma = table.entry("tavus-gemma-4")
    assert gemma is not None
    assert (gemma.fallback, gemma.endpoint.seconds) == ("default", Seconds(first_token=90))


def test_every_member_and_every_default_of_the_table_is_told() -> None:
    assert all(f"`{name}`" in MODELS for name in MEMBERS_OF_ENTRIES)
    for name, seconds in (("connect", 5), ("first_token", 30), ("silence", 15), ("whole", 120)):
        assert getattr(Seconds(), name) == seconds
        assert f"`{name}` {seconds}" in MODELS


def test_the_script_on_the_page_does_what_it_says() -> None:
    script = read_script(load_yaml(first_yaml(SCRIPTED)) | {"tokens_per_second": 0})
    model = ScriptedModel(script, Means())
    assert heard(model, Ask([])).text == "Good evening, this is the night desk."
    assert heard(model, ask("Hi, my name is Ada.")).text == "Hello Ada."
    answer = heard(model, ask("A room for 3, please."))
    assert (answer.text, answer.wishes[0].arguments) == ("One moment.", '{"beds": "3"}')
    assert all(f"`{name}`" in SCRIPTED or f"{name}:" in SCRIPTED for name in (*MEMBERS, *RULE_MEMBERS))

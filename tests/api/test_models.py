"""Language models on a running server: what the operator's files say, and which models a PAL may name."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.wire import refused
from tests.serving import STOCK_FACE, start_palace


def create(api: httpx.Client, **llm: Any) -> httpx.Response:
    body = {"system_prompt": "Answer briefly.", "default_face_id": STOCK_FACE, "layers": {"llm": llm}}
    return api.post("/v2/pals", json=body)


def test_a_pal_names_a_model_of_the_server(api: httpx.Client) -> None:
    for name in ("scripted", "local", "tavus-gemma-4"):
        assert create(api, model=name).status_code == 200
    [problem] = refused(create(api, model="gpt-4o"), 400)
    assert problem["problem"] == (
        "Must be a hosted model (tavus-…, local, scripted), or come with base_url and api_key."
    )


def test_a_script_in_a_pal_is_checked_when_it_is_written(api: httpx.Client) -> None:
    script = {"rules": [{"when": "room for (\\d+)", "say": "A room for {1}."}]}
    assert create(api, model="scripted", extra_body={"script": script}).status_code == 200
    script = {"rules": [{"when": "room", "say": "A room for {1}."}, {"fail": "oops"}]}
    problems = refused(create(api, model="scripted", extra_body={"script": script}), 400)
    assert [problem["pointer"] for problem in problems] == [
        "/layers/llm/extra_body/script/rules/0/say",
        "/layers/llm/extra_body/script/rules/1/fail",
    ]


def test_a_pal_names_a_model_of_the_operator(tmp_path: Path) -> None:
    table = tmp_path / "models.yaml"
    table.write_text("fast:\n  base_url: http://127.0.0.1:1/v1\n  api_key: ${env:KEY_OF_FAST}\ndefault: fast\n")
    variables = {"PALACE_MODELS": str(table), "KEY_OF_FAST": "sk-fast"}
    with start_palace(tmp_path / "data", **variables) as palace, palace.client() as api:
        assert create(api, model="fast").status_code == 200
        [problem] = refused(create(api, model="slow"), 400)
        assert "(tavus-…, default, fast, local, scripted)" in problem["problem"]


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("PALACE_MODELS", "fast: {base_url: 5}", "models: {} cannot be used: fast: base_url: Must be a text."),
        ("PALACE_MODELS", "a: {base_url: 'http://x/v1', api_key: '${env:NOT_SET}'}", "referred to: NOT_SET."),
        ("PALACE_MODELS", "a: [", "models: {} cannot be used:"),
        ("PALACE_MODELS", None, "models: {} cannot be used: it cannot be read: No such file or directory"),
        ("PALACE_SCRIPTED_MODEL", "rules: [5]", "scripted_model: {} cannot be used: /rules/0: Must be an object"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, variable: str, text: str | None, problem: str
) -> None:
    path = tmp_path / "file.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AssertionError, match="did not start") as caught:
        start_palace(tmp_path / "data", **{variable: str(path)})
    assert problem.format(path) in str(caught.value)
    assert "Traceback" not in str(caught.value)

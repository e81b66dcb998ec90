"""`palace pull`, `plan` and `apply`: PALs as YAML files against a running server."""

import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cli.commands import ok, refused, run, run_process
from tests.serving import KEY, STOCK_FACE, start_palace

NEW = f"""\
# Ours.
pal_name: Files
system_prompt: Answer briefly.
default_face_id: {STOCK_FACE}
"""


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "pals"
    made.mkdir()
    return made


def document(api, pal):
    return api.get(f"/v2/pals/{pal}").json()


def revisions(api, pal):
    return [one["revision"] for one in api.get(f"/v2/pals/{pal}/revisions").json()["data"]]


def declare(folder, pal, text, name="a.yaml"):
    (folder / name).write_text(f"pal_id: {pal}\n{text}")
    return folder / name


def saved_plan(folder):
    return folder / ".palace-plan.json"


# --- Pull -------------------------------------------------------------------------------------------------------------


def test_a_pulled_folder_is_as_it_should_be(palace, new_pal, folder):
    layers = {"llm": {"base_url": "https://llm.example", "api_key": "s3cret"}, "conversational_flow": {}}
    pal = new_pal(pal_name="Night Desk", disclosure_type="off", system_prompt="one\ntwo ${env:NOT}\n", layers=layers)
    assert ok(palace, "pull", folder, pal) == f"night-desk-{pal}.yaml: made.\n"
    text = (folder / f"night-desk-{pal}.yaml").read_text()
    assert text.startswith(f"pal_id: {pal}\npal_name: Night Desk\nsystem_prompt: |\n  one\n  two $${{env:NOT}}\n")
    assert "    api_key: ${env:NIGHT_DESK_LLM_API_KEY}\n" in text
    assert "greeting" not in text
    shown = ok(palace, "plan", folder, "--exit-code", NIGHT_DESK_LLM_API_KEY="s3cret")
    assert shown.startswith(f"night-desk-{pal}.yaml: no changes\n0 to change, 0 to make, 1 as they should be.\n")


def test_all_own_pals_are_pulled_and_files_keep_their_names(tmp_path):
    with start_palace(tmp_path / "data") as own:
        ok(own, "pull", tmp_path / "pals")
        (file,) = (tmp_path / "pals").iterdir()
        file.rename(tmp_path / "pals" / "sample.yml")
        assert ok(own, "pull", tmp_path / "pals") == "sample.yml: up to date.\n"
        assert len(list((tmp_path / "pals").iterdir())) == 1


def test_a_file_of_somebody_else_is_never_written_over(palace, new_pal, folder, tmp_path):
    pal = new_pal(pal_name="Desk")
    (folder / f"desk-{pal}.yaml").write_text("pal_name: Mine\n")
    assert "is there already" in refused(palace, "pull", folder, pal)
    (folder / f"desk-{pal}.yaml").unlink()
    (tmp_path / "elsewhere.yaml").write_text(f"pal_id: {pal}\npal_name: Other\n")
    (tmp_path / "elsewhere.yaml").chmod(0o640)
    (folder / "link.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    ok(palace, "pull", folder, pal)
    assert (tmp_path / "elsewhere.yaml").read_text() == f"pal_id: {pal}\npal_name: Desk\n"
    assert stat.S_IMODE((tmp_path / "elsewhere.yaml").stat().st_mode) == 0o640
    assert (folder / "link.yaml").is_symlink()


def test_a_file_is_brought_up_to_date_only_where_it_declares_something(palace, api, new_pal, folder):
    llm = {"model": "tavus-a", "headers": {"a": "Bearer t"}}
    pal = new_pal(greeting="Hello", languages=["de"], layers={"llm": llm})
    text = "greeting: Hello # Ours.\nlayers:\n  llm: {headers: {a: 'Bearer ${env:T}'}}\n"
    file = declare(folder, pal, text)
    assert ok(palace, "pull", folder, pal) == "a.yaml: up to date.\n"
    assert "# Ours." in file.read_text()
    api.patch(f"/v2/pals/{pal}", json=[{"op": "replace", "path": "/greeting", "value": "Bye"}])
    assert ok(palace, "pull", folder, pal) == "a.yaml: brought up to date.\n"
    assert file.read_text() == (
        f"pal_id: {pal}\ngreeting: Bye\nlayers:\n  llm:\n    headers:\n      a: Bearer ${{env:T}}\n"
    )
    ok(palace, "pull", folder, pal, "--all")
    assert "languages:\n- de\n" in file.read_text()
    assert "a: Bearer ${env:T}\n    model: tavus-a\n" in file.read_text().replace("      a", "a")


# --- Plan and apply ---------------------------------------------------------------------------------------------------


def test_a_plan_shows_what_would_change_and_apply_does_it_once(palace, api, new_pal, folder):
    pal = new_pal(greeting="Hello", layers={"llm": {"model": "tavus-a", "extra_body": {"top_p": 1}}})
    declare(folder, pal, "greeting: off\nlayers: {llm: {extra_body: {temperature: 0.5}}}\n")
    planned = run(palace, "plan", folder, "--exit-code")
    assert planned.returncode == 2
    assert planned.stdout == (
        f"a.yaml: change Night Desk ({pal})\n"
        "  ~ /greeting\n      - Hello\n      + 'off'\n"
        "  + /layers/llm/extra_body/temperature\n      + 0.5\n"
        "  patch:\n"
        '    [{"op":"replace","path":"/greeting","value":"off"},\n'
        '     {"op":"add","path":"/layers/llm/extra_body/temperature","value":0.5}]\n'
        "1 to change, 0 to make, 0 as they should be.\n"
        f"Carry it out with: palace apply {folder}\n"
    )
    assert revisions(api, pal) == [1]
    done = ok(palace, "apply", folder, "--comment", "from git")
    assert done == f"a.yaml: changed Night Desk ({pal}): revision 2.\n"
    after = document(api, pal)
    assert (after["greeting"], after["system_prompt"]) == ("off", "Answer briefly.")
    assert after["layers"]["llm"] == {"model": "tavus-a", "extra_body": {"top_p": 1, "temperature": 0.5}}
    assert "from git" in ok(palace, "pal", "log", pal)
    assert "There is no plan" in refused(palace, "apply", folder)
    assert ok(palace, "plan", folder, "--exit-code").startswith("a.yaml: no changes")
    assert ok(palace, "apply", folder).startswith("Nothing to apply")
    assert revisions(api, pal) == [2, 1]


def test_a_plan_may_be_kept_elsewhere_and_read_by_programs(palace, new_pal, folder, tmp_path):
    declare(folder, new_pal(), "greeting: Hello\n")
    plan = json.loads(ok(palace, "plan", folder, "--out", tmp_path / "plan.json", "--json"))
    assert plan == json.loads((tmp_path / "plan.json").read_text())
    assert plan["entries"][0]["patches"] == [[{"op": "replace", "path": "/greeting", "value": "Hello"}]]
    assert not saved_plan(folder).exists()
    assert "a.yaml: changed" in ok(palace, "apply", folder, "--plan", tmp_path / "plan.json")


def test_null_clears_a_member_and_the_server_decides_what_is_no_change(palace, api, new_pal, folder):
    pal = new_pal(greeting="Hello", layers={"stt": {"hotwords": "a"}, "llm": {"model": "tavus-a"}})
    text = "greeting: null\npipeline_mode: full\ncontext: null\nlayers: {stt: null, tts: {voice_id: ''}}\n"
    declare(folder, pal, text)
    ok(palace, "plan", folder)
    ok(palace, "apply", folder)
    after = document(api, pal)
    assert (after["greeting"], after["context"]) == (None, "")
    assert "stt" not in after["layers"]
    assert ok(palace, "plan", folder, "--exit-code").startswith("a.yaml: no changes")


def test_a_file_without_an_id_makes_a_pal_once_and_gets_its_id(palace, api, folder):
    (folder / "new.yaml").write_text(NEW)
    shown = ok(palace, "plan", folder)
    assert shown.startswith("new.yaml: make Files\n  + /pal_name\n      + Files\n")
    kept = saved_plan(folder).read_text()
    done = ok(palace, "apply", folder)
    pal = re.search(r"made Files \((\w+)\), and wrote its id", done).group(1)
    assert (folder / "new.yaml").read_text() == NEW.replace("# Ours.\n", f"# Ours.\npal_id: {pal}\n")
    assert ok(palace, "plan", folder).startswith("new.yaml: no changes")

    # As if apply had been killed before it could write anything down.
    (folder / "new.yaml").write_text(NEW)
    saved_plan(folder).write_text(kept)
    assert f"({pal})" in ok(palace, "apply", folder)
    assert [one["pal_id"] for one in api.get("/v2/pals?limit=100&sort=desc").json()["data"]].count(pal) == 1


def test_the_same_plan_twice_changes_nothing_the_second_time(palace, api, new_pal, folder):
    pal = new_pal()
    declare(folder, pal, "greeting: Hello\n")
    ok(palace, "plan", folder)
    kept = saved_plan(folder).read_bytes()
    ok(palace, "apply", folder)
    saved_plan(folder).write_bytes(kept)
    assert "nothing changed in" in ok(palace, "apply", folder)
    assert revisions(api, pal) == [2, 1]


def test_conferencing_is_planned_and_applied_apart_from_the_rest(palace, api, new_pal, folder):
    pal = new_pal(pipeline_mode="echo", default_face_id=STOCK_FACE)
    name = f"files.{pal}"
    declare(folder, pal, f"greeting: Hello\nlayers: {{conferencing: {{username: {name}}}}}\n")
    shown = ok(palace, "plan", folder)
    assert shown.count("patch:") == 2
    assert "1 to change" in shown
    ok(palace, "apply", folder)
    assert document(api, pal)["layers"]["conferencing"]["username"] == name
    declare(folder, pal, "layers: {conferencing: null}\ndefault_face_id: null\n")
    ok(palace, "plan", folder)
    ok(palace, "apply", folder)
    assert "conferencing" not in document(api, pal)["layers"]


# --- Nothing stale, nothing half known --------------------------------------------------------------------------------


def test_a_plan_is_refused_when_somebody_changed_the_pal(palace, api, new_pal, folder):
    pal = new_pal()
    declare(folder, pal, "greeting: Hello\n")
    ok(palace, "plan", folder)
    api.patch(f"/v2/pals/{pal}", json=[{"op": "replace", "path": "/system_prompt", "value": "Mine."}])
    said = refused(palace, "apply", folder)
    assert "a.yaml: It has changed since" in said
    assert "/system_prompt (revision 2)" in said
    assert f"palace plan {folder}" in said
    assert document(api, pal)["greeting"] is None


def test_of_two_people_who_apply_at_once_one_is_refused(palace, api, new_pal, tmp_path):
    pal = new_pal()
    folders = [tmp_path / "one", tmp_path / "two"]
    for each in folders:
        each.mkdir()
        declare(each, pal, f"greeting: {each.name}\n")
        ok(palace, "plan", each)
    with ThreadPoolExecutor() as pool:
        codes = list(pool.map(lambda each: run_process(palace, "apply", each).returncode, folders))
    assert sorted(codes) == [0, 1]
    assert document(api, pal)["greeting"] == folders[codes.index(0)].name


def test_the_first_failure_ends_it_and_what_was_done_is_told(palace, api, new_pal, folder):
    pals = {name: new_pal() for name in ("a.yaml", "b.yaml", "c.yaml")}
    for name, pal in pals.items():
        declare(folder, pal, "greeting: Hello\n", name)
    ok(palace, "plan", folder)
    change = [{"op": "replace", "path": "/greeting", "value": "Mine"}]
    api.patch(f"/v2/pals/{pals['b.yaml']}", json=change)
    done = run(palace, "apply", folder)
    assert done.returncode == 1
    assert done.stdout.startswith("a.yaml: changed")
    assert "Applied: a.yaml. Not applied: b.yaml, c.yaml." in done.stderr
    assert [document(api, pal)["greeting"] for pal in pals.values()] == ["Hello", "Mine", None]
    api.patch(f"/v2/pals/{pals['b.yaml']}", json=[{"op": "remove", "path": "/greeting"}])
    assert "c.yaml: changed" in ok(palace, "apply", folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param(lambda folder: (folder / "a.yaml").write_text("pal_name: B\n"), "a.yaml", id="a changed file"),
        pytest.param(lambda folder: (folder / "b.yaml").write_text("pal_name: B\n"), "b.yaml", id="a new file"),
        pytest.param(lambda folder: saved_plan(folder).unlink(), "There is no plan", id="no plan"),
        pytest.param(lambda folder: saved_plan(folder).write_text("{}"), "holds no plan", id="another file"),
    ],
)
def test_a_plan_of_other_files_is_refused(palace, api, new_pal, folder, change, told):
    pal = new_pal()
    declare(folder, pal, "greeting: Hello\n")
    ok(palace, "plan", folder)
    change(folder)
    said = refused(palace, "apply", folder)
    assert told in said
    assert f"palace plan {folder}" in said
    assert revisions(api, pal) == [1]


def test_a_plan_for_another_server_is_refused(palace, new_pal, folder):
    declare(folder, new_pal(), "greeting: Hello\n")
    ok(palace, "plan", folder)
    said = refused(palace, "apply", folder, TAVUS_PUBLIC_API_BASE_URL=palace.url.replace("127.0.0.1", "localhost"))
    assert f"made for {palace.url}" in said


# --- Secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_come_from_the_environment_and_are_in_no_plan(palace, api, new_pal, folder):
    pal = new_pal(layers={"tts": {"api_key": "s3cret-one"}})
    text = "layers:\n  tts: {api_key: '${env:VOICE}'}\n  llm: {headers: {authorization: 'Bearer ${env:TOKEN}'}}\n"
    declare(folder, pal, text)
    secrets = {"VOICE": "s3cret-two", "TOKEN": "s3cret-three"}
    shown = ok(palace, "plan", folder, **secrets)
    assert "  ~ /layers/tts/api_key\n      - '********'\n      + ${env:VOICE}\n" in shown
    assert "Bearer ${env:TOKEN}" in shown
    assert "s3cret" not in shown + saved_plan(folder).read_text()
    assert stat.S_IMODE(saved_plan(folder).stat().st_mode) == 0o600
    assert "VOICE" in refused(palace, "apply", folder, TOKEN="s3cret-three")
    assert revisions(api, pal) == [1]
    assert "s3cret" not in ok(palace, "apply", folder, **secrets)
    assert document(api, pal)["layers"]["llm"]["headers"] == {"authorization": "Bearer s3cret-three"}
    assert ok(palace, "plan", folder, **secrets).startswith("a.yaml: no changes")
    assert "1 to change" in ok(palace, "plan", folder, VOICE="s3cret-four", TOKEN="s3cret-three")


def test_secrets_are_in_no_error_either(palace, new_pal, folder):
    declare(folder, new_pal(), "pipeline_mode: ech\nlayers: {tts: {api_key: '${env:VOICE}'}}\n")
    said = refused(palace, "plan", folder, VOICE="s3cret-voice")
    assert "/pipeline_mode" in said
    assert "s3cret" not in said


def test_every_missing_variable_is_told_before_anything_is_sent(palace, new_pal, folder):
    declare(folder, new_pal(), "greeting: ${env:ONE} ${env:TWO}\n", "a.yaml")
    declare(folder, new_pal(), "greeting: ${env:THREE\n", "b.yaml")
    said = refused(palace, "plan", folder, TAVUS_PUBLIC_API_BASE_URL="http://127.0.0.1:9")
    assert "ONE (a.yaml), TWO (a.yaml), THREE (without its closing brace) (b.yaml)" in said


# --- Files that cannot be used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("pal_name: [", "a.yaml: line 2", id="no YAML"),
        pytest.param("- 1", "a.yaml: a PAL is a mapping", id="no mapping"),
        pytest.param("pal_id: 5", "a.yaml: pal_id must be a text", id="an id that is a number"),
        pytest.param("pal_name: A\npersona_name: B", "a.yaml: ", id="one member under two names"),
        pytest.param("memories: [99999999999999999999]", "cannot be sent as JSON", id="a number without end"),
        pytest.param('greeting: "\\uD800"', "cannot be sent as JSON", id="half a character"),
        pytest.param("pal_id: p0\ngreeting: a", "a.yaml: Invalid pal_id", id="an unknown PAL"),
        pytest.param("pal_id: pb87e71797da\ngreeting: a", "a.yaml: This is a stock PAL", id="a stock PAL"),
        pytest.param("pal_name: A", "a.yaml: The result would not be valid:", id="a new PAL without a face"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(palace, folder, text, told):
    (folder / "a.yaml").write_text(text + "\n")
    said = refused(palace, "plan", folder)
    assert told in said
    assert len(said.splitlines()) <= 4
    assert not saved_plan(folder).exists()


def test_two_files_for_one_pal_are_refused(palace, new_pal, folder):
    pal = new_pal()
    declare(folder, pal, "greeting: a\n")
    declare(folder, pal, "greeting: b\n", "b.yml")
    assert "a.yaml and b.yml both declare" in refused(palace, "plan", folder)
    assert "both declare" in refused(palace, "pull", folder)


def test_a_folder_that_is_none_is_told(palace, tmp_path):
    assert "cannot be read" in refused(palace, "plan", tmp_path / "mistyped")
    (tmp_path / "file").write_text("")
    assert "cannot be used" in refused(palace, "pull", tmp_path / "file")


def test_the_key_is_needed_for_all_three(palace, folder):
    for command in ("pull", "plan", "apply"):
        said = refused(palace, command, folder, TAVUS_API_KEY="")
        assert "TAVUS_API_KEY" in said
        assert KEY not in said

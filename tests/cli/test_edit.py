"""`palace pal edit`, with a real editor: a shell script that does to the file what a person would."""

import re
import stat
import sys
from pathlib import Path

import pytest

from tests.cli.commands import editor, ok, refused, run

SAY = "sed -i 's/^greeting: .*/greeting: {}/' \"$1\""


def document(api, pal):
    return api.get(f"/v2/pals/{pal}").json()


def kept_text(said: str) -> Path:
    return Path(re.search(r"Your text is in (\S+)", said).group(1))


def test_what_was_edited_is_shown_and_sent_after_a_yes(palace, api, new_pal, tmp_path):
    pal = new_pal(greeting="Hello", system_prompt="one\ntwo\n")
    change = "sed -i 's/^  two/  zwei/' \"$1\"; " + SAY.format("off")
    shown = ok(palace, "pal", "edit", pal, "--comment", "Kürzer", stdin="y\n", EDITOR=editor(tmp_path, change))
    assert "~ /system_prompt\n      one\n    - two\n    + zwei\n~ /greeting\n    - Hello\n    + 'off'\n" in shown
    assert shown.endswith("Changed Night Desk (" + pal + "): revision 2.\n")
    assert (document(api, pal)["system_prompt"], document(api, pal)["greeting"]) == ("one\nzwei\n", "off")
    assert "Kürzer" in ok(palace, "pal", "log", pal)


def test_the_file_explains_itself_and_is_private_and_gone_afterwards(palace, new_pal, tmp_path):
    pal = new_pal()
    look = f'cp "$1" "{tmp_path}/seen"; ls -l "$1" > "{tmp_path}/mode"; echo "$1" > "{tmp_path}/name"'
    assert ok(palace, "pal", "edit", pal, EDITOR=editor(tmp_path, look)) == "Nothing changed.\n"
    seen = (tmp_path / "seen").read_text()
    assert seen.startswith(f"# Night Desk ({pal})\n#\n# Change what should be different")
    assert not re.search(r"^(pal_id|is_published|created_at|updated_at):", seen, re.MULTILINE)
    assert (tmp_path / "mode").read_text().startswith(stat.filemode(stat.S_IFREG | 0o600))
    assert not Path((tmp_path / "name").read_text().strip()).exists()


def test_visual_and_an_editor_with_arguments_will_do(palace, api, new_pal, tmp_path):
    pal = new_pal(greeting="Hello")
    command = editor(tmp_path, SAY.format("Bye"))
    ok(palace, "pal", "edit", pal, "--yes", VISUAL=f"sh '{command}'")
    assert document(api, pal)["greeting"] == "Bye"


def test_members_that_mean_the_same_are_no_change(palace, new_pal, tmp_path):
    script = "sed -i '/^memories/d; s/^layers: .*/layers: {llm: null}/' \"$1\""
    assert ok(palace, "pal", "edit", new_pal(), EDITOR=editor(tmp_path, script)) == "Nothing changed.\n"


def test_secrets_stay_and_conferencing_may_be_edited_with_other_members(palace, api, new_pal, tmp_path):
    pal = new_pal(layers={"tts": {"api_key": "s3cret"}, "conferencing": {"username": f"edit-{tmp_path.name[-8:]}"}})
    change = "sed -i 's/^  conferencing:/  conferencing:\\n    whitelabel: true/' \"$1\"; " + SAY.format("Bye")
    ok(palace, "pal", "edit", pal, "--yes", EDITOR=editor(tmp_path, change))
    after = document(api, pal)
    assert after["layers"]["tts"] == {"api_key": "********"}
    assert after["layers"]["conferencing"]["whitelabel"] is True
    assert after["greeting"] == "Bye"


def test_no_sends_nothing_and_keeps_the_text(palace, api, new_pal, tmp_path):
    pal = new_pal(greeting="Hello")
    for answer in ("n\n", "", "what?\n"):
        said = refused(palace, "pal", "edit", pal, stdin=answer, EDITOR=editor(tmp_path, SAY.format("Bye")))
        (tmp_path / "opened").unlink()
        assert "Nothing was sent." in said
        assert "greeting: Bye" in kept_text(said).read_text()
        kept_text(said).unlink()
    assert document(api, pal)["greeting"] == "Hello"


def test_e_opens_the_same_text_again(palace, api, new_pal, tmp_path):
    pal = new_pal(greeting="Hello")
    command = editor(tmp_path, SAY.format("Bye"), "sed -i 's/Bye/Bye!/' \"$1\"")
    ok(palace, "pal", "edit", pal, stdin="e\ny\n", EDITOR=command)
    assert document(api, pal)["greeting"] == "Bye!"


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        pytest.param("sed -i 's/^greeting: .*/greeting: [/' \"$1\"", "line ", id="no YAML"),
        pytest.param(SAY.format("[5]"), "/greeting", id="no valid PAL"),
        pytest.param("printf '\\377' > \"$1\"", "utf-8", id="no text"),
        pytest.param('echo "greeting: twice" >> "$1"', "occurs twice", id="a member twice"),
    ],
)
def test_a_mistake_is_told_and_can_be_mended(palace, api, new_pal, tmp_path, mistake, told):
    pal = new_pal(greeting="Hello")
    command = editor(tmp_path, f'cp "$1" "$1.ok"; {mistake}', 'mv "$1.ok" "$1"; ' + SAY.format("Bye"))
    done = run(palace, "pal", "edit", pal, stdin="y\ny\n", EDITOR=command)
    assert done.returncode == 0, done.stderr
    assert told in done.stderr
    assert document(api, pal)["greeting"] == "Bye"


def test_a_mistake_that_is_not_mended_keeps_the_text(palace, new_pal, tmp_path):
    for stdin, flags in (("n\n", []), ("", []), ("", ["--yes"])):
        mistake = editor(tmp_path, 'echo "greeting: twice" >> "$1"')
        said = refused(palace, "pal", "edit", new_pal(), *flags, stdin=stdin, EDITOR=mistake)
        (tmp_path / "opened").unlink()
        assert "greeting: twice" in kept_text(said).read_text()
        kept_text(said).unlink()


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param("", "set EDITOR", id="none"),
        pytest.param("no-such-editor", "No such file", id="one that does not exist"),
        pytest.param("/", "cannot be started", id="a folder"),
        pytest.param("false", "ended with 1", id="one that fails"),
        pytest.param("vi 'x", "open quote", id="an open quote"),
    ],
)
def test_an_editor_that_does_not_work_is_told(palace, new_pal, command, told):
    said = refused(palace, "pal", "edit", new_pal(), EDITOR=command)
    assert told in said
    assert "Your text" not in said


def test_an_editor_that_fails_after_changes_leaves_the_text(palace, new_pal, tmp_path):
    said = refused(palace, "pal", "edit", new_pal(), EDITOR=editor(tmp_path, SAY.format("Bye") + "; exit 3"))
    assert "ended with 3" in said
    kept_text(said).unlink()


def test_nobody_is_overwritten_who_was_faster(palace, api, new_pal, tmp_path):
    pal = new_pal(greeting="Hello")
    faster = (
        f'curl -s -X PATCH {palace.url}/v2/pals/{pal} -H "x-api-key: a-key-for-tests" '
        "-H 'content-type: application/json' "
        '-d \'[{"op": "replace", "path": "/greeting", "value": "Mine"}]\' > /dev/null; '
    )
    said = refused(palace, "pal", "edit", pal, "--yes", EDITOR=editor(tmp_path, faster + SAY.format("Yours")))
    assert "/greeting (revision 2)" in said
    assert "greeting: Yours" in kept_text(said).read_text()
    kept_text(said).unlink()
    assert document(api, pal)["greeting"] == "Mine"


def test_the_same_change_made_twice_is_no_conflict(palace, new_pal, tmp_path):
    pal = new_pal(greeting="Hello")
    faster = f'"{sys.executable}" -m palace pal patch {pal} --set /greeting=Bye > /dev/null; '
    assert "Nothing changed." in ok(
        palace, "pal", "edit", pal, "--yes", EDITOR=editor(tmp_path, faster + SAY.format("Bye"))
    )

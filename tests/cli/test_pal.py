"""`palace pal`: reading, patching and undoing on a running server, and what people are told when it cannot be."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.cli.commands import ok, refused, run, variables
from tests.quick import Quick

STOCK = "pb87e71797da"


def greeting(api, pal):
    return api.get(f"/v2/pals/{pal}").json()["greeting"]


# --- Reading ----------------------------------------------------------------------------------------------------------


def test_pals_are_listed_as_a_table_or_as_json(palace, new_pal):
    pal = new_pal(pal_name="Porter of a hotel whose name is longer than most terminals are wide, by far " * 2)
    table = ok(palace, "pal", "list")
    assert table.splitlines()[0].split() == ["id", "name", "mode", "changed"]
    assert re.search(rf"^{pal} +Porter of .* by far +full +\d{{4}}-\d\d-\d\d", table, re.MULTILINE)
    assert STOCK not in table
    assert STOCK in ok(palace, "pal", "list", "--all")
    assert pal in [document["pal_id"] for document in json.loads(ok(palace, "pal", "list", "--json"))]


def test_all_pals_are_listed_not_only_the_first_page(palace, api, new_pal):
    made = {new_pal() for _ in range(101)}
    listed = {line.split()[0] for line in ok(palace, "pal", "list").splitlines()}
    assert made <= listed
    for pal in made:
        api.delete(f"/v2/pals/{pal}")


def test_a_pal_is_printed_as_yaml_or_json_also_as_it_was(palace, api, new_pal):
    pal = new_pal(greeting="off", layers={"llm": {"base_url": "https://llm.example", "api_key": "s3cret"}})
    api.patch(f"/v2/pals/{pal}", json=[{"op": "replace", "path": "/greeting", "value": "Hello"}])
    text = ok(palace, "pal", "get", pal)
    assert text.startswith('# Revision 2, ETag "')
    assert "\ngreeting: Hello\n" in text
    assert "    api_key: '********'\n" in text
    assert json.loads(ok(palace, "pal", "get", pal, "--json")) == api.get(f"/v2/pals/{pal}").json()
    assert "\ngreeting: 'off'\n" in ok(palace, "pal", "get", pal, "--revision", "1")


def test_what_a_conversation_would_use_is_a_table_or_json(palace, api, new_pal):
    pal = new_pal(layers={"tts": {"voice_id": "v1f73c4a86a76"}})
    api.patch(f"/v2/pals/{pal}", json=[{"op": "replace", "path": "/greeting", "value": "Hello \x1b[0m"}])
    lines = {line.split()[0]: line.split()[1:] for line in ok(palace, "pal", "effective", pal).splitlines()}
    assert lines["pointer"] == ["value", "source", "revision", "changed"]
    assert lines["/greeting"][:5] == [
        '"Hello',
        '\\u001b[0m"',
        "pal",
        "2",
        api.get(f"/v2/pals/{pal}").json()["updated_at"][:10],
    ]
    assert lines["/layers/stt/stt_engine"] == ['"tavus-auto"', "default"]
    own, voice = json.loads(ok(palace, "pal", "effective", pal, "/layers/tts/voice_id", "--json"))
    assert (own["value"], own["source"], own["revision"]) == ("v1f73c4a86a76", "pal", 1)
    assert (voice["value"], voice["source"]) == ({"name": "calm-alto"}, "voice")
    assert "There is nothing at /layers/ttz." in refused(palace, "pal", "effective", pal, "/layers/ttz")


# --- Patching ---------------------------------------------------------------------------------------------------------


def test_a_patch_comes_from_a_file_or_from_standard_input(palace, api, new_pal, tmp_path):
    pal, file = new_pal(), tmp_path / "patch.json"
    file.write_text('[{"op": "replace", "path": "/greeting", "value": "One"}]')
    assert "revision 2." in ok(palace, "pal", "patch", pal, file)
    ok(palace, "pal", "patch", pal, "-", stdin=file.read_text().replace("One", "Two"))
    assert greeting(api, pal) == "Two"
    ok(palace, "pal", "patch", pal, "-", "--merge", stdin='{"greeting": "Three", "layers": {"stt": {"hotwords": "a"}}}')
    assert greeting(api, pal) == "Three"
    assert ok(palace, "pal", "patch", pal, file, "--set", "/greeting=Three") == "Nothing changed.\n"


def test_flags_set_and_remove_members(palace, api, new_pal):
    pal = new_pal(greeting="Hello", languages=["de", "fr"])
    flags = ["--set=/layers/tts/voice_settings/speed=0.9", "--set=/languages/0=en", "--set=/disclosure_type=off"]
    ok(palace, "pal", "patch", pal, *flags, "--remove", "/greeting", "--comment", "Später: „neu“")
    document = api.get(f"/v2/pals/{pal}").json()
    assert document["layers"]["tts"] == {"voice_settings": {"speed": 0.9}}
    assert (document["languages"], document["disclosure_type"], document["greeting"]) == (["en", "fr"], "off", None)
    assert "Später: „neu“" in ok(palace, "pal", "log", pal)


def test_a_dry_run_shows_what_would_change_and_changes_nothing(palace, api, new_pal):
    pal = new_pal(greeting="Hello")
    shown = ok(palace, "pal", "patch", pal, "--set", "/greeting=Bye", "--set", "/layers/llm/model=tavus-x", "--dry-run")
    assert shown == "~ /greeting\n    - Hello\n    + Bye\n+ /layers/llm\n    + model: tavus-x\n"
    assert ok(palace, "pal", "patch", pal, "--set", "/greeting=Hello", "--dry-run") == "Nothing would change.\n"
    preview = json.loads(ok(palace, "pal", "patch", pal, "--set", "/greeting=Bye", "--dry-run", "--json"))
    assert preview["changed"] is True
    assert preview["document"]["greeting"] == "Bye"
    assert greeting(api, pal) == "Hello"


def test_long_texts_are_compared_line_by_line(palace, new_pal):
    pal = new_pal(system_prompt="one\ntwo\nthree\nfour\nfive\n")
    shown = ok(palace, "pal", "patch", pal, "--set", '/system_prompt="one\\ntwo\\nthree\\nvier\\nfive\\n"', "--dry-run")
    assert shown == "~ /system_prompt\n      …\n      three\n    - four\n    + vier\n      five\n"


def test_a_mistake_is_told_with_what_was_meant_and_a_patch_that_works(palace, new_pal):
    pal = new_pal()
    said = refused(palace, "pal", "patch", pal, "--set", "/layers/llm/modle=tavus-x")
    assert "Did you mean /layers/llm/model?" in said
    patch = said.partition("This patch would be accepted:\n")[2]
    assert "Patched" in ok(palace, "pal", "patch", pal, "-", stdin=patch)


def test_a_guarded_patch_is_refused_with_what_changed_and_when(palace, api, new_pal):
    pal = new_pal()
    etag = api.get(f"/v2/pals/{pal}").headers["etag"]
    ok(palace, "pal", "patch", pal, "--set", "/greeting=Mine", "--if-match", etag.strip('"'))
    told = refused(palace, "pal", "patch", pal, "--set", "/greeting=Yours", "--if-match", etag)
    assert "/greeting (revision 2)" in told
    assert greeting(api, pal) == "Mine"


@pytest.mark.parametrize(
    ("arguments", "stdin", "told"),
    [
        pytest.param([], "", "nothing to send", id="nothing"),
        pytest.param(["missing.json"], "", "missing.json cannot be read: No such file", id="no such file"),
        pytest.param(["-"], "[{]", "standard input: The body is not JSON", id="no JSON"),
        pytest.param(["-"], "{}", "add --merge", id="a merge patch without its flag"),
        pytest.param(["-", "--merge"], "[]", "leave out --merge", id="a JSON Patch with the other flag"),
        pytest.param(["-", "--merge", "--set", "/a=1"], "{}", "do not go with --merge", id="flags and a merge patch"),
        pytest.param(["--set", "greeting=Hello"], "", "POINTER=VALUE", id="no pointer"),
        pytest.param(["--set", "/greeting"], "", "POINTER=VALUE", id="no value"),
        pytest.param(["--set", "/a~5=1"], "", "'~'", id="a pointer with a bad escape"),
        pytest.param(["--set", "/greeting/a=1"], "", "", id="a pointer through a text"),
        pytest.param(["--set", "/greeting=5"], "", "/greeting: Not a valid string", id="a value that does not fit"),
        pytest.param(["-"], '[{"op": "replace", "path": "/layers/lmm", "value": 1}]', "/layers/lmm", id="a typo"),
        pytest.param(["-"], '[{"op": "add", "path": "/greeting", "value": "\\ud800"}]', "surrogate", id="half a sign"),
        pytest.param(["--set", "/greeting=a", "--force", "--rebase"], "", "one of them", id="two wishes at once"),
    ],
)
def test_a_patch_that_cannot_be_is_told_in_a_few_lines(palace, new_pal, arguments, stdin, told):
    said = refused(palace, "pal", "patch", new_pal(greeting="Hello"), *arguments, stdin=stdin)
    assert told in said
    assert len(said.splitlines()) <= 6


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        pytest.param(["pal", "list"], {"TAVUS_API_KEY": ""}, "set TAVUS_API_KEY", id="no key"),
        pytest.param(["pal", "list"], {"TAVUS_API_KEY": "not-a-key"}, "does not know this API key", id="a wrong key"),
        pytest.param(["pal", "list"], {"TAVUS_API_KEY": "schlüssel"}, "no key has", id="a key that cannot be sent"),
        pytest.param(
            ["pal", "list"],
            {"TAVUS_PUBLIC_API_BASE_URL": "http://127.0.0.1:9"},
            "Is the server running",
            id="no server",
        ),
        pytest.param(["pal", "list"], {"TAVUS_PUBLIC_API_BASE_URL": "localhost"}, "http://127.0.0.1:8790", id="no URL"),
        pytest.param(
            ["pal", "list", "--url", "http://a:99999"], {}, "must be like http", id="a port that does not exist"
        ),
        pytest.param(["pal", "list", "--url", "http://[::1"], {}, "must be like http", id="half an address"),
        pytest.param(["pal", "get", "p0"], {}, "`palace pal list`", id="an unknown id"),
        pytest.param(["pal", "get", "../faces"], {}, "palace pal list", id="an id with a slash"),
        pytest.param(["pal", "get", STOCK, "--revision", "99"], {}, "no revision 99", id="an unknown revision"),
        pytest.param(["pal", "patch", STOCK, "--set", "/greeting=a"], {}, "stock PAL", id="a stock PAL"),
        pytest.param(["pal", "get", STOCK, "--yaml", "--json"], {}, "not both", id="two formats"),
    ],
)
def test_what_does_not_work_is_told_in_a_few_lines(palace, arguments, environment, told):
    said = refused(palace, *arguments, **environment)
    assert told in said
    assert len(said.splitlines()) <= 3


def test_a_url_of_the_api_itself_will_do(palace):
    assert ok(palace, "pal", "list", "--url", f"{palace.url}/v2/") == ok(palace, "pal", "list")


def test_a_server_that_is_no_palace_is_told(palace):
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        said = refused(palace, "pal", "list", "--url", f"http://127.0.0.1:{other.server_port}")
        other.shutdown()
    assert "does not answer like a Palace" in said


# --- History ----------------------------------------------------------------------------------------------------------


def test_the_log_and_the_diff_tell_what_changed(palace, new_pal):
    pal = new_pal(greeting="One")
    for value in ("Two", "Three"):
        ok(palace, "pal", "patch", pal, "--set", f"/greeting={value}", "--comment", f"say {value}")
    lines = ok(palace, "pal", "log", pal).splitlines()
    assert lines[0].split() == ["number", "when", "who", "action", "comment", "touched"]
    assert re.search(r"^3 +\d{4}-.* patch +say Three +/greeting", lines[1])
    assert len(ok(palace, "pal", "log", pal, "-n", "2").splitlines()) == 3
    assert [one["revision"] for one in json.loads(ok(palace, "pal", "log", pal, "--json"))] == [3, 2, 1]
    assert ok(palace, "pal", "diff", pal) == f"{pal}: revision 2 → 3\n~ /greeting\n    - Two\n    + Three\n"
    assert "    - One\n    + Three\n" in ok(palace, "pal", "diff", pal, "1")
    assert "    - One\n    + Two\n" in ok(palace, "pal", "diff", pal, "1", "2")
    assert "Nothing changed." in ok(palace, "pal", "diff", pal, "2", "2")
    assert json.loads(ok(palace, "pal", "diff", pal, "--json"))["patch"]


def test_another_secret_is_told_and_never_shown(palace, new_pal):
    pal = new_pal(layers={"tts": {"api_key": "first-secret"}})
    shown = ok(palace, "pal", "patch", pal, "--set", "/layers/tts/api_key=second-secret", "--dry-run")
    assert shown == "~ /layers/tts/api_key\n    - '********'\n    + (another secret)\n"
    ok(palace, "pal", "patch", pal, "--set", "/layers/tts/api_key=second-secret")
    assert "/layers/tts/api_key\n    - '********'\n    + (another secret)\n" in ok(palace, "pal", "diff", pal)


def test_a_rollback_is_shown_first_and_needs_a_yes(palace, api, new_pal):
    pal = new_pal(greeting="One")
    ok(palace, "pal", "patch", pal, "--set", "/greeting=Two")
    shown = ok(palace, "pal", "rollback", pal, "1", "--dry-run")
    assert shown == "~ /greeting\n    - Two\n    + One\n"
    assert "Nothing was changed." in refused(palace, "pal", "rollback", pal, "1", stdin="n\n")
    assert "Nothing was changed." in refused(palace, "pal", "rollback", pal, "1")
    assert greeting(api, pal) == "Two"
    assert "revision 3." in ok(palace, "pal", "rollback", pal, "1", "--comment", "back", stdin="y\n")
    assert ok(palace, "pal", "rollback", pal, "1", "--yes") == "Nothing changed.\n"
    assert greeting(api, pal) == "One"
    assert "rollback (to 1)" in ok(palace, "pal", "log", pal)


def test_one_change_is_taken_back_unless_it_was_changed_again(palace, api, new_pal):
    pal = new_pal(greeting="One")
    for flag in ("/greeting=Two", "/pal_name=Other"):
        ok(palace, "pal", "patch", pal, "--set", flag)
    ok(palace, "pal", "revert", pal, "2", "--yes")
    assert (greeting(api, pal), api.get(f"/v2/pals/{pal}").json()["pal_name"]) == ("One", "Other")
    ok(palace, "pal", "patch", pal, "--set", "/greeting=Three")
    assert "/greeting" in refused(palace, "pal", "revert", pal, "4", "--yes")


def test_a_deleted_pal_is_restored(palace, api, new_pal):
    pal = new_pal(greeting="One")
    assert "not deleted" in refused(palace, "pal", "restore", pal)
    api.delete(f"/v2/pals/{pal}")
    assert ok(palace, "pal", "restore", pal).startswith("Restored Night Desk")
    assert greeting(api, pal) == "One"


# --- Terminals --------------------------------------------------------------------------------------------------------


def on_a_terminal(server, *arguments):
    """What the command writes when standard output is a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "palace", *arguments]
    process = Quick(
        command, env=variables(server, TERM="xterm-256color", COLUMNS="80"), stdout=theirs, stderr=subprocess.PIPE
    )
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # The end of a terminal that nobody has open any more.
        pass
    os.close(ours)
    process.communicate(timeout=60)
    return written.decode()


def test_what_would_steer_a_terminal_is_not_printed(palace, new_pal):
    pal = new_pal(pal_name="A\x1b[31mB")
    ok(palace, "pal", "patch", pal, "--set", '/system_prompt="one\\u001b[2J\\ntwo"')
    for command in ("get", "diff"):
        assert "\x1b" not in ok(palace, "pal", command, pal)
    assert "A\N{REPLACEMENT CHARACTER}[31mB" in ok(palace, "pal", "list")


def test_changes_have_colours_on_a_terminal_and_nowhere_else(palace, new_pal):
    pal = new_pal(greeting="One")
    ok(palace, "pal", "patch", pal, "--set", "/greeting=Two")
    shown = on_a_terminal(palace, "pal", "diff", pal)
    assert re.search(r"\x1b\[31m +- One", shown)
    assert re.search(r"\x1b\[32m +\+ Two", shown)
    assert "\x1b" not in ok(palace, "pal", "diff", pal)


@pytest.mark.parametrize("command", [[], ["pal"], ["pal", "edit"], ["pal", "patch"], ["pull"], ["plan"], ["apply"]])
def test_help_tells_what_a_command_does_and_never_the_key(palace, command):
    done = run(palace, *command, "--help")
    assert done.returncode == 0
    assert "a-key-for-tests" not in done.stdout

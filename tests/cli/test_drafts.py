"""What the command line says and does when PAL Maker has a draft of a PAL."""

import pytest

from tests.cli.commands import editor, ok, refused


@pytest.fixture
def drafted(api, new_pal):
    """A PAL whose draft changes the greeting."""
    pal = new_pal(greeting="Live")
    change = [{"op": "replace", "path": "/greeting", "value": "Draft"}]
    assert api.patch(f"/v2/pals/{pal}/draft", json=change).status_code == 200
    return pal


def has_draft(api, pal):
    return api.get(f"/v2/pals/{pal}/draft").status_code == 200


def test_a_draft_in_the_way_is_told_with_both_ways_out(palace, api, drafted):
    said = refused(palace, "pal", "patch", drafted, "--set", "/pal_name=Other")
    assert "a draft in PAL Maker" in said
    assert "/greeting" in said
    assert "--rebase keeps the draft" in said
    assert "--force discards it" in said
    assert api.get(f"/v2/pals/{drafted}").json()["pal_name"] == "Night Desk"


def test_a_draft_is_carried_over_or_discarded(palace, api, drafted):
    assert "also: draft" in ok(palace, "pal", "patch", drafted, "--set", "/pal_name=Other", "--rebase", "--dry-run")
    ok(palace, "pal", "patch", drafted, "--set", "/pal_name=Other", "--rebase")
    assert has_draft(api, drafted)
    said = refused(palace, "pal", "patch", drafted, "--set", "/greeting=Mine", "--rebase")
    assert "Both change /greeting. --force" in said
    done = ok(palace, "pal", "patch", drafted, "--set", "/greeting=Mine", "--force")
    assert "The draft of PAL Maker was discarded." in done
    assert not has_draft(api, drafted)


def test_an_edit_meets_a_draft_like_a_patch(palace, api, drafted, tmp_path):
    change = editor(tmp_path, *["sed -i 's/^pal_name: .*/pal_name: Other/' \"$1\""] * 2)
    assert "--rebase" in refused(palace, "pal", "edit", drafted, "--yes", EDITOR=change)
    ok(palace, "pal", "edit", drafted, "--yes", "--rebase", EDITOR=change)
    assert has_draft(api, drafted)
    assert api.get(f"/v2/pals/{drafted}").json()["pal_name"] == "Other"


def test_a_rollback_meets_a_draft_like_a_patch(palace, api, drafted):
    ok(palace, "pal", "patch", drafted, "--set", "/pal_name=Other", "--rebase")
    assert "--force" in refused(palace, "pal", "rollback", drafted, "1", "--yes")
    ok(palace, "pal", "rollback", drafted, "1", "--yes", "--force")
    assert not has_draft(api, drafted)


def test_a_plan_says_what_happens_to_a_draft_and_apply_does_that(palace, api, drafted, tmp_path):
    (tmp_path / "a.yaml").write_text(f"pal_id: {drafted}\npal_name: Other\n")
    assert "a.yaml: This PAL has a draft" in refused(palace, "plan", tmp_path)
    assert "also: draft" in ok(palace, "plan", tmp_path, "--rebase")
    ok(palace, "apply", tmp_path)
    assert has_draft(api, drafted)
    assert api.get(f"/v2/pals/{drafted}").json()["pal_name"] == "Other"

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.ids import Ids
from palace.keys import digest, hint, is_well_formed, new_key, problem_with_own_key
from palace.vault import Vault, VaultError, load_master_keys, parse_master_keys, write_master_keys

IDS = Ids()


def test_a_new_key_is_well_formed_unique_and_of_43_characters():
    keys = {new_key(IDS) for _ in range(200)}
    assert len(keys) == 200
    assert all(is_well_formed(key) and len(key) == 43 for key in keys)


@given(st.integers(7, 42), st.sampled_from("0aZ~"))
def test_one_wrong_character_is_found_without_a_database(position, character):
    key = new_key(IDS)
    wrong = key[:position] + character + key[position + 1 :]
    assert is_well_formed(wrong) == (wrong == key)
    assert not is_well_formed(key[:-1])


@pytest.mark.parametrize(
    ("key", "is_usable"),
    [
        ("test-key", True),
        ("short", False),
        ("with a space", False),
        ("umlaut-ü-key", False),
        ("palace_mistyped", False),
    ],
)
def test_keys_that_an_operator_brings(key, is_usable):
    assert (problem_with_own_key(key) is None) == is_usable


def test_a_hint_gives_away_four_characters_and_a_digest_none():
    assert hint("palace_secret") == "…cret"
    assert b"palace" not in digest("palace_secret")


def test_a_secret_opens_at_its_own_place_with_its_own_key_only():
    vault, other = Vault([b"k" * 32], IDS), Vault([b"o" * 32], IDS)
    sealed = vault.seal("sk-secret", "pal/p1/layers/llm/api_key")
    assert b"sk-secret" not in sealed
    assert vault.open(sealed, "pal/p1/layers/llm/api_key") == "sk-secret"
    assert vault.seal("sk-secret", "x") != vault.seal("sk-secret", "x")
    for opener, place, text in [
        (other, "pal/p1/layers/llm/api_key", sealed),
        (vault, "pal/p2", sealed),
        (vault, "x", b""),
    ]:
        with pytest.raises(VaultError):
            opener.open(text, place)


def test_several_keys_open_what_either_sealed_and_the_first_one_seals():
    old, new = Vault([b"o" * 32], IDS), Vault([b"n" * 32], IDS)
    both = Vault([b"n" * 32, b"o" * 32], IDS)
    assert both.open(old.seal("sk-secret", "x"), "x") == "sk-secret"
    assert new.open(both.seal("sk-secret", "x"), "x") == "sk-secret"
    assert (both.has_older_keys, new.has_older_keys) == (True, False)


@pytest.mark.parametrize("keys", [[], [b"k" * 31], [b"k" * 32, b""]])
def test_a_vault_wants_whole_keys(keys):
    with pytest.raises(VaultError):
        Vault(keys, IDS)


@pytest.mark.parametrize("between", [",", "\n", ", ", "\r\n\r\n"])
def test_keys_are_read_in_their_order(between):
    assert parse_master_keys("0A" * 32 + between + "0b" * 32 + "\n") == (b"\x0a" * 32, b"\x0b" * 32)


def test_writing_keys_leaves_one_private_file_with_them(tmp_path):
    path = tmp_path / "master.key"
    path.write_text("ab" * 32)
    path.chmod(0o644)
    keys = (b"n" * 32, b"o" * 32)
    write_master_keys(path, keys)
    assert load_master_keys(path, IDS) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["master.key"]


def test_the_master_key_is_made_once_and_readable_by_its_owner_only(tmp_path):
    path = tmp_path / "master.key"
    keys = load_master_keys(path, IDS)
    assert load_master_keys(path, IDS) == keys
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "not hexadecimal", "ab" * 31])
def test_a_broken_master_key_is_refused_and_not_overwritten(tmp_path, content):
    path = tmp_path / "master.key"
    path.write_text(content)
    with pytest.raises(VaultError):
        load_master_keys(path, IDS)
    assert path.read_text() == content

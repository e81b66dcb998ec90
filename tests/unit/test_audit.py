"""The chain of the audit log: whatever is done to its rows without the key is found, and the row is named."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palace.audit import Chain, Check, Deed, Expected, Head, Keyed, Row

CHAIN = Chain(b"k" * 32)
OTHER = Chain(b"o" * 32)
AT = "2026-01-01T00:00:00.000000Z"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
deeds = st.builds(
    Deed, texts, st.integers(0, 9), st.none() | texts, texts, texts, texts, st.none() | st.integers(1, 9), texts
)
some_deeds = st.lists(deeds, min_size=3, max_size=8)


def log_of(deeds: list[Deed], chain: Chain = CHAIN) -> tuple[list[Row], Head]:
    head, rows = chain.start(), []
    for deed in deeds:
        row = Row(head.seq + 1, deed, chain.mac(head.tag, head.seq + 1, deed))
        rows.append(row)
        head = chain.head(row.seq, row.mac)
    return rows, head


def plain_log(length: int) -> tuple[list[Row], Head]:
    return log_of([Deed(AT, 1, "k1", "patch", "pal", f"p{number}", 1, "r-1") for number in range(length)])


def found(rows: list[Row], head: Head | None, expected: Expected | None = None) -> list[tuple[int, str]]:
    check = Check(CHAIN, head, expected)
    findings = [finding for row in rows for finding in check.feed(row)] + check.finish()
    assert all(str(finding.seq) in finding.text or finding.what in ("missing", "head") for finding in findings)
    return [(finding.seq, finding.what) for finding in findings]


# --- The primitive ----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=64), st.binary(max_size=300))
def test_the_mac_is_hmac_sha256(key, text):
    assert Keyed(key).mac(text) == hmac.digest(key, text, "sha256")


def test_a_row_and_a_head_are_in_domains_of_their_own_and_no_row_passes_for_another():
    first, second = Deed(AT, 1, "k", "a", "b", "c"), Deed(AT, 1, "k", "ab", "", "c")
    macs = {CHAIN.mac(b"t", 1, first), CHAIN.mac(b"t", 1, second), CHAIN.mac(b"t", 2, first), CHAIN.mac(b"u", 1, first)}
    assert len(macs | {CHAIN.head(1, b"t").tag, OTHER.mac(b"t", 1, first)}) == 6


# --- One thing done to a whole log ------------------------------------------------------------------------------------


@given(some_deeds)
def test_a_log_that_nobody_touched_has_no_finding(deeds):
    rows, head = log_of(deeds)
    assert found(rows, head) == []


@given(some_deeds, st.data())
def test_any_altered_field_is_found_and_only_its_row_is_named(deeds, data):
    rows, head = log_of(deeds)
    place = data.draw(st.integers(0, len(rows) - 1))
    field = data.draw(st.sampled_from([*Deed._fields, "mac"]))
    seq, deed, mac, _ = rows[place]
    if field == "mac":
        rows[place] = Row(seq, deed, data.draw(st.binary(max_size=40).filter(lambda other: other != mac)))
    else:
        other = data.draw(deeds_but(deed, field))
        rows[place] = Row(seq, deed._replace(**{field: getattr(other, field)}), mac)
    assert found(rows, head) == [(seq, "altered")]


def deeds_but(deed: Deed, field: str) -> st.SearchStrategy[Deed]:
    return deeds.filter(lambda other: getattr(other, field) != getattr(deed, field))


@given(some_deeds, st.data())
def test_any_removed_run_of_rows_is_found_and_its_first_row_named(deeds, data):
    rows, head = log_of(deeds)
    first = data.draw(st.integers(0, len(rows) - 1))
    last = data.draw(st.integers(first, len(rows) - 1))
    del rows[first : last + 1]
    assert found(rows, head) == [(first + 1, "missing")]


@given(some_deeds, st.data())
def test_a_removed_row_is_found_also_when_the_others_close_the_gap(deeds, data):
    rows, head = log_of(deeds)
    gone = data.draw(st.integers(0, len(rows) - 1))
    del rows[gone]
    rows = [Row(number, deed, mac) for number, (_, deed, mac, _chain) in enumerate(rows, 1)]
    findings = found(rows, head)
    assert findings[0] == ((gone + 1, "altered") if gone < len(rows) else (gone + 1, "missing"))


@given(some_deeds, st.data())
def test_two_rows_that_change_places_are_both_named(deeds, data):
    rows, head = log_of(deeds)
    first = data.draw(st.integers(0, len(rows) - 2))
    second = data.draw(st.integers(first + 1, len(rows) - 1))
    one, other = rows[first], rows[second]
    rows[first], rows[second] = Row(one.seq, *other[1:]), Row(other.seq, *one[1:])
    assert {(one.seq, "altered"), (other.seq, "altered")} <= set(found(rows, head))


@given(some_deeds, st.data())
def test_rows_in_another_order_are_named(deeds, data):
    rows, head = log_of(deeds)
    shuffled = data.draw(st.permutations(rows).filter(lambda other: other != rows))
    assert "out_of_order" in {what for _, what in found(shuffled, head)}


@given(some_deeds, deeds, st.binary(min_size=32, max_size=32), st.data())
def test_an_inserted_row_is_named_wherever_it_stands(deeds, deed, mac, data):
    rows, head = log_of(deeds)
    place = data.draw(st.integers(0, len(rows)))
    rows.insert(place, Row(0, deed, mac))
    rows = [Row(number, *row[1:]) for number, row in enumerate(rows, 1)]
    assert found(rows, head)[0] == (place + 1, "inserted" if place == len(deeds) else "altered")


@given(some_deeds, deeds)
def test_a_row_with_a_number_below_one_is_named(deeds, deed):
    rows, head = log_of(deeds)
    assert found([Row(-5, deed, b""), *rows], head) == [(-5, "out_of_order")]


def test_several_changes_are_all_named():
    rows, head = plain_log(9)
    rows[1] = Row(2, rows[1].deed._replace(account=2), rows[1].mac)
    rows[2] = Row(3, rows[2].deed, b"x" * 32)
    rows[7] = Row(8, rows[7].deed._replace(id="p"), rows[7].mac)
    del rows[4]
    assert found(rows, head) == [(2, "altered"), (3, "altered"), (5, "missing"), (8, "altered")]


# --- The end of the log -----------------------------------------------------------------------------------------------


def forged(seq: int, chain: Chain = OTHER) -> Head:
    return chain.head(seq, plain_log(seq)[0][-1].mac)


@pytest.mark.parametrize(
    ("kept", "head", "findings"),
    [
        pytest.param(6, None, [(6, "head")], id="the head is gone"),
        pytest.param(6, Head(6, b""), [(6, "head")], id="the head is empty"),
        pytest.param(4, forged(4), [(4, "head")], id="a head for a shorter log, made without the key"),
        pytest.param(4, Head(4, forged(6, CHAIN).tag), [(4, "head")], id="the old tag with another number"),
        pytest.param(6, Head(4, forged(6, CHAIN).tag), [(5, "head"), (6, "head"), (4, "head")], id="another number"),
        pytest.param(0, None, [(0, "head")], id="nothing at all"),
        pytest.param(0, Head(0, b""), [(0, "head")], id="an empty log, made without the key"),
    ],
)
def test_what_is_done_to_the_end_is_found(kept, head, findings):
    assert found(plain_log(6)[0][:kept], head) == findings


def test_a_shortened_log_is_still_found_when_the_server_has_written_on():
    """The next row is bound to the head that was put there, which is not the one that the row before it makes."""
    rows = plain_log(6)[0][:4]
    for head in (forged(4), Head(4, b"")):
        row = Row(5, rows[0].deed, CHAIN.mac(head.tag, 5, rows[0].deed))
        assert found([*rows, row], CHAIN.head(5, row.mac)) == [(5, "altered")]


@pytest.mark.parametrize(
    ("seq", "is_there", "findings"),
    [
        pytest.param(3, True, [], id="it is still there"),
        pytest.param(3, False, [(3, "not_expected")], id="another row stands there"),
        pytest.param(7, False, [(7, "not_expected")], id="the log is shorter now"),
    ],
)
def test_a_row_that_was_printed_earlier_must_be_there(seq, is_there, findings):
    rows, head = plain_log(5)
    assert found(rows, head, Expected(seq, rows[seq - 1].mac if is_there else b"m" * 32)) == findings


def test_who_has_the_key_can_write_another_log_and_only_the_printed_row_tells():
    rows, _ = plain_log(5)
    others, head = log_of([row.deed._replace(account=7) for row in rows])
    assert found(others, head) == []
    assert found(others, head, Expected(2, rows[1].mac)) == [(2, "not_expected")]

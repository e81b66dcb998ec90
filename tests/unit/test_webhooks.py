"""What callbacks say, how they are signed, and when they are tried again: the parts that touch nothing."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from palace.clock import timestamp
from palace.webhooks import body_of, envelope, face_trained
from palace.webhooks.keyring import MOST_SECRETS, OVERLAP, Keyring
from palace.webhooks.schedule import JITTER, MOST_TRIES, OLDEST, WAITS_SECONDS, Tried, next_try
from palace.webhooks.signing import secret_of, signed_headers

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "https://hooks.example/in?token=of%20theirs&n=1"
A, B = secret_of(bytes(range(32))), secret_of(bytes(range(32, 64)))


# --- Bodies -----------------------------------------------------------------------------------------------------------


def test_the_envelope_is_the_published_one():
    at = timestamp(NOW)
    said = envelope("system.shutdown", "system", {"shutdown_reason": "x"}, conversation_id="c1", url=URL, timestamp=at)
    assert said == {
        "properties": {"shutdown_reason": "x"},
        "conversation_id": "c1",
        "webhook_url": URL,
        "event_type": "system.shutdown",
        "message_type": "system",
        "timestamp": "2026-01-01T00:00:00.000000Z",
    }


@pytest.mark.parametrize(
    ("said", "published"),
    [
        pytest.param(
            face_trained("r1", None), {"replica_id": "r1", "status": "ready", "error_message": None}, id="face"
        ),
        pytest.param(
            face_trained("r1", "No face."),
            {"replica_id": "r1", "status": "error", "error_message": "No face."},
            id="face that failed",
        ),
    ],
)
def test_a_face_has_a_body_of_its_own(said, published):
    assert said == published


# --- Signatures -------------------------------------------------------------------------------------------------------


def signed(*secrets, body=b'{"a":"\xc3\xbc"}', now=None):
    now = now or datetime.now(UTC)
    return body, dict(signed_headers(secrets, "wd1", int(now.timestamp()), body))


def test_the_example_of_the_specification_has_the_signature_that_is_told_there():
    """https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert dict(headers)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_public_library_verifies_what_is_signed():
    body, headers = signed(A)
    assert Webhook(A).verify(body, headers) == {"a": "ü"}
    assert len(b64decode(A.removeprefix("whsec_"))) == 32


def test_while_two_secrets_sign_either_verifies_and_no_other_does():
    body, headers = signed(A, B)
    for secret in (A, B):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(bytes(32))).verify(body, headers)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda body, headers: (body + b" ", headers), id="body"),
        pytest.param(lambda body, headers: (body, headers | {"webhook-id": "wd2"}), id="id"),
        pytest.param(
            lambda body, headers: (body, headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}),
            id="time",
        ),
    ],
)
def test_whatever_is_changed_on_the_way_is_noticed(change):
    with pytest.raises(WebhookVerificationError):
        Webhook(A).verify(*change(*signed(A)))


# --- The secrets of an account ----------------------------------------------------------------------------------------


def test_a_former_secret_signs_for_a_day_and_then_no_more():
    keyring = Keyring(()).with_new("first", NOW)
    assert (keyring.secrets(NOW), keyring.previous_until(NOW)) == (["first"], None)
    keyring = keyring.with_new("second", NOW)
    assert keyring.secrets(NOW) == ["second", "first"]
    assert keyring.previous_until(NOW) == timestamp(NOW + OVERLAP)
    assert keyring.secrets(NOW + OVERLAP - timedelta(seconds=1)) == ["second", "first"]
    assert keyring.secrets(NOW + OVERLAP) == ["second"]
    assert keyring.previous_until(NOW + OVERLAP) is None


def test_each_former_secret_has_a_day_of_its_own_and_there_are_not_too_many():
    keyring = Keyring(()).with_new("0", NOW)
    for hour in range(1, 4):
        keyring = keyring.with_new(str(hour), NOW + timedelta(hours=hour))
    assert keyring.secrets(NOW + timedelta(hours=24)) == ["3", "2", "1", "0"]
    assert keyring.secrets(NOW + timedelta(hours=25)) == ["3", "2", "1"][:3]
    for number in range(10):
        keyring = keyring.with_new(f"more {number}", NOW + timedelta(hours=4))
    assert len(keyring.secrets(NOW + timedelta(hours=4))) == MOST_SECRETS


# --- The schedule -----------------------------------------------------------------------------------------------------


def tried(tries=1, status=500, *, age=timedelta(), **told):
    return Tried(tries, NOW - age, NOW, status, **told)


def test_the_schedule_is_that_of_the_specification():
    assert [timedelta(seconds=one) for one in WAITS_SECONDS] == [
        *(timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)),
        *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
    ]
    for number, seconds in enumerate(WAITS_SECONDS, 1):
        assert next_try(tried(number), 0) == NOW + timedelta(seconds=seconds)
        assert next_try(tried(number), 1) == NOW + timedelta(seconds=seconds * (1 + JITTER))
    assert next_try(tried(MOST_TRIES), 0) is None


@pytest.mark.parametrize("jitter", [0, 1])
def test_all_tries_of_one_that_waits_for_nobody_are_made(jitter):
    now, count = NOW, 0
    while now is not None:
        count += 1
        now = next_try(Tried(count, NOW, now + timedelta(seconds=10), 500), jitter)
    assert count == MOST_TRIES


@pytest.mark.parametrize(
    ("attempt", "wait"),
    [
        pytest.param(tried(status=None), 5, id="no answer"),
        pytest.param(tried(status=302), 5, id="a redirect"),
        pytest.param(tried(status=404), 5, id="not found"),
        pytest.param(tried(0, status=410), 0, id="asked for again meanwhile"),
        pytest.param(tried(status=410), None, id="gone for good"),
        pytest.param(tried(status=None, is_hopeless=True), None, id="an address for nothing"),
        pytest.param(tried(status=429, retry_after="60"), 60, id="asked to wait"),
        pytest.param(tried(status=503, retry_after="Thu, 01 Jan 2026 00:01:00 GMT"), 60, id="asked to wait until then"),
        pytest.param(tried(status=503, retry_after="2"), 5, id="asked to wait less than the schedule"),
        pytest.param(tried(status=503, retry_after="9" * 20), 86400, id="asked to wait for ever"),
        pytest.param(tried(status=503, retry_after="Thu, 01 Jan 1970 00:00:00 GMT"), 5, id="asked to wait until then"),
        pytest.param(tried(status=503, retry_after="Thu, 01 Jan 2026 00:01:00"), 5, id="a date without its zone"),
        pytest.param(tried(status=503, retry_after="Mon, 01 Jan 2024 00:00:00 +99999999999999999"), 5, id="no zone"),
        pytest.param(tried(status=503, retry_after="soon"), 5, id="asked for nothing that is a time"),
        pytest.param(tried(status=500, retry_after="60"), 5, id="a status that has no say"),
        pytest.param(tried(age=OLDEST - timedelta(seconds=5)), 5, id="as old as it may be"),
        pytest.param(tried(age=OLDEST), None, id="waited too long behind others"),
    ],
)
def test_what_follows_a_failure(attempt, wait):
    assert next_try(attempt, 0) == (None if wait is None else NOW + timedelta(seconds=wait))


@pytest.mark.parametrize(
    ("status", "is_delivered"), [(199, False), (200, True), (204, True), (299, True), (300, False)]
)
def test_any_2xx_means_that_it_arrived(status, is_delivered):
    assert tried(status=status).is_delivered == is_delivered


def test_a_body_is_compact_json():
    assert body_of({"a": "ü", "b": [1]}) == '{"a":"ü","b":[1]}'.encode()

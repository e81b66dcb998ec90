from pathlib import Path

import pytest

from palace.settings import InvalidSetting, Settings, load_settings


def test_without_anything_the_defaults_hold_and_only_this_machine_is_served():
    assert load_settings({}) == Settings()
    assert Settings().host == "127.0.0.1"


def test_a_flag_wins_over_the_environment_and_an_empty_variable_counts_as_none():
    environment = {"PALACE_PORT": "1", "PALACE_HOST": "::1", "PALACE_DATA": "", "PORT": "2"}
    settings = load_settings(environment, {"port": 3, "host": None})
    assert (settings.port, settings.host, settings.data) == (3, "::1", Path("palace-data"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PALACE_PORT": "http"}, "PALACE_PORT must be a whole number"),
        ({"PALACE_PORT": "70000"}, "port must be at most 65535"),
        ({"PALACE_DATABASE_CONNECTIONS": "9" * 20}, "database_connections must be at most 10000"),
        ({"PALACE_DATABASE_SECONDS": "9" * 20}, "database_seconds must be at most 1000000"),
        ({"PALACE_RESTORE_DAYS": "1000000"}, "restore_days must be at most 100000"),
        ({"PALACE_RESTORE_DAYS": "-1"}, "restore_days must be at least 0"),
        ({"PALACE_IDEMPOTENCY_HOURS": "9999999999"}, "idempotency_hours must be at most 1000000"),
        ({"PALACE_MAX_DEPTH": "0"}, "max_depth must be at least 1"),
        ({"PALACE_LOG_REQUESTS": "maybe"}, "PALACE_LOG_REQUESTS must be true or false"),
        ({"PALACE_DURABILITY": "none"}, "PALACE_DURABILITY must be one of full, normal"),
        ({"PALACE_API_KEY": "a b"}, "PALACE_API_KEY"),
        ({"PALACE_MASTER_KEY": "abc"}, "PALACE_MASTER_KEY cannot be used"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_the_setting(environment, message):
    with pytest.raises(InvalidSetting, match=message):
        load_settings(environment)


@pytest.mark.parametrize("name", ["PALACE_API_KEY", "PALACE_MASTER_KEY"])
def test_a_refused_key_is_not_repeated_in_the_message(name):
    with pytest.raises(InvalidSetting) as refused:
        load_settings({name: "hush hush"})
    assert "hush" not in str(refused.value)

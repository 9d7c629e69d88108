"""Settings: wrong ones are refused with the variable's name, secrets are never shown."""

import pytest

from deploy.local.state import child_environment
from deploy.pip_settings import for_downloads
from schemas.errors import UsageError
from schemas.settings import Settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CX_KAFKA", "foo"),
        ("CX_KAFKA", "foo:0"),
        ("CX_CLICKHOUSE", "foo:bar"),
        ("CX_CLICKHOUSE", "foo:70000"),
        ("CX_KAFKA_PORT", "70000"),
        ("CX_PARTITIONS", "many"),
        ("CX_TOPIC_PREFIX", "../"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=variable):
        Settings.from_environment({variable: value})


def test_every_default_may_be_given_as_it_is_told_to_child_processes() -> None:
    given = child_environment(Settings())
    own = {name: value for name, value in given.items() if name.startswith("CX_")}
    assert own["CX_KEEP_MINUTES_DAYS"] == "7"
    assert Settings.from_environment(own) == Settings()


def test_addresses_of_both_families() -> None:
    assert Settings(clickhouse="[::1]:9000").clickhouse_address == ("::1", 9000)
    assert Settings(clickhouse="db.example:9000").clickhouse_address == ("db.example", 9000)
    assert Settings(kafka="127.0.0.1:9092").kafka_address == "127.0.0.1:9092"


def test_a_password_is_not_shown() -> None:
    settings = Settings.from_environment({"CX_CLICKHOUSE_PASSWORD": "hush-hush"})
    assert "hush-hush" not in repr(settings) + str(settings)


def test_pips_certificate_and_proxy_serve_later_downloads_too() -> None:
    given = {"PIP_CONFIG_FILE": "/dev/null", "PIP_CERT": "ca.pem", "PIP_PROXY": "http://proxy.example:3128"}
    made = for_downloads(given)
    assert made["REQUESTS_CA_BUNDLE"] == made["SSL_CERT_FILE"] == "ca.pem"
    assert made["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert made["NO_PROXY"] == "127.0.0.1,localhost"
    assert "UV_INDEX_STRATEGY" not in made

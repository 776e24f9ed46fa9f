"""What the URL says, and what it may not say."""

import pytest

from context_core import BackendURL, ConfigurationError
from context_core_postgres._url import address_of


def address(url):
    """What a URL comes down to."""
    return address_of(BackendURL.parse(url))


def test_parts_of_the_url_reach_libpq():
    """Decoded, and by libpq's names."""
    found = address("postgresql://us%20er:p%40ss@db.example:6432/my%20db?sslmode=verify-full&application_name=engine")
    assert (
        found.options.parameters.items()
        >= {
            "host": "db.example",
            "port": "6432",
            "user": "us er",
            "password": "p@ss",
            "dbname": "my db",
            "sslmode": "verify-full",
            "application_name": "engine",
        }.items()
    )
    assert "p@ss" not in repr(found) + found.options.location
    assert found.options.location == "postgresql://us%20er@db.example:6432/my%20db"


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [
        ("a,b", "a,b", ","),
        ("a:1,b:2", "a,b", "1,2"),
        ("a,b:2", "a,b", ",2"),
        ("[::1]:1,[fe80::2]", "::1,fe80::2", "1,"),
    ],
)
def test_several_hosts_are_taken_apart(hosts, host, port):
    """In libpq's two lists of the same length."""
    found = address(f"postgresql://user@{hosts}/db?target_session_attrs=read-write").options
    assert (found.parameters["host"], found.parameters["port"]) == (host, port)
    assert found.parameters["target_session_attrs"] == "read-write"


def test_defaults_notice_a_vanished_server():
    """A connection attempt and a dead connection are given up in seconds; what the URL says goes first."""
    parameters = address("postgresql:///db").options.parameters
    assert (parameters["connect_timeout"], parameters["tcp_user_timeout"]) == ("10", "30000")
    assert address("postgresql:///db?connect_timeout=3").options.parameters["connect_timeout"] == "3"


def test_busy_timeout_is_the_sessions_lock_timeout():
    """Part of the connection; with none the server's own holds, which a pooler in between can live with."""
    assert address("postgresql:///db").options.parameters["options"] == "-c lock_timeout=30000"
    mixed = address("postgresql:///db?busy_timeout=1.5&options=-c%20work_mem%3D1MB")
    assert mixed.options.parameters["options"] == "-c lock_timeout=1500 -c work_mem=1MB"
    assert "options" not in address("postgresql:///db?busy_timeout=none").options.parameters


def test_own_options():
    """Each has its place, and none goes to libpq."""
    found = address(
        "postgresql:///db?schema=s&pool_min=2&pool_max=3&pool_timeout=4&busy_timeout=5&prepare_threshold=none&read_only=true"
    )
    options = found.options
    assert (options.pool_min, options.pool_max, options.pool_timeout_s, options.prepare_threshold) == (2, 3, 4.0, None)
    assert (found.schema, found.busy_timeout_s, found.read_only) == ("s", 5.0, True)
    assert options.parameters.keys().isdisjoint({"schema", "pool_min", "pool_max", "pool_timeout", "read_only"})


@pytest.mark.parametrize(
    "query",
    [
        "pool_max=0",
        "pool_max=many",
        "pool_min=-1",
        "pool_min=5&pool_max=4",
        "pool_timeout=never",
        "pool_timeout=-1",
        "busy_timeout=nan",
        "busy_timeout=100000",
        "connect_timeout=soon",
        "prepare_threshold=some",
        "read_only=perhaps",
        "schema=",
        f"schema={'x' * 64}",
    ],
)
def test_unusable_option_is_named(query):
    """With ConfigurationError, before anybody is asked."""
    name = query.partition("=")[0]
    with pytest.raises(ConfigurationError, match=name) as caught:
        address(f"postgresql://user:hunter2@host/db?{query}")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["colour", "password", "dbname", "user"])
def test_unknown_option_is_named_with_the_known(name):
    """Also what the URL says before its options; its value is not repeated."""
    with pytest.raises(ConfigurationError, match=f"unknown option {name}.*pool_max.*target_session_attrs") as caught:
        address(f"postgresql://user:hunter2@host/db?{name}=hushhush")
    assert "hunter2" not in str(caught.value)
    assert "hushhush" not in str(caught.value)


def test_the_zone_of_naive_times_is_no_option():
    """The driver adopts no database of another schema, so the option would say nothing."""
    with pytest.raises(ConfigurationError, match="naive_times"):
        address_of(BackendURL.parse("postgresql://localhost/none?naive_times=UTC"))

"""Stores on PostgreSQL, each in a schema of its own, and servers that a test may stop."""

import uuid

import pytest

from context_core import ContextPersistence


@pytest.fixture
def schema(postgres_server):
    """The name of a schema that does not exist yet."""
    name = f"t_{uuid.uuid4().hex}"
    yield name
    postgres_server.sql(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


@pytest.fixture
def url(postgres_server, schema):
    """The URL of a store that does not exist yet."""
    return postgres_server.url(schema)


@pytest.fixture
def store(url):
    """A store, new and empty."""
    with ContextPersistence(url) as opened:
        yield opened


@pytest.fixture
def own_server():
    """A server of this test's own, to be stopped and killed."""
    from postgres_server import Server  # noqa: PLC0415  # as the fixtures of all tests

    with Server.create() as server:
        yield server

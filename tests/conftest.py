"""How hard the generated tests try: `dev` at the desk, `ci` on the build machine, `deep` for a night."""

import os

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=150, deadline=None, print_blob=True)
settings.register_profile("deep", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server of this test session, or of this worker of it."""
    from postgres_server import Server  # noqa: PLC0415  # only the tests of one driver need psycopg

    with Server.create() as server:
        yield server


@pytest.fixture(scope="session")
def fresh_url(request):
    """Names stores that do not exist yet, by driver: in a folder, or in a schema of the tests' database."""

    def named(driver, folder, name="store"):
        if driver == "postgresql":
            return request.getfixturevalue("postgres_database").fresh_url()
        return {
            "memory": "memory://",
            "sqlite": f"sqlite:///{folder}/{name}.db",
            "lmdb": f"lmdb:///{folder}/{name}",
        }[driver]

    return named


@pytest.fixture(scope="session")
def postgres_database(request):
    """A database for test stores: on the session's own server, or the one that CONTEXT_CORE_TEST_POSTGRES_URL names."""
    from postgres_server import VARIABLE, Database  # noqa: PLC0415  # as above

    url = os.environ.get(VARIABLE)
    if url:
        database = Database(url, url)
    else:
        server = request.getfixturevalue("postgres_server")
        address = server.url().partition("&schema=")[0]
        database = Database(address, f"host={server.folder} user=postgres dbname=postgres")
    yield database
    database.drop_fresh()

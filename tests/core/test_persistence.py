"""The facade: opening, closing, configuration, arguments and wrappers. What every driver must do is in the suite."""

import inspect
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from context_core import (
    BackendClosedError,
    BackendNotFoundError,
    BackendURL,
    ConfigurationError,
    ContextBackend,
    ContextExistsError,
    ContextNotFoundError,
    ContextPersistence,
    UnsupportedOperationError,
    VersionConflictError,
    WorkflowContext,
    hookimpl,
)
from context_core.hookspecs import VERBS
from context_core_conformance.samples import EPOCH, TickingClock, a_context
from context_core_memory import MemoryBackend, drop


@pytest.fixture
def store():
    with ContextPersistence("memory://") as store:
        yield store


MISWRITTEN = {
    ":memory:": "memory://",
    ":MEMORY:": "memory://",
    "sqlite:///:memory:": "memory://",
    "sqlite://:memory:": "memory://",
    "sqlite:///:memory:?busy_timeout=5": "memory://",
    "memory:": "memory://",
    "memory:shared": "memory://name",
    "Memory:": "memory://",
    "sqlite:engine.db": "sqlite:///engine.db",
    "SQLITE:engine.db": "sqlite:///engine.db",
    "sqlite:/engine.db": "sqlite:///engine.db",
    "sqlite3:engine.db": "sqlite:///engine.db",
    "sqlite+pysqlite:engine.db": "sqlite:///engine.db",
    "jdbc:sqlite:engine.db": "sqlite:///engine.db",
    "sqlite://engine.db": "sqlite:///relative.db",
    "sqlite://localhost/engine.db": "sqlite:///relative.db",
    "sqlite+pysqlite:///engine.db": "sqlite://",
    "sqlite3:///engine.db": "sqlite://",
    "sqlite:///file:engine.db": "sqlite:///engine.db",
    "file:engine.db": "sqlite:///engine.db",
    "file:engine.db?mode=ro": "sqlite:///engine.db",
    "file:///engine.db": "sqlite://",
    "engine.db?synchronous=normal": "sqlite:///engine.db?synchronous=",
    "postgres://host/db": "postgresql://",
    "postgres:host": "postgresql://",
    "postgresql:host/db": "postgresql://",
    "postgresql+psycopg://host/db": "postgresql://",
    "host=localhost dbname=app": "postgresql://",
    "engine.db\n": "control character",
}
"""Addresses that made a file of a strange name, or were not understood, and what the error names instead."""


class Veto(Exception):  # noqa: N818  # what a wrapper of an engine may raise
    pass


class Guard:
    """Refuses every write while it is told to."""

    is_strict = False

    @hookimpl(wrapper=True)
    def save(self, request):
        if self.is_strict:
            raise Veto
        return (yield)

    @hookimpl(wrapper=True)
    def batch(self, request):
        if self.is_strict:
            raise Veto
        return (yield)


class TestOpening:
    def test_a_plain_name_is_a_sqlite_file(self, tmp_path, monkeypatch):
        """In the current directory."""
        monkeypatch.chdir(tmp_path)
        with ContextPersistence("engine.db") as store:
            store.save_context(a_context())
        assert (tmp_path / "engine.db").is_file()

    def test_nothing_at_all_is_the_storys_file(self, tmp_path, monkeypatch):
        """`gao_dev.db`, as the story's own class had it."""
        monkeypatch.chdir(tmp_path)
        ContextPersistence().close()
        assert (tmp_path / "gao_dev.db").is_file()

    @pytest.mark.parametrize(
        "name", ["a b.db", "a?b=c.db", "a#b.db", "a%41.db", "ünï.db", "mode=ro", "file:x.db", ":memory:", "host=x"]
    )
    @pytest.mark.parametrize(
        "given", [{"store": Path}, {"db_path": Path}, {"db_path": str}], ids=["Path", "db_path=Path", "db_path"]
    )
    def test_a_path_may_hold_any_character(self, tmp_path, monkeypatch, name, given):
        """It is no URL, whatever it looks like."""
        monkeypatch.chdir(tmp_path)
        with ContextPersistence(**{argument: kind(name) for argument, kind in given.items()}) as store:
            assert store.save_context(a_context()) == 1
        assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(("-wal", "-shm"))] == [name]

    @pytest.mark.parametrize(
        "name", ["a b.db", "a#b.db", "a%41.db", "ünï.db", "mode=ro", "a:b.db", "x?.db", "C:x", 'it\'s "so"']
    )
    def test_an_odd_name_that_looks_like_nothing_else_is_a_path(self, tmp_path, monkeypatch, name):
        """Also as plain text."""
        monkeypatch.chdir(tmp_path)
        ContextPersistence(name).close()
        assert (tmp_path / name).is_file()

    @pytest.mark.parametrize(("text", "meant"), MISWRITTEN.items())
    def test_what_looks_like_a_url_makes_no_file(self, tmp_path, monkeypatch, text, meant):
        """The error names the form that was meant, whether the address is an argument or configured."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CONTEXT_CORE_URL", text)
        for opened in (ContextPersistence, ContextPersistence.from_config):
            with pytest.raises((ConfigurationError, BackendNotFoundError)) as caught:
                opened(text)
            assert meant in str(caught.value)
        with pytest.raises((ConfigurationError, BackendNotFoundError)):
            ContextPersistence.from_config()
        assert list(tmp_path.iterdir()) == []

    def test_db_path_is_always_a_path(self, tmp_path, monkeypatch):
        """Also where it holds `://`."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "memory:" / "x").mkdir(parents=True)
        with ContextPersistence(db_path="memory://x/engine.db") as store:
            assert store.describe().name == "sqlite"
        assert (tmp_path / "memory:" / "x" / "engine.db").is_file()

    @pytest.mark.parametrize("path", [Path("engine.db"), "engine.db"])
    def test_db_path_may_be_text_or_a_path(self, tmp_path, monkeypatch, path):
        """As the story's class took it."""
        monkeypatch.chdir(tmp_path)
        ContextPersistence(db_path=path).close()
        assert (tmp_path / "engine.db").is_file()

    def test_a_url_opens_what_its_scheme_names(self, tmp_path):
        """With its options."""
        with ContextPersistence(f"sqlite:///{tmp_path}/a%20b.db?synchronous=normal") as store:
            assert store.describe().name == "sqlite"
        assert (tmp_path / "a b.db").is_file()

    def test_a_backend_object_is_used_and_closed(self):
        """It belongs to the store from then on."""
        backend = MemoryBackend()
        with ContextPersistence(backend) as store:
            store.save_context(a_context())
        with pytest.raises(BackendClosedError):
            ContextPersistence(backend).load_context("order-7")

    def test_two_addresses_are_refused(self):
        """Neither may win silently."""
        with pytest.raises(ConfigurationError, match="a store or a db_path, not both"):
            ContextPersistence("memory://", db_path="engine.db")

    @pytest.mark.parametrize("path", ["", "a\0b"])
    def test_a_path_that_cannot_be_is_refused(self, path):
        """Before anything is opened."""
        with pytest.raises(ConfigurationError):
            ContextPersistence(db_path=path)

    def test_an_unknown_option_is_refused(self):
        """By name."""
        with pytest.raises(ConfigurationError, match="unknown option a in the memory URL"):
            ContextPersistence("memory://?a=1")

    def test_a_bad_context_type_is_refused_before_a_file_is_made(self, tmp_path):
        """Nothing is left behind."""
        with pytest.raises(ConfigurationError, match="context_type"):
            ContextPersistence(db_path=tmp_path / "a.db", context_type=dict)  # type: ignore[type-var]  # the mistake under test
        assert not (tmp_path / "a.db").exists()

    def test_the_clock_tells_when_versions_are_saved(self):
        """And nothing else."""
        clock = TickingClock()
        with ContextPersistence("memory://", clock=clock) as store:
            store.save_context(a_context(created_at=EPOCH - timedelta(days=1)))
            (header,) = store.history("order-7")
        assert (header.saved_at, header.created_at) == (EPOCH, EPOCH - timedelta(days=1))

    def test_a_driver_without_urls_says_so(self):
        """It comes in as an object."""
        url = BackendURL.parse("memory://")
        with pytest.raises(UnsupportedOperationError, match="pass a backend object instead of a URL"):
            ContextBackend.from_url(url)

    @pytest.mark.parametrize("verb", ["explain", "verify", "prune", "snapshot", "backup", "migrate"])
    def test_a_driver_of_five_verbs_refuses_the_others(self, verb):
        """By their names, and its own; describing and closing work (ER08)."""

        def answer(_, request):
            return request

        minimal = type("Minimal", (ContextBackend,), dict.fromkeys(VERBS, answer))()
        arguments = [None] * (len(inspect.signature(getattr(minimal, verb)).parameters))
        with pytest.raises(UnsupportedOperationError, match=f"backend 'Minimal' does not support {verb}"):
            getattr(minimal, verb)(*arguments)
        assert minimal.describe().capabilities == frozenset()
        minimal.close()


class TestFromConfig:
    @pytest.fixture(autouse=True)
    def elsewhere(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("CONTEXT_CORE_URL", raising=False)

    def test_the_argument_wins(self, monkeypatch):
        """Over the environment."""
        monkeypatch.setenv("CONTEXT_CORE_URL", "nope://")
        with ContextPersistence.from_config("memory://") as store:
            assert store.describe().name == "memory"

    def test_the_environment_is_read(self, monkeypatch):
        """Where no URL is given."""
        monkeypatch.setenv("CONTEXT_CORE_URL", "memory://from-environment")
        with ContextPersistence.from_config() as store:
            assert store.describe().location == "memory://from-environment"
        drop("from-environment")

    def test_the_project_file_is_read(self, tmp_path):
        """Where the environment says nothing."""
        (tmp_path / "pyproject.toml").write_text('[tool.context_core]\nurl = "sqlite:///configured.db"\n')
        ContextPersistence.from_config().close()
        assert (tmp_path / "configured.db").is_file()

    def test_options_are_passed_on(self):
        """They are the constructor's."""
        guard = Guard()
        guard.is_strict = True
        with ContextPersistence.from_config("memory://", wrappers=[guard]) as store, pytest.raises(Veto):
            store.save_context(a_context())

    def test_an_error_tells_where_the_address_came_from(self, monkeypatch):
        """So that the right place is mended."""
        monkeypatch.setenv("CONTEXT_CORE_URL", "memory://?a=1")
        with pytest.raises(ConfigurationError, match="from CONTEXT_CORE_URL: unknown option a"):
            ContextPersistence.from_config()


class TestClosing:
    def test_a_store_tells_whether_it_is_closed(self, store):
        """Before and after."""
        assert not store.is_closed
        store.close()
        assert store.is_closed

    def test_a_store_may_be_closed_twice(self, store):
        """The second time does nothing (ER05)."""
        store.close()
        store.close()

    def test_a_closed_store_refuses(self, store):
        """Also where its backend would still answer (ER05)."""
        store.close()
        for call in (
            lambda: store.save_context(a_context()),
            lambda: store.load_context("order-7"),
            lambda: store.history("order-7"),
            store.search_contexts,
            lambda: store.delete_context("order-7"),
        ):
            with pytest.raises(BackendClosedError, match="open a new one"):
                call()

    def test_a_closed_store_still_describes_itself(self, store):
        """For the message that someone is about to write."""
        store.close()
        assert store.describe().name == "memory"

    def test_an_error_inside_the_block_closes_too(self):
        """And goes on."""
        with pytest.raises(Veto), ContextPersistence("memory://") as store:
            raise Veto
        assert store.is_closed

    def test_a_named_memory_store_outlives_its_handle(self):
        """Until it is dropped."""
        for version in (1, 2):
            with ContextPersistence("memory://lasting") as store:
                assert store.save_context(a_context()) == version
        assert drop("lasting")
        assert not drop("lasting")


class TestWrappers:
    def test_a_veto_stops_every_way_to_write(self):
        """One guard of two verbs is enough (HO01)."""
        guard = Guard()
        with ContextPersistence("memory://", wrappers=[guard]) as store:
            store.save_context(a_context())
            guard.is_strict = True
            for call in (
                lambda: store.save_context(a_context()),
                lambda: store.update_context(a_context()),
                lambda: store.save_contexts([a_context("a")]),
                lambda: store.rollback("order-7", 1),
                lambda: store.delete_context("order-7"),
                lambda: store.fork("order-7", "b"),
            ):
                with pytest.raises(Veto):
                    call()
            assert [header.version for header in store.history("order-7")] == [1]
            assert [context.workflow_id for context in store.search_contexts()] == ["order-7"]

    def test_a_rollback_looks_again_when_someone_saved_meanwhile(self):
        """What is appended is the target, whatever came in between."""
        backend = MemoryBackend()
        with ContextPersistence(backend) as other, ContextPersistence(backend, wrappers=[self.Meddler(other)]) as store:
            other.save_context(a_context(feature="first"))
            assert store.rollback("order-7", 1) == 3
            assert [context.feature for context in store.get_context_versions(1, 2)] == ["first", "meddled", "first"]

    def test_a_rollback_of_what_was_deleted_meanwhile_stays_undone(self):
        """A deleted workflow is not brought back."""
        backend = MemoryBackend()
        with ContextPersistence(backend) as other:
            meddler = self.Meddler(other, delete=True)
            with ContextPersistence(backend, wrappers=[meddler]) as store:
                other.save_context(a_context())
                with pytest.raises(ContextNotFoundError):
                    store.rollback("order-7", 1)
                assert not store.context_exists("order-7")

    def test_a_conditional_rollback_does_not_look_again(self):
        """The caller said what it had seen (CA07)."""
        backend = MemoryBackend()
        with ContextPersistence(backend) as other, ContextPersistence(backend, wrappers=[self.Meddler(other)]) as store:
            other.save_context(a_context())
            with pytest.raises(VersionConflictError):
                store.rollback("order-7", 1, expected_version=1)

    def test_a_fork_onto_what_exists_is_refused(self, store):
        """With its version (VE10)."""
        store.save_contexts([a_context("a"), a_context("b"), a_context("b")])
        with pytest.raises(ContextExistsError, match="version 2"):
            store.fork("a", "b")

    def test_a_store_serves_many_threads(self, store):
        """As one object (CO01)."""
        threads = [threading.Thread(target=lambda: store.save_context(a_context())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [header.version for header in store.history("order-7")] == list(range(1, 9))

    class Meddler:
        """Lets someone else write just before the first save."""

        def __init__(self, other: ContextPersistence[WorkflowContext], *, delete: bool = False) -> None:
            self.other, self.delete, self.is_done = other, delete, False

        @hookimpl(wrapper=True)
        def save(self, request):
            if not self.is_done:
                self.is_done = True
                if self.delete:
                    self.other.delete_context("order-7")
                else:
                    self.other.save_context(a_context(feature="meddled"))
            return (yield)


def test_a_store_tells_the_path_of_its_file(tmp_path, monkeypatch):
    """Absolute, however the file was named, also once the store is closed; a store of another kind has none."""
    monkeypatch.chdir(tmp_path)
    for given in ({"db_path": "a.db"}, {"store": tmp_path / "a.db"}, {"store": "sqlite:///a.db"}):
        with ContextPersistence(**given) as store:
            assert store.db_path == tmp_path / "a.db"
        assert store.db_path == tmp_path / "a.db"
    with ContextPersistence("memory://") as store:
        assert store.db_path is None

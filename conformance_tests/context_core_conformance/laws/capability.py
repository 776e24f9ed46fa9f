"""Laws of what a backend says of itself, and of addresses that hold a password."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

import attrs
import pytest

from context_core import (
    BackendURL,
    Capability,
    ConfigurationError,
    ContextBackend,
    ContextCoreError,
    ContextPersistence,
    UnsupportedOperationError,
)
from context_core.maintenance import BackupRequest, PruneRequest, RepairRequest
from context_core.plugins import find_backend, open_backend
from context_core.records import QueryRequest
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.skipping import refuses, skip_declared
from context_core_conformance.subject import Subject

OPTIONAL: Final[dict[Capability, Callable[[ContextBackend], object]]] = {
    Capability.EXPLAIN: lambda backend: backend.explain(QueryRequest()),
    Capability.VERIFY: lambda backend: backend.verify(),
    Capability.PRUNE: lambda backend: backend.prune(PruneRequest()),
    Capability.SNAPSHOT: lambda backend: backend.snapshot(),
    Capability.BACKUP: lambda backend: backend.backup(BackupRequest(target=Path("nowhere") / "backup")),
    Capability.MIGRATE: lambda backend: backend.migrate(),
    Capability.REPAIR: lambda backend: backend.repair(RepairRequest(dry_run=True)),
}
"""The verbs that come by capability; each is named like its own."""

PASSWORD: Final = "p@ss:w/o?r#d%&=[ ]\\'\"é"  # noqa: S105  # made up, for its characters

each_optional: Final = pytest.mark.parametrize("capability", OPTIONAL, ids=lambda capability: capability.value)


class CapabilityLaws:
    @promise("ER08")
    def test_backend_describes_itself(self, subject: Subject) -> None:
        """By the name of its entry point, with capabilities and a limit of at least 1 MB."""
        description = subject.backend().describe()
        assert description.name == BackendURL.parse(subject.url).scheme
        assert [type(capability) for capability in description.capabilities] == [Capability] * len(
            description.capabilities
        )
        assert description.limits.document_bytes >= 2**20
        assert description == subject.open().describe()

    @promise("ER08")
    @refuses()
    @each_optional
    def test_undeclared_verb_is_refused(self, subject: Subject, capability: Capability) -> None:
        """A verb that the backend does not declare raises UnsupportedOperationError, naming verb and backend."""
        backend = subject.backend()
        description = backend.describe()
        if capability in description.capabilities:
            skip_declared(capability)
        with pytest.raises(UnsupportedOperationError, match=capability.value) as caught:
            OPTIONAL[capability](backend)
        assert (caught.value.operation, caught.value.backend) == (capability.value, description.name)

    @promise("ER08")
    @each_optional
    def test_declared_verb_is_the_backends_own(self, subject: Subject, capability: Capability) -> None:
        """A declared verb is implemented, and one that is implemented is declared."""
        backend = subject.backend()
        is_declared = capability in backend.describe().capabilities
        is_own = getattr(type(backend), capability.value) is not getattr(ContextBackend, capability.value)
        assert (capability, is_own) == (capability, is_declared)

    @promise("ER08", "QU13")
    def test_declared_explain_tells_a_plan(self, subject: Subject) -> None:
        """As text that is not empty."""
        subject.requires(Capability.EXPLAIN)
        plan = subject.backend().explain(QueryRequest())
        assert isinstance(plan, str)
        assert plan.strip() != ""

    @promise("ER08", "ID01")
    @refuses(Capability.IDEMPOTENCY)
    def test_undeclared_idempotency_key_is_refused(self, subject: Subject) -> None:
        """A key is never ignored: a driver honours it, or refuses before any write."""
        store = subject.open()
        if Capability.IDEMPOTENCY in subject.capabilities:
            assert [store.save_context(a_context("w"), idempotency_key="k") for _ in range(2)] == [1, 1]
        else:
            with pytest.raises(UnsupportedOperationError):
                store.save_context(a_context("w"), idempotency_key="k")
            assert store.context_exists("w") is False

    @promise("ER02")
    def test_unknown_option_is_refused_by_name(self, subject: Subject) -> None:
        """A misspelt option of the URL is not ignored."""
        separator = "&" if "?" in subject.url else "?"
        with pytest.raises(ConfigurationError, match="colour"):
            ContextPersistence(f"{subject.url}{separator}colour=red").close()

    @promise("ER07")
    def test_password_of_any_characters_is_parsed_exactly(self) -> None:
        """Percent-encoded in the URL, plain in the parsed address, and in no text made of it."""
        url = BackendURL.parse(f"engine://user:{quote(PASSWORD, safe='')}@host:5432/db?option=1")
        assert (url.username, url.password, url.host, url.port, url.path) == ("user", PASSWORD, "host", 5432, "db")
        assert [text for text in (str(url), repr(url), f"{url}") if PASSWORD in text or quote(PASSWORD) in text] == []

    @promise("ER07", "ER03")
    def test_unparsable_address_tells_no_password(self) -> None:
        """An error about an address does not repeat it."""
        for address in (
            f"nobody-offers-this://user:{quote(PASSWORD, safe='')}@host/db",
            "memory://user:hunter2@host:port/db",
            "memory://user:hunter2@[host/db",
            "memory://user:hunter2@host/db?a=1&a=2",
            "memory://user:hunter2@host/db?x",
            "memory://user:hunter2@host/db#x",
        ):
            with pytest.raises(ContextCoreError) as caught:
                ContextPersistence(address)
            assert [
                secret for secret in (PASSWORD, quote(PASSWORD, safe=""), "hunter2") if secret in str(caught.value)
            ] == []

    @promise("ER07", "ER03")
    def test_backend_shows_no_password(self, subject: Subject) -> None:
        """Given one that it has no use for, or a wrong one, it neither repeats nor describes it."""
        url = attrs.evolve(BackendURL.parse(subject.url), username="user", password=PASSWORD)
        try:
            with closing(open_backend(url)) as backend:
                description = backend.describe()
                shown = [repr(backend), repr(description), description.location, description.name]
        except ContextCoreError as error:
            shown = [str(error), repr(error), repr(error.__cause__), repr(error.__context__)]
        assert [text for text in shown if PASSWORD in text or quote(PASSWORD, safe="") in text] == []

    @promise("ER08")
    def test_backend_is_found_by_its_scheme(self, subject: Subject) -> None:
        """The URL's scheme, the entry point and the class's own name for it are one."""
        scheme = BackendURL.parse(subject.url).scheme
        assert find_backend(scheme).scheme == scheme

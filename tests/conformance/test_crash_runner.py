"""The crash runner on a driver that is durable in name only: whatever a kill takes from it is found out."""

import textwrap

import pytest

from context_core_conformance.faults.crashes import kill_writers
from context_core_conformance.linearizability.anomalies import Anomaly, NotLinearizableError

# Each has the SQLite driver do the work, but for one thing.
DRIVERS = """
    from context_core.model import utc_now
    from context_core.records import BatchRequest, QueryRequest, SavedVersion, VersionRequest, Want
    from context_core_sqlite import SqliteBackend

    class Honest(SqliteBackend):
        scheme = "honest"

    class Late(SqliteBackend):
        "Acknowledges a plain save with the number that it will have, and writes it with the next call."
        scheme = "late"
        pending = None

        def save(self, request):
            self.flush()
            if request.expected_version is not None or request.idempotency is not None:
                return super().save(request)
            self.pending = request
            return SavedVersion(version=self.last(request.record.workflow_id) + 1, saved_at=utc_now())

        def batch(self, request):
            self.flush()
            return super().batch(request)

        def flush(self):
            pending, self.pending = self.pending, None
            if pending is not None:
                super().save(pending)

        def last(self, workflow_id):
            newest = self.version(VersionRequest(of=workflow_id, limit=1, newest_first=True)).headers
            gone = self.query(QueryRequest(want=Want.TOMBSTONES)).tombstones
            return max([0, *(one.version for one in newest),
                        *(one.last_version for one in gone if one.workflow_id == workflow_id)])

    class Torn(SqliteBackend):
        "Commits the items of a batch one by one."
        scheme = "torn"

        def batch(self, request):
            return [outcome for operation in request.operations
                    for outcome in super(Torn, self).batch(BatchRequest(operations=[operation]))]

    class Hasty(SqliteBackend):
        "Asks the time, as inside of a transaction, when it has committed."
        scheme = "hasty"

        @classmethod
        def from_url(cls, url, *, clock):
            backend = super().from_url(url)
            backend.given_clock = clock
            return backend

        def save(self, request):
            saved = super().save(request)
            self.given_clock()
            return saved
"""


@pytest.fixture(autouse=True)
def strange_drivers(tmp_path, monkeypatch):
    """A distribution with these drivers, on the path of the processes that are started."""
    folder = tmp_path / "site"
    (folder / "strange-1.0.dist-info").mkdir(parents=True)
    (folder / "strange_drivers.py").write_text(textwrap.dedent(DRIVERS))
    (folder / "strange-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    points = "".join(f"{name.lower()} = strange_drivers:{name}\n" for name in ("Honest", "Late", "Torn", "Hasty"))
    (folder / "strange-1.0.dist-info" / "entry_points.txt").write_text(f"[context_core.backends]\n{points}")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.parametrize(
    ("scheme", "anomalies"),
    [
        (
            "torn",
            {
                Anomaly.TORN,
                Anomaly.REFUSED_BUT_WRITTEN,
                Anomaly.INSIDE_BATCH,
                Anomaly.NOT_THERE,
                Anomaly.LOST_UPDATE,
            },
        ),
        ("hasty", {Anomaly.REFUSED_BUT_WRITTEN}),
        ("late", {Anomaly.STALE, Anomaly.OTHER_CONTENT, Anomaly.NOT_THERE}),
    ],
)
def test_a_driver_that_loses_or_tears_is_found_out(tmp_path, scheme, anomalies):
    """A few dozen kills are enough."""
    with pytest.raises(NotLinearizableError) as caught:
        kill_writers(f"{scheme}:///{tmp_path}/store.db", 40)
    assert caught.value.anomaly in anomalies
    assert len(caught.value.calls) <= 4


def test_a_strangers_driver_is_opened_by_its_url(tmp_path):
    """It is the break that is found, not the killing."""
    kill_writers(f"honest:///{tmp_path}/store.db", 12, seed=1)


def test_a_driver_that_cannot_be_opened_is_told(tmp_path, capfd):
    """The worker's own traceback is on stderr."""
    with pytest.raises(AssertionError, match="ended by itself"):
        kill_writers(f"sqlite:///{tmp_path}/missing/store.db", 1)
    assert "BackendUnavailableError" in capfd.readouterr().err

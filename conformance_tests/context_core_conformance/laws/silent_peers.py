"""Laws of a peer that keeps its connections open and stops answering."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest

from context_core import BackendUnavailableError, OutcomeUnknownError
from context_core_conformance.promises import promise
from context_core_conformance.samples import a_context
from context_core_conformance.subject import Subject, needed
from context_core_conformance.verbs import Store

LIMIT_S: Final = 0.5
"""How long a call may take."""

PATIENCE_S: Final = 20.0
"""When a call is taken to hang: far above the limit, for a busy machine, and far below any test's own time."""

ATTEMPTS: Final = 10
"""How many calls may find a connection of before once the peer answers again."""

READS: Final[dict[str, Callable[[Store], object]]] = {
    "load": lambda store: store.load_context("w"),
    "load_many": lambda store: store.load_contexts(["w", "other"]),
    "load_version": lambda store: store.load_context("w", version=1),
    "history": lambda store: store.history("w"),
    "query": lambda store: store.search_contexts({"status": "running"}),
    "count": lambda store: store.count_contexts(),
}
WRITES: Final[dict[str, Callable[[Store], object]]] = {
    "save": lambda store: store.save_context(a_context("w")),
    "create": lambda store: store.save_context(a_context("new")),
    "batch": lambda store: store.save_contexts([a_context("w"), a_context("new")]),
    "delete": lambda store: store.delete_context("w"),
}


class SilentPeerLaws:
    @promise("CO12", "ER01")
    @pytest.mark.parametrize("verb", [*READS, *WRITES])
    def test_a_call_to_a_silent_peer_ends_in_its_time(self, subject: Subject, verb: str) -> None:
        """With BackendUnavailableError if surely nothing happened, else OutcomeUnknownError; then the store goes on."""
        with needed(subject.access.silent_peer(subject.url, LIMIT_S), "silent_peer") as peer:
            store = subject.open_at(peer.url)
            store.save_contexts([a_context("w"), a_context("other")])
            before = _versions(store)
            with peer.silenced():
                error = _ended(lambda: (READS | WRITES)[verb](store))
            allowed = (BackendUnavailableError, OutcomeUnknownError) if verb in WRITES else (BackendUnavailableError,)
            assert isinstance(error, allowed)
            _wait_for_an_answer(store)
            if not isinstance(error, OutcomeUnknownError):
                assert _versions(store) == before
            assert store.save_context(a_context("other"), expected_version=1) == 2

    @promise("CO12", "ER05")
    def test_close_does_not_wait_for_a_silent_peer(self, subject: Subject) -> None:
        """A store is closed in the time of a call, whatever its connections lead to."""
        with needed(subject.access.silent_peer(subject.url, LIMIT_S), "silent_peer") as peer:
            store = subject.open_at(peer.url)
            store.save_context(a_context("w"))
            with peer.silenced():
                assert _ended(store.close) is None
            assert subject.open_at(peer.url).load_context("w") == a_context("w")


def _ended(call: Callable[[], object]) -> BaseException | None:
    """Run *call* to its end, and return the error that it met; fail where it hangs."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  # whatever it is, the law judges it
            errors.append(error)

    calling = threading.Thread(target=run, daemon=True)
    calling.start()
    calling.join(PATIENCE_S)
    assert not calling.is_alive(), f"a call that may take {LIMIT_S} s has not ended after {PATIENCE_S:g} s"
    return errors[0] if errors else None


def _wait_for_an_answer(store: Store) -> None:
    for _ in range(ATTEMPTS):
        with suppress(BackendUnavailableError):
            store.context_exists("w")
            return


def _versions(store: Store) -> dict[str, list[Any]]:
    return {name: [header.version for header in store.history(name)] for name in ("w", "other", "new")}

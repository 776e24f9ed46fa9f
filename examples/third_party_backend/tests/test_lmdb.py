"""What is LMDB's own: maps that fill up, and folders that are not ours, not there, or not whole."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest

from context_core import (
    BackendUnavailableError,
    ContextPersistence,
    ForeignDatabaseError,
    NewerDatabaseError,
    StorageError,
    WorkflowContext,
)


def opened(folder: Path, options: str = "") -> ContextPersistence[Any]:
    """A store in *folder*."""
    return ContextPersistence[Any](f"lmdb:///{folder}{options}")


def a_context(size: int = 0) -> WorkflowContext:
    """A context that takes so much room."""
    return WorkflowContext("order-7", 1, 2, "shop", "order", metadata={"room": "x" * size})


def test_a_full_store_keeps_what_it_has(tmp_path: Path) -> None:
    """The error is ours with LMDB's as its cause; what was saved is read, and a larger map takes more."""
    with opened(tmp_path / "store", "?map_size_bytes=100000") as store:
        store.save_context(a_context())
        with pytest.raises(StorageError, match="map_size_bytes") as caught:
            store.save_context(a_context(200_000))
        assert isinstance(caught.value.__cause__, lmdb.MapFullError)
        assert store.load_context("order-7").version == 1
    with opened(tmp_path / "store") as store:
        assert store.save_context(a_context(200_000)) == 2


def _put(key: bytes, row: bytes) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        with lmdb.open(str(folder)) as environment, environment.begin(write=True) as txn:
            txn.put(key, row)

    return change


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_put(b"theirs", b"1"), ForeignDatabaseError),
        (_put(b"format", b"2"), NewerDatabaseError),
        (lambda folder: (folder.mkdir(), (folder / "data.mdb").write_bytes(b"theirs" * 1_000)), ForeignDatabaseError),
        (lambda folder: folder.write_bytes(b"theirs"), BackendUnavailableError),
    ],
    ids=["other data", "a newer format", "another file", "no folder"],
)
def test_what_is_not_ours_is_refused(tmp_path: Path, change: Callable[[Path], object], error: type[Exception]) -> None:
    """It is told when the store is opened."""
    change(tmp_path / "store")
    with pytest.raises(error):
        opened(tmp_path / "store")


def test_a_folder_that_was_taken_away_does_not_come_back_empty(tmp_path: Path) -> None:
    """Saves are refused until it is put back."""
    with opened(tmp_path / "store") as store:
        store.save_context(a_context())
        shutil.move(tmp_path / "store", tmp_path / "elsewhere")
        with pytest.raises(BackendUnavailableError):
            store.save_context(a_context())
        shutil.move(tmp_path / "elsewhere", tmp_path / "store")
        assert store.save_context(a_context()) == 2


def test_a_damaged_row_is_told(tmp_path: Path) -> None:
    """Whatever stands in it."""
    with opened(tmp_path / "store") as store:
        store.save_context(a_context())
        with lmdb.open(str(tmp_path / "store")) as environment, environment.begin(write=True) as txn:
            (key,) = (key for key in txn.cursor().iternext(values=False) if key.startswith(b"h"))
            txn.put(key, b"[]")
        with pytest.raises(StorageError, match="damaged"):
            store.history("order-7")

"""LMDB's errors in the words of context-core, by class."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import lmdb

from context_core import errors

Kind = type[errors.StorageError | errors.BackendUnavailableError | errors.PersistenceError]

_TABLE: Final[dict[type[lmdb.Error], tuple[Kind, str]]] = {
    lmdb.MapFullError: (errors.StorageError, "the store is full: open it with a larger map_size_bytes"),
    lmdb.MapResizedError: (errors.StorageError, "the store outgrew this map_size_bytes: open it with a larger one"),
    lmdb.DiskError: (errors.StorageError, "no space is left on the disk: free some"),
    lmdb.ReadonlyError: (errors.ReadOnlyError, "the files may not be written: check their permissions"),
    lmdb.ReadersFullError: (errors.BackendUnavailableError, "too many reads at once: try again"),
    lmdb.InvalidError: (errors.ForeignDatabaseError, "the folder holds a data.mdb that is not of LMDB"),
    lmdb.VersionMismatchError: (errors.ForeignDatabaseError, "the folder holds a data.mdb of another LMDB"),
}


@contextmanager
def translating(unforeseen: Kind = errors.StorageError) -> Iterator[None]:
    """Raise ours for an error of LMDB: *unforeseen* for one of the system, for which LMDB has no class."""
    try:
        yield
    except lmdb.Error as error:
        other = unforeseen if type(error) is lmdb.Error else errors.StorageError
        kind, message = _TABLE.get(type(error), (other, f"LMDB failed: {type(error).__name__}, code {error.code}"))
        raise kind(message) from error

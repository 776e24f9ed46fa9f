"""A driver for context-core that keeps contexts in LMDB: `lmdb:////path/to/folder`."""

from lmdb_context_backend._backend import LmdbBackend

__all__ = ["LmdbBackend"]

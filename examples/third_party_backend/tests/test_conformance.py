"""The LMDB backend keeps the contract."""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

import lmdb

from context_core_conformance import BackendContract


class TestLmdb(BackendContract):
    """Every law of the suite."""

    def fresh_url(self, tmp_path: Path) -> str:
        """A folder that is yet to be made."""
        return f"lmdb:///{tmp_path}/store"

    def raw_storage(self, url: str) -> Iterable[bytes]:
        """Every row, of a copy: LMDB opens no environment twice in one process."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(Path(url.removeprefix("lmdb:///"), "data.mdb"), folder)
            with lmdb.open(folder, readonly=True, lock=False) as copy, copy.begin() as txn:
                yield from (key + row for key, row in txn.cursor())

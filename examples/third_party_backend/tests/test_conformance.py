"""The LMDB backend keeps the contract."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from context_core_conformance import BackendContract


class TestLmdb(BackendContract):
    """Every law of the suite."""

    def fresh_url(self, tmp_path: Path) -> str:
        """A folder that is yet to be made."""
        return f"lmdb:///{tmp_path}/store"

    def small_url(self, tmp_path: Path) -> str:
        """A map that is full after a few megabytes."""
        return f"lmdb:///{tmp_path}/small?map_size_bytes=8000000"

    def syncs_itself(self) -> bool:
        """LMDB syncs the file before a commit returns."""
        return True

    @contextmanager
    def taken_away(self, url: str) -> Iterator[None]:
        """The folder lies elsewhere for a while."""
        folder = Path(url.removeprefix("lmdb:///"))
        elsewhere = folder.rename(folder.with_name("elsewhere"))
        try:
            yield
        finally:
            elsewhere.rename(folder)

    def raw_storage(self, url: str) -> Iterable[bytes]:
        """Every row, of a copy: LMDB opens no environment twice in one process."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(Path(url.removeprefix("lmdb:///"), "data.mdb"), folder)
            with lmdb.open(folder, readonly=True, lock=False) as copy, copy.begin() as txn:
                yield from (key + row for key, row in txn.cursor())

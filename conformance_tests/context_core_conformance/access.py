"""Storage access hooks: methods of a test class for the laws that need more than the public API."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import attrs

from context_core import WorkflowContext


@attrs.frozen(kw_only=True)
class OlderStore:
    """A store that an earlier version of the driver wrote.

    Attributes:
        name: Which version, for the reports.
        url: Opens a copy of its own, which the law may change.
        contents: What it holds: by workflow id, the versions oldest first, each with its number as `version`.
    """

    name: str
    url: str
    contents: Mapping[str, Sequence[WorkflowContext]]


@attrs.frozen(kw_only=True)
class SilentPeer:
    """A way to a store whose peer can stop answering.

    Attributes:
        url: Opens the store so that each call ends within the time that the law named.
        silenced: A block during which the peer keeps its connections open and answers nothing, to new connections
            neither. Connections of before need not work again after it.
    """

    url: str
    silenced: Callable[[], AbstractContextManager[object]]


class StorageAccess:
    """The storage access hooks of a test class; all are optional.

    A law whose hook is not defined is skipped. The report then says that its promise was not checked, or only in part.
    """

    def raw_storage(self, url: str) -> Iterable[bytes] | None:
        """Return everything that the storage holds, read without the driver.

        With it the suite checks that no deleted content is left (DE01), and that a read writes nothing (BA03).
        """
        del url
        return None

    def backup_url(self, path: Path) -> str | None:
        """Return the URL that opens the backup at *path* (MO02), or None if a backup opens in another way."""
        del path
        return None

    def damage(self, url: str, workflow_id: str, version: int) -> bool:
        """Damage one stored version without the driver, so that no read can decode it (CR06). Return True when done.

        The store is open meanwhile. The damage may lie in its document, its header, or both.
        """
        del url, workflow_id, version
        return False

    def lose_head(self, url: str, workflow_id: str) -> bool:
        """Remove the head of a workflow without the driver, and keep its versions (CR07). Return True when done.

        The store is open meanwhile. For storages that keep heads and versions in different places.
        """
        del url, workflow_id
        return False

    def lose_history(self, url: str, workflow_id: str) -> bool:
        """Remove all versions of a workflow without the driver, and keep its head (CR07). Return True when done."""
        del url, workflow_id
        return False

    def taken_away(self, url: str) -> AbstractContextManager[object] | None:
        """Make the storage unavailable inside the block while the store is open, and restore it at the end (CR04, CR05).

        Move the file or the folder elsewhere; stop the server and start it again.
        """
        del url
        return None

    def small_url(self, tmp_path: Path) -> str | None:
        """Return the URL of a new store that is full after a few megabytes (CR05)."""
        del tmp_path
        return None

    def impatient_url(self, url: str, wait_s: float) -> str | None:
        """Return *url* with the option that limits each wait for other callers to *wait_s* seconds (CO11)."""
        del url, wait_s
        return None

    def silent_peer(self, url: str, limit_s: float) -> AbstractContextManager[SilentPeer] | None:
        """Return a way to the store at *url* whose peer can stop answering; calls end within *limit_s* seconds (CO12).

        For example a proxy that drops all data, or a server whose processes are stopped. A driver without a peer returns None.
        """
        del url, limit_s
        return None

    def syncs_itself(self) -> bool | None:
        """Return True if the calling process syncs its saves, as with a file; False if a server does it (CR08)."""
        return None

    def reads_everything(self, plan: str) -> bool | None:
        """Return whether a plan that `explain` returned reads the whole table (QU13)."""
        del plan
        return None

    def older_stores(self, tmp_path: Path) -> Iterable[OlderStore]:
        """Return one store of each earlier schema version, from files kept for that purpose (MI01, MI02, MI05).

        Some hundred versions in the first of them give the law that kills processes while they migrate its time (CR03).
        """
        del tmp_path
        return ()

    def newer_url(self, tmp_path: Path) -> str | None:
        """Return the URL of a store that a later version of the driver wrote (MI04)."""
        del tmp_path
        return None

    def schema(self, url: str) -> object:
        """Return the storage's schema, read without the driver, as a value that can be compared; None for none (MI05)."""
        del url
        return None

"""Files are whole or absent."""

import errno
import fcntl
import os

import pytest

from context_core import ConfigurationError, ContextPersistence, StorageError
from context_core.files import whole_file


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    """Before that the name is free; afterwards nothing else is left in the folder."""
    target = tmp_path / "target"
    with whole_file(target) as draft:
        draft.write_bytes(b"half")
        assert not target.exists()
    assert target.read_bytes() == b"half"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left"), StorageError("x")])
def test_a_file_that_failed_is_not_there(tmp_path, error):
    """Whatever stopped it; a full disk is an error of ours."""
    kind = StorageError if isinstance(error, OSError) else type(error)
    with pytest.raises(kind):
        write(tmp_path / "target", fails_with=error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_made_meanwhile_is_not_replaced(tmp_path, monkeypatch, has_links):
    """Also on file systems without hard links."""
    if not has_links:
        monkeypatch.setattr(os, "link", _no_link)
    target = tmp_path / "target"
    with pytest.raises(ConfigurationError, match="meanwhile"):
        write(target, meanwhile=b"precious")
    assert target.read_bytes() == b"precious"
    with whole_file(tmp_path / "other") as draft:
        draft.write_bytes(b"new")
    assert (tmp_path / "other").read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_may_replace_another(tmp_path):
    """Where that is asked for; a failure leaves the old one."""
    target = tmp_path / "target"
    target.write_bytes(b"old")
    with pytest.raises(StorageError):
        write(target, overwrite=True, fails_with=OSError(errno.EIO, "I/O error"))
    assert target.read_bytes() == b"old"
    with whole_file(target, overwrite=True) as draft:
        draft.write_bytes(b"new")
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX")
@pytest.mark.parametrize("state", ["abandoned", "fresh draft", "fresh folder", "in use", "a link", "another name"])
def test_a_left_folder_is_deleted_when_nobody_uses_it(tmp_path, state):
    """One that is locked, or was written to within an hour, stays; so does what only looks like one."""
    folder = tmp_path / f".context-core-{'a' if state != 'another name' else 'x'}123456789abcdef.unfinished"
    place = tmp_path / "elsewhere" if state == "a link" else folder
    place.mkdir()
    (place / "draft").write_bytes(b"half")
    if state == "a link":
        folder.symlink_to(place)
    for path in [*([place / "draft"] if state != "fresh draft" else []), *([place] if state != "fresh folder" else [])]:
        os.utime(path, (0, 0))
    user = os.open(folder, os.O_RDONLY)
    if state == "in use":
        fcntl.flock(user, fcntl.LOCK_EX)
    with whole_file(tmp_path / "target") as draft:
        draft.write_bytes(b"whole")
        assert folder.exists() == (state != "abandoned")
    os.close(user)
    assert (place / "draft").exists() == (state != "abandoned")


def test_a_file_that_takes_long_is_in_use_all_the_time(tmp_path):
    """Another run beside it does not take its folder away, however old it is."""
    with whole_file(tmp_path / "slow") as slow:
        slow.write_bytes(b"slow")
        for path in (slow, slow.parent):
            os.utime(path, (0, 0))
        with whole_file(tmp_path / "quick") as quick:
            quick.write_bytes(b"quick")
    assert (tmp_path / "slow").read_bytes() == b"slow"


@pytest.mark.parametrize("verb", ["export", "import_", "backup"])
@pytest.mark.parametrize("target", ["a\0b", "\ud800", "", 7, b"bytes", None, "x" * 5000, "x/" * 3000])
def test_what_is_no_path_is_refused(verb, target):
    """With an error of ours, whose message is short."""
    with ContextPersistence("memory://") as store, pytest.raises((ConfigurationError, StorageError)) as caught:
        getattr(store, verb)(target)
    assert len(str(caught.value)) < 600


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize("access", [0o600, 0o640, 0o644])
def test_a_copy_is_as_private_as_its_store(tmp_path, access):
    """Backups and exports get the permissions of the database."""
    with ContextPersistence(tmp_path / "store.db") as store:
        (tmp_path / "store.db").chmod(access)
        store.backup(tmp_path / "backup")
        store.export(tmp_path / "export")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("backup", "export")] == [access, access]


def write(target, *, fails_with=None, meanwhile=None, overwrite=False):
    """Write a file that fails, or beside which another is made."""
    with whole_file(target, overwrite=overwrite) as draft:
        draft.write_bytes(b"half")
        if meanwhile is not None:
            target.write_bytes(meanwhile)
        if fails_with is not None:
            raise fails_with


def _no_link(*_, **__):
    raise OSError(errno.EPERM, "Operation not permitted")

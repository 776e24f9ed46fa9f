"""Files that are whole or absent: written under a temporary name, synced, and only then given their own."""

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeAlias

from context_core.errors import ConfigurationError, ContextCoreError, StorageError

UNFINISHED_SUFFIX: Final = ".unfinished"
"""How the hidden folders end in which files are written; one that a killed process left can be deleted."""

ABANDONED_AFTER_S: Final = 3600
"""How long nothing was written to a left folder before a later run deletes it."""

_UNFINISHED_NAME: Final = re.compile(r"\.context-core-[0-9a-f]{16}\.unfinished")

_ACCESS: Final = 0o777
_GROUP_ACCESS: Final = 0o070
_FROM_HERE: Final = -100  # AT_FDCWD: relative paths start at the current folder
_NO_REPLACE: Final = 1  # RENAME_NOREPLACE

Refusal: TypeAlias = type[ConfigurationError] | type[StorageError]


@contextmanager
def whole_file(
    target: Path, *, rights_of: Path | None = None, overwrite: bool = False, refusal: Refusal = ConfigurationError
) -> Iterator[Path]:
    """Yield a path to write to. What is there when the block ends becomes *target*; after an error nothing does.

    The path does not exist yet. It lies in a new hidden folder beside *target*, which only the user of this process can
    enter. What was written is synced before it gets its name, and the name is synced too. A process that is killed
    meanwhile leaves at most that folder, which a later run deletes when nothing was written to it for an hour and no
    process holds its lock. On Windows, and on file systems without locks, it stays until somebody deletes it.

    Args:
        target: The path of the file; its folder must exist.
        rights_of: The copied file gets owner, group and permissions of this one; by default those of any new file.
            Where the group cannot be kept, the group gets no access.
        overwrite: Replace a file that exists. By default one is refused, also if it was made meanwhile.
        refusal: What is raised where *target* cannot be the name of a new file.

    Raises:
        ConfigurationError: See *refusal*.
        StorageError: The file could not be written, because the disk is full for one.
    """
    folder = _new_folder(target, refusal, overwrite=overwrite)
    draft = folder / "draft"
    lock = _locked(folder)
    try:
        _delete_abandoned(target.parent)
        yield draft
        if rights_of is not None:
            _copy_rights(rights_of, draft)
        _sync(draft)
        _name(draft, target, overwrite=overwrite)
        _sync_folder(target.parent)
    except ContextCoreError:
        raise  # some of ours are OSErrors too
    except FileExistsError as error:
        raise _refused(target, refusal, "a file of this name was made meanwhile") from error
    except OSError as error:
        raise StorageError(
            f"{target!s:.300} could not be written ({error.strerror}); what was written of it is removed"
        ) from error
    finally:
        import shutil  # noqa: PLC0415  # it loads the compressions

        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """Lock a folder until the descriptor is closed, which the end of the process does; None where that cannot be."""
    if os.name != "posix":
        return None
    import fcntl  # noqa: PLC0415  # not on Windows

    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _delete_abandoned(parent: Path) -> None:
    """Delete the folders that killed processes of this user left; what cannot be deleted stays."""
    with suppress(OSError):
        for folder in [each for each in parent.iterdir() if _UNFINISHED_NAME.fullmatch(each.name)]:
            _delete_if_abandoned(folder)


def _delete_if_abandoned(folder: Path) -> None:
    if not _is_old_and_ours(folder):
        return  # the age also guards a folder whose lock another host holds, where locks are not shared
    lock = _locked(folder)
    if lock is None:
        return
    import shutil  # noqa: PLC0415  # it loads the compressions

    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _is_old_and_ours(folder: Path) -> bool:
    try:
        own = folder.lstat()
        times = [own.st_mtime]
        for place, _, names in os.walk(folder):
            times += [Path(place, name).lstat().st_mtime for name in names]
    except OSError:
        return False
    if os.name == "posix" and own.st_uid != os.geteuid():
        return False
    return stat.S_ISDIR(own.st_mode) and max(times) < time.time() - ABANDONED_AFTER_S


def _new_folder(target: Path, refusal: Refusal, *, overwrite: bool) -> Path:
    folder = target.parent / f".context-core-{os.urandom(8).hex()}{UNFINISHED_SUFFIX}"
    try:
        if not overwrite and _exists(target):
            raise _refused(target, refusal, "there is one already")
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise _refused(target, refusal, str(error.strerror)) from error
    return folder


def _exists(target: Path) -> bool:
    """Whether the name is taken, also by a broken link; `Path.exists` takes a name that is too long for one that is free."""
    try:
        target.lstat()
    except FileNotFoundError:
        return False
    return True


def _refused(target: Path, refusal: Refusal, problem: str) -> ConfigurationError | StorageError:
    return refusal(f"{target!s:.300} must be a new file in an existing folder: {problem}")


def _copy_rights(source: Path, copy: Path) -> None:
    wanted, given = source.stat(), copy.stat()
    access = stat.S_IMODE(wanted.st_mode) & _ACCESS
    if os.name == "posix" and (wanted.st_uid, wanted.st_gid) != (given.st_uid, given.st_gid):
        try:
            os.chown(copy, wanted.st_uid, wanted.st_gid)
        except PermissionError:
            access = access if _took_group(copy, wanted.st_gid) else access & ~_GROUP_ACCESS
    copy.chmod(access)


def _took_group(copy: Path, group: int) -> bool:
    try:
        os.chown(copy, -1, group)
    except PermissionError:
        return False
    return True


def _name(draft: Path, target: Path, *, overwrite: bool) -> None:
    if overwrite:
        draft.replace(target)
        return
    if draft.is_dir():
        draft.rename(target)  # a folder replaces nothing but an empty folder
        return
    try:
        os.link(draft, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError as error:
        if os.name == "nt":
            draft.rename(target)  # on Windows this never replaces a file
        else:
            _rename_without_replacing(draft, target, error)


def _rename_without_replacing(draft: Path, target: Path, cause: OSError) -> None:
    """For file systems without hard links. Where the system has no such call, *cause* is raised."""
    import ctypes  # noqa: PLC0415  # rarely needed

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise cause
    if rename(_FROM_HERE, os.fsencode(draft), _FROM_HERE, os.fsencode(target), _NO_REPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target)) from cause


def _sync(draft: Path) -> None:
    if not draft.is_dir():
        _sync_file(draft)
        return
    for folder, _, names in os.walk(draft):
        for name in names:
            _sync_file(Path(folder, name))
        _sync_folder(Path(folder))


def _sync_file(path: Path) -> None:
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":  # Windows opens no folders; it writes names through by itself
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

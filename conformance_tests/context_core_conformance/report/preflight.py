"""Before the laws: does the backend open, and is each of its stores really a new one?"""

import contextlib
import re
import tempfile
from importlib.metadata import EntryPoint
from pathlib import Path

import attrs

from context_core import ContextCoreError, ContextPersistence
from context_core.plugins import installed_backends
from context_core.records import BackendDescription
from context_core_conformance.contract import BackendContract
from context_core_conformance.report.redaction import masked
from context_core_conformance.report.results import Driver
from context_core_conformance.samples import a_context


class PreflightError(Exception):
    """The laws cannot run; the message says why."""


def examine(contract: BackendContract) -> Driver:
    """Open two of the contract's stores, and return what the backend says of itself.

    What a driver in the making raises while it reads or writes is for the laws to tell. But a store that holds
    something already is not the suite's to write to.

    Raises:
        PreflightError: The backend cannot be imported or opened, or a store is not empty, or no other than the last.
    """
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder, contextlib.ExitStack() as opened:
        first, second = (_fresh(contract, Path(folder, name), opened) for name in ("first", "second"))
        for store in (first, second):
            if _count(store):
                raise PreflightError(
                    f"the store at {store.describe().location} holds workflows already, and the laws write and delete: "
                    "each needs an empty store of its own"
                )
        with contextlib.suppress(Exception):
            first.save_context(a_context())
        if _count(second):
            raise PreflightError(
                "two addresses lead to one store, and each law needs one of its own: let the placeholder stand where "
                "it makes another store"
            )
        return _driver(first.describe())


def _fresh(contract: BackendContract, folder: Path, opened: contextlib.ExitStack) -> ContextPersistence:
    folder.mkdir()
    try:
        url = contract.fresh_url(folder)
        opened.callback(contract.dispose, url)
        return opened.enter_context(ContextPersistence(url))
    except ContextCoreError as error:
        cause = f" ({type(error.__cause__).__name__}: {error.__cause__})" if error.__cause__ else ""
        raise PreflightError(f"{error}{cause}") from error
    except Exception as error:  # a driver in the making may raise anything, and all of it is this news
        raise PreflightError(f"the backend does not open: {type(error).__name__}: {error}") from error


def _count(store: ContextPersistence) -> int:
    try:
        return store.count_contexts()
    except Exception:  # noqa: BLE001  # a driver that cannot count yet is for the laws to tell
        return 0


def _driver(description: BackendDescription) -> Driver:
    return Driver(
        name=description.name,
        location=_place(description.location),
        capabilities=tuple(sorted(capability.value for capability in description.capabilities)),
        limits=attrs.asdict(description.limits),
        schema_version=description.schema_version,
        distribution=_distribution(installed_backends().get(description.name)),
    )


def _place(location: str) -> str:
    """The location, if it says anything: a fresh folder is gone, and a fresh name forgotten, when somebody reads it."""
    return "" if re.search("conformance[-_]", location) else masked(location)


def _distribution(point: EntryPoint | None) -> str:
    return f"{point.dist.name} {point.dist.version}" if point is not None and point.dist is not None else ""

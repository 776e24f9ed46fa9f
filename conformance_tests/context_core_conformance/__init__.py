"""The conformance suite of context-core: what every backend promises, checked on yours.

::

    from context_core_conformance import BackendContract

    class TestMine(BackendContract):
        def fresh_url(self, tmp_path):
            return f"mine:///{tmp_path}/store"

PYTEST_DONT_REWRITE: pytest would warn where this package was imported before it (ER09).
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from context_core_conformance.access import OlderStore, SilentPeer, StorageAccess
    from context_core_conformance.contract import BackendContract
    from context_core_conformance.promises import PROMISES, Promise, promise
    from context_core_conformance.subject import Subject

__all__ = [
    "PROMISES",
    "BackendContract",
    "OlderStore",
    "Promise",
    "SilentPeer",
    "StorageAccess",
    "Subject",
    "promise",
]

_MODULES: Final = {
    "PROMISES": "promises",
    "BackendContract": "contract",
    "OlderStore": "access",
    "Promise": "promises",
    "SilentPeer": "access",
    "StorageAccess": "access",
    "Subject": "subject",
    "promise": "promises",
}


def __getattr__(name: str) -> Any:
    # Every pytest run of an environment imports this package, for its plugin: the suite itself, which takes 0.7 s and
    # needs hypothesis, waits until somebody names it (ER09).
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)

"""The drivers that can be compared here: an engine whose library is missing is left out."""

import importlib.util
from typing import Final

from context_core.plugins import installed_backends

_LIBRARIES: Final = {"memory": "attrs", "sqlite": "sqlite3", "postgresql": "psycopg", "lmdb": "lmdb"}

DRIVERS: Final = [
    name for name, library in _LIBRARIES.items() if name in installed_backends() and importlib.util.find_spec(library)
]

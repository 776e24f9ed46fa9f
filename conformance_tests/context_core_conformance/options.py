"""The options of pytest that the suite adds. Every pytest run imports this module, so it imports nothing itself."""

from typing import Final

BACKEND: Final = "--context-backend"
PROMISE: Final = "--context-promise"
PREFIX: Final = "--context-prefix"
"""For `context-core conformance`, which tells after the run with which prefix the names of its stores begin."""
EVENTS: Final = "--context-events"
"""For `context-core conformance`, which reads what happens from a pipe."""

PLACEHOLDERS: Final = {
    "tmp_path": "a fresh, empty folder of each law, gone after the run",
    "unique": "a name that no other law and no other run has, fit to be an identifier of SQL",
}
"""What stands in the URL of a backend for that which makes each store a new one."""

DEVIATION: Final = "context_core_deviation"
"""The user property of a report about a law that a declared deviation excuses: the class, what it names, its reason."""

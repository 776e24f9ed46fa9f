"""The PostgreSQL driver: many hosts save to one database; what one has been told is saved, all of them load.

PYTEST_DONT_REWRITE: pytest would warn where this package was imported before it (ER09).
"""

from context_core_postgres._backend import PostgresBackend

__all__ = ["PostgresBackend"]

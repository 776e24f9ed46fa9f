"""The PostgreSQL driver: many hosts save to one database; what one has been told is saved, all of them load."""

from context_core_postgres._backend import PostgresBackend

__all__ = ["PostgresBackend"]

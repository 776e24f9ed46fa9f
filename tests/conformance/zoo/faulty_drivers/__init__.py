"""Drivers that are good but for one thing: what the conformance suite must find.

A fault is a driver of a few lines. Its docstring says what is wrong, `breaks` which promises may fittingly catch it.
"""

from faulty_drivers import (
    in_answers,
    in_batches,
    in_bounds,
    in_calls,
    in_copies,
    in_damage,
    in_deletes,
    in_documents,
    in_errors,
    in_files,
    in_histories,
    in_keys,
    in_lives,
    in_many,
    in_moves,
    in_pages,
    in_queries,
    in_records,
    in_restores,
    in_seldom_verbs,
    in_the_core,
    in_threads,
    in_times,
    in_versions,
    in_waits,
)
from faulty_drivers.fault import FAULTS, Fault

__all__ = ["FAULTS", "FAULT_MODULES", "Fault"]

FAULT_MODULES = (
    *(in_documents, in_records, in_versions, in_histories, in_keys, in_deletes, in_batches, in_queries, in_pages),
    *(
        in_threads,
        in_files,
        in_damage,
        in_errors,
        in_lives,
        in_times,
        in_moves,
        in_calls,
        in_copies,
        in_bounds,
        in_many,
        in_restores,
        in_seldom_verbs,
        in_the_core,
        in_waits,
        in_answers,
    ),
)
"""The modules that fill the list."""

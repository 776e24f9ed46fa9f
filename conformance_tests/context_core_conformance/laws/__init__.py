"""The laws, a module for each group of promises."""

import pkgutil

import pytest

# Before any of them is imported, so that a failed assertion shows the values it compared.
pytest.register_assert_rewrite(
    *(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)),
    "context_core_conformance.stateful.machine",
    "context_core_conformance.stateful.machine_base",
    "context_core_conformance.stateful.machine_reads",
)

"""`pytest --context-promise VE05`: only the laws about some promises, most of the others not even collected."""

import attrs
import pytest

from context_core_conformance import options
from context_core_conformance.contract import promises_of
from context_core_conformance.promises import PROMISES
from context_core_conformance.report import marks


def asked(config: pytest.Config) -> frozenset[str]:
    """The promises that the command line names; empty for all.

    Raises:
        pytest.UsageError: One of them does not exist.
    """
    named = frozenset(config.getoption(options.PROMISE))
    unknown = sorted(named - PROMISES.keys())
    if unknown:
        raise pytest.UsageError(f"{options.PROMISE}: there is no promise {', '.join(unknown)}")
    return named


@attrs.frozen
class Selection:
    """The plugin, for a run that names promises. A refusal stays with the promises of its capability."""

    promises: frozenset[str]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, collector: object, name: str, obj: object) -> list[pytest.Item] | None:
        """Leave out laws about other promises before they are made into hundreds of items."""
        del collector
        laws_promises = promises_of(obj) if name.startswith("test_") else frozenset()
        is_other = laws_promises and not laws_promises & self.promises
        return [] if is_other and not _may_refuse(obj) else None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out refusals of other capabilities, which only their cases tell."""
        capabilities = {PROMISES[promise_id].capability for promise_id in self.promises} - {None}
        wanted = [
            item
            for item in items
            if not (promises := set(marks.promises_of(item)))
            or self.promises & promises
            or capabilities & set(marks.refusals_of(item))
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = wanted


def _may_refuse(law: object) -> bool:
    return any(mark.name == "refuses" for mark in getattr(law, "pytestmark", ()))

"""The conformance suite of context-core: what every backend promises, checked on yours.

::

    from context_core_conformance import BackendContract

    class TestMine(BackendContract):
        def fresh_url(self, tmp_path):
            return f"mine:///{tmp_path}/store"
"""

import pytest

# Before the laws are imported, so that a failed assertion shows the values it compared.
pytest.register_assert_rewrite(
    "context_core_conformance.laws",
    "context_core_conformance.machine",
    "context_core_conformance.machine_base",
    "context_core_conformance.machine_reads",
)

from context_core_conformance.contract import BackendContract  # noqa: E402
from context_core_conformance.doors import OlderStore, SideDoors, SilentPeer  # noqa: E402
from context_core_conformance.promises import PROMISES, Promise, promise  # noqa: E402
from context_core_conformance.subject import Subject  # noqa: E402

__all__ = ["PROMISES", "BackendContract", "OlderStore", "Promise", "SideDoors", "SilentPeer", "Subject", "promise"]

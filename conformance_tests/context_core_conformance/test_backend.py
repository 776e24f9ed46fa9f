"""The contract on a backend that is named by its address: what `pytest --pyargs context_core_conformance` collects.

``--context-backend=URL`` says which. To give a storage access hook, or to dispose of stores, subclass BackendContract instead.
"""

from pathlib import Path
from typing import ClassVar

from context_core_conformance.contract import BackendContract
from context_core_conformance.url_template import UrlTemplate


class TestBackend(BackendContract):
    """Every law, in a store of its own at an address made from the template."""

    template: ClassVar[UrlTemplate]

    def fresh_url(self, tmp_path: Path) -> str:
        return self.template.fill(tmp_path)

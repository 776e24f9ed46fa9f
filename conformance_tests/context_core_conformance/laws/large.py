"""Laws of large answers: what is right for small documents is right for more bytes than an engine takes or gives at a time.

Engines end a page, a message or a transaction at 1 MB, at 4 MB or at 16 MB.
"""

from collections.abc import Sequence
from typing import Final

import attrs
import pytest

from context_core import ContextBackend, VersionConflictError
from context_core.records import (
    DeleteRequest,
    LoadRequest,
    QueryRequest,
    SaveRequest,
    StoredDocument,
    Story,
    VersionRequest,
    Want,
)
from context_core_conformance.promises import promise
from context_core_conformance.subject import Subject
from context_core_conformance.verbs import a_save, apply

COUNT: Final = 20
SIZE: Final = 900_000
"""Less than any driver's limit; all documents together are more than 16 MB."""

NAMES: Final = [f"w{number:02}" for number in range(COUNT)]

_BLOBS: Final = {"blob": "0123456789" * (SIZE // 10)}


def _large(name: str, template: SaveRequest) -> SaveRequest:
    """A save of the template's document in another workflow: to encode each would take longer than to store it."""
    record = template.record
    document = record.document.replace(b'"w00"', f'"{name}"'.encode(), 1)
    return attrs.evolve(template, record=attrs.evolve(record, workflow_id=name, document=document))


class LargeAnswerLaws:
    @promise("BA05", "BA08", "QU09", "PA01")
    def test_many_large_heads_are_given_whole(self, subject: Subject) -> None:
        """By one load and by one query, with and without a limit: each document, in order."""
        backend = subject.backend()
        template = a_save("w00", metadata=_BLOBS)
        apply(backend, *(_large(name, template) for name in NAMES))
        assert _names(backend.load(LoadRequest(workflow_ids=NAMES))) == NAMES
        for limit in (None, COUNT):
            found = backend.query(QueryRequest(want=Want.RECORDS, limit=limit))
            assert [header.workflow_id for header in found.headers] == NAMES[::-1]
            assert _names(found.documents) == NAMES[::-1]
            assert {len(document.document) for document in found.documents} == {len(template.record.document)}

    @promise("VE07", "VE12")
    def test_a_history_of_many_large_versions_is_given_whole(self, subject: Subject) -> None:
        """Of a workflow and of its story, forwards and backwards."""
        backend = subject.backend()
        template = a_save("w00", metadata=_BLOBS)
        apply(backend, *[template] * COUNT)
        for of in ("w00", Story(epic_num=template.record.epic_num, story_num=template.record.story_num)):
            for want in (Want.DOCUMENTS, Want.RECORDS):
                for newest_first in (False, True):
                    request = VersionRequest(of=of, want=want, newest_first=newest_first)
                    numbers = [document.version for document in backend.version(request).documents]
                    assert numbers == list(range(1, COUNT + 1))[:: -1 if newest_first else 1]

    @promise("BA01", "BA04", "BA05", "DE04")
    def test_a_large_batch_is_whole_or_not_there(self, subject: Subject) -> None:
        """A conflict of its last item leaves none of its megabytes; without it, all are there."""
        backend = subject.backend()
        template = a_save("w00", metadata=_BLOBS)
        saves = [_large(name, template) for name in NAMES]
        with pytest.raises(VersionConflictError):
            apply(backend, *saves, DeleteRequest(workflow_id="missing", expected_version=1))
        assert _shown(backend) == 0
        apply(backend, *saves)
        assert _shown(backend) == COUNT


def _names(documents: Sequence[StoredDocument]) -> list[str]:
    return [document.workflow_id for document in documents]


def _shown(backend: ContextBackend) -> int:
    return backend.query(QueryRequest(want=Want.COUNT)).count

"""Faults of the indexed fields: ids, numbers, texts and tags."""

import unicodedata
from collections.abc import Callable

import attrs

from context_core.records import (
    ContextRecord,
    DeleteRequest,
    LoadRequest,
    Operation,
    Selection,
    StoredDocument,
    VersionRequest,
)
from faulty_drivers.base_drivers import Writing
from faulty_drivers.fault import breaks


class _MergingIds(Writing):
    merge: Callable[[str], str]

    def operation(self, operation: Operation) -> Operation:
        if isinstance(operation, DeleteRequest):
            return attrs.evolve(operation, workflow_id=self.merge(operation.workflow_id))
        return super().operation(operation)

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, workflow_id=self.merge(record.workflow_id))

    def load(self, request: LoadRequest) -> list[StoredDocument]:
        return super().load(request._replace(workflow_ids=[self.merge(each) for each in request.workflow_ids]))

    def version(self, request: VersionRequest) -> Selection:
        return super().version(
            attrs.evolve(request, of=self.merge(request.of)) if isinstance(request.of, str) else request
        )


@breaks("RT13")
class IdsIgnoreCase(_MergingIds):
    """`Order` and `order` are one workflow, as with a collation that ignores case."""

    merge = staticmethod(str.lower)


@breaks("RT13")
class IdsAreTrimmed(_MergingIds):
    """An id loses the blanks at its end, as in a column of type CHAR."""

    merge = staticmethod(lambda text: text.rstrip(" ") or text)


@breaks("RT13")
class IdsAreNormalized(_MergingIds):
    """Ids that look alike are one workflow, as on some file systems."""

    merge = staticmethod(lambda text: unicodedata.normalize("NFC", text))


@breaks("RT13")
class IdsBecomeFileNames(_MergingIds):
    """A slash in an id becomes an underscore."""

    merge = staticmethod(lambda text: text.replace("/", "_"))


@breaks("RT04", "RT05")
class IndexedTextIsCut(Writing):
    """Texts end at 100 characters."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, feature=record.feature[:100])


@breaks("RT04", "RT05")
class IndexedTextLosesBlanks(Writing):
    """Blanks at the end of a text are not kept."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, workflow_name=record.workflow_name.rstrip(" "))


@breaks("RT04", "RT05")
class TagsAreSorted(Writing):
    """Tags come back in another order."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, tags=tuple(sorted(record.tags)))


@breaks("RT04", "RT05")
class TagsAreASet(Writing):
    """A tag that was given twice comes back once."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, tags=tuple(dict.fromkeys(record.tags)))


@breaks("RT16", "VE12")
class EpicLevelIsStoryOne(Writing):
    """A workflow without a story counts for the first."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, story_num=record.story_num or 1)


@breaks("RT01", "RT16")
class NumbersHaveThirtyTwoBits(Writing):
    """Numbers of epics and stories lose their upper half."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, epic_num=record.epic_num & 0x7FFFFFFF or 1)


@breaks("RT13")
class IdsLoseWhatCannotBeSeen(_MergingIds):
    """Characters without a weight are left out of ids, as a collation of ICU compares them."""

    merge = staticmethod(lambda text: "".join(each for each in text if unicodedata.category(each) != "Cf") or text)


@breaks("RT13")
class IdsAreFolded(_MergingIds):
    """Ids are compared in their compatibility form: a ligature is its letters, a wide letter a narrow one."""

    merge = staticmethod(lambda text: unicodedata.normalize("NFKC", text)[:255])


class _JoinedTags(Writing):
    """Tags are kept as one text, and come back as what lies between its separators."""

    separator: str

    def record(self, record: ContextRecord) -> ContextRecord:
        joined = self.separator.join(record.tags)
        return attrs.evolve(record, tags=tuple(joined.split(self.separator)) if joined else record.tags)


@breaks("RT04", "QU05")
class TagsAreJoinedByLines(_JoinedTags):
    """A tag of two lines comes back as two."""

    separator = "\n"


@breaks("RT04", "QU05")
class TagsAreJoinedByUnits(_JoinedTags):
    """Tags are parted by the separator of units, which stands in no tag, it was thought."""

    separator = "\x1f"


@breaks("RT04", "QU05")
class TagsAreJoinedByBars(_JoinedTags):
    """Tags are parted by a bar."""

    separator = "|"


@breaks("RT04", "QU05")
class EmptyTagsAreDropped(Writing):
    """A tag without characters is none."""

    def record(self, record: ContextRecord) -> ContextRecord:
        return attrs.evolve(record, tags=tuple(filter(None, record.tags)))

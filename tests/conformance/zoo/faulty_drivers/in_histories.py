"""Faults of histories, of a workflow and of a story."""

from collections.abc import Iterable

import attrs

from context_core.records import Selection, Story, VersionHeader, VersionRequest, Want
from context_core_memory import MemoryBackend
from context_core_memory._state import Version
from faulty_drivers.base_drivers import state_of
from faulty_drivers.fault import breaks


class _OwnStories(MemoryBackend):
    """The history of a story is that of `versions_of`, in the order of `position`."""

    def version(self, request: VersionRequest) -> Selection:
        if isinstance(request.of, str):
            return super().version(request)
        found = sorted(self.versions_of(request.of), key=lambda version: self.position(version.header))
        if request.want is Want.COUNT:
            return Selection(count=self.count(found))
        found = found[::-1] if request.newest_first else found
        page = found[request.offset :][: request.limit]
        return Selection(
            headers=() if request.want is Want.DOCUMENTS else [version.header for version in page],
            documents=() if request.want is Want.HEADERS else [version.document for version in page],
            count=len(page),
        )

    def histories(self) -> Iterable[list[Version]]:
        return [history.versions for history in state_of(self).histories.values()]

    def versions_of(self, story: Story) -> list[Version]:
        return [version for versions in self.histories() for version in versions if _story(version) == story]

    def position(self, header: VersionHeader) -> tuple[object, ...]:
        return header.version, header.created_at, header.workflow_id

    def count(self, found: list[Version]) -> int:
        return len(found)


def _story(version: Version) -> Story:
    return Story(epic_num=version.header.epic_num, story_num=version.header.story_num)


@breaks("VE12")
class StoryGoesByTheHead(_OwnStories):
    """A workflow that moved to another story took its old versions along."""

    def versions_of(self, story: Story) -> list[Version]:
        return [version for versions in self.histories() for version in versions if _story(versions[-1]) == story]


@breaks("VE12")
class StoryKnowsOnlyHeads(_OwnStories):
    """The history of a story leaves out what was saved before the newest versions."""

    def versions_of(self, story: Story) -> list[Version]:
        return [versions[-1] for versions in self.histories() if _story(versions[-1]) == story]


@breaks("VE12", "RT16")
class EpicLevelIsAllItsStories(_OwnStories):
    """Asked for the epic level, it gives every story of the epic: None counts as "any"."""

    def versions_of(self, story: Story) -> list[Version]:
        if story.story_num is not None:
            return super().versions_of(story)
        return [
            version
            for versions in self.histories()
            for version in versions
            if version.header.epic_num == story.epic_num
        ]


@breaks("VE12", "RT16")
class EpicLevelIsEmpty(_OwnStories):
    """NULL = NULL is not true, so that the epic level has no history."""

    def versions_of(self, story: Story) -> list[Version]:
        return [] if story.story_num is None else super().versions_of(story)


@breaks("VE12")
class StoryIsOrderedByTime(_OwnStories):
    """The history of a story is in the order of its saves."""

    def position(self, header: VersionHeader) -> tuple[object, ...]:
        return header.saved_at, header.workflow_id, header.version


@breaks("VE12")
class StoryHasNoTieBreaker(_OwnStories):
    """Versions of one number and time come as they lie."""

    def position(self, header: VersionHeader) -> tuple[object, ...]:
        return header.version, header.created_at


@breaks("VE12")
class StoryCountsWorkflows(_OwnStories):
    """The count of a story's versions is that of its workflows."""

    def count(self, found: list[Version]) -> int:
        return len({version.header.workflow_id for version in found})


@breaks("VE07")
class PageOfHistoryEndsEarly(MemoryBackend):
    """The last version of a page is left out where the history ends with it."""

    def version(self, request: VersionRequest) -> Selection:
        found = super().version(request)
        if request.limit is None or found.count != request.limit or found.count < 2 or request.want is not Want.HEADERS:
            return found
        return Selection(headers=found.headers[:-1], count=found.count - 1)


@breaks("VE07")
class NewestFirstTurnsThePage(MemoryBackend):
    """Backwards it gives the oldest versions, only the other way round."""

    def version(self, request: VersionRequest) -> Selection:
        found = super().version(attrs.evolve(request, newest_first=False))
        if not request.newest_first:
            return found
        return Selection(headers=found.headers[::-1], documents=found.documents[::-1], count=found.count)


@breaks("VE07")
class HistoryEndsAtAHundred(MemoryBackend):
    """Without a limit it gives a hundred versions."""

    def version(self, request: VersionRequest) -> Selection:
        limit = 100 if request.limit is None and request.want is not Want.COUNT else request.limit
        return super().version(attrs.evolve(request, limit=limit))


@breaks("VE07")
class HistoryCountsItsPage(MemoryBackend):
    """The count of a history stops where a page would."""

    def version(self, request: VersionRequest) -> Selection:
        found = super().version(request)
        return Selection(count=min(found.count, 2)) if request.want is Want.COUNT else found

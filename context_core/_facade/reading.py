"""Reading one workflow, many by id, and the history of stories."""

from collections.abc import Iterable
from datetime import datetime
from typing import NoReturn

from context_core._facade.arguments import (
    check_as_of,
    check_flag,
    check_id,
    check_many,
    check_page,
    check_version,
    check_wanted,
    story,
)
from context_core._facade.damaged import Damaged, DamagePolicy, OnDamaged, damage_policy
from context_core._facade.opening import C
from context_core._facade.searching import Searching
from context_core.diff import ContextDiff
from context_core.errors import (
    ContextNotFoundError,
    CorruptDocumentError,
    DamagedHistoryError,
    VersionNotFoundError,
)
from context_core.model import check_text
from context_core.records import LoadRequest, StoredDocument, VersionHeader, VersionRequest, Want


class Reading(Searching[C]):
    """The reading verbs."""

    def load_context(self, workflow_id: str, *, version: int | None = None, as_of: datetime | None = None) -> C:
        """Return the newest version, or exactly *version*, or the one that was newest *as_of* a time (VE03, VE08).

        Raises:
            ContextNotFoundError: There is no such workflow.
            VersionNotFoundError: The workflow has no such version, or none yet at that time.
            CorruptDocumentError: What is stored cannot be read; other versions still can.
            DamagedHistoryError: The head or the history of the workflow is missing; `repair` mends it.
        """
        check_text("workflow_id", workflow_id, allow_empty=False)
        if version is not None or as_of is not None:
            check_version("version", version)
            as_of = check_as_of(as_of, version)
        documents = self._verbs.load(LoadRequest((workflow_id,), version, as_of))
        if not documents:
            self._refuse_missing(workflow_id, version, as_of)
        return self._serializer.to_context(documents[0])

    def load_contexts(
        self, workflow_ids: Iterable[str], *, damaged: Damaged = "raise", on_damaged: OnDamaged | None = None
    ) -> list[C]:
        """Return the newest versions of many workflows, in the asked order, the missing left out (BA08).

        *damaged* and *on_damaged* are those of `search_contexts`.
        """
        wanted = [workflow_ids] if isinstance(workflow_ids, str) else check_many("workflow_ids", workflow_ids)
        for workflow_id in wanted:
            check_id(workflow_id)
        policy = damage_policy(damaged, on_damaged)
        return self._readable_contexts(self._loaded(wanted, policy), (), policy)

    def _loaded(self, wanted: list[str], policy: DamagePolicy) -> list[StoredDocument]:
        """The heads that the backend can read; each round leaves out one that it cannot, or is the last."""
        for _ in range(len(wanted) + 1):
            try:
                return self._verbs.load(LoadRequest(workflow_ids=wanted))
            except (CorruptDocumentError, DamagedHistoryError) as error:
                policy.met(error)
                left = [workflow_id for workflow_id in wanted if workflow_id != error.workflow_id]
                if len(left) == len(wanted):
                    raise
                wanted = left
        return []

    def context_exists(self, workflow_id: str) -> bool:
        """Tell whether the workflow has any version; reads no document."""
        check_id(workflow_id)
        return self._verbs.version(VersionRequest(of=workflow_id, want=Want.COUNT)).count > 0

    def get_context_by_version(self, workflow_id: str, version: int) -> C | None:
        """Return exactly that version, or None where it does not exist."""
        check_wanted("version", version)
        try:
            return self.load_context(workflow_id, version=version)
        except ContextNotFoundError:
            return None

    def history(  # noqa: PLR0913  # options, all but the first by name
        self,
        workflow_id: str,
        *,
        limit: int | None = None,
        offset: int = 0,
        newest_first: bool = False,
        damaged: Damaged = "skip",
        on_damaged: OnDamaged | None = None,
    ) -> list[VersionHeader]:
        """Return the headers of a workflow's versions, oldest first, without reading documents (VE07).

        Empty where the workflow does not exist. A version whose columns cannot be read is left out unless *damaged* is
        "raise"; see `list_headers`.

        Raises:
            DamagedHistoryError: The workflow's head is missing, or is not that of the newest version.
        """
        check_id(workflow_id)
        check_page(limit, offset)
        check_flag("newest_first", newest_first)
        policy = damage_policy(damaged, on_damaged)
        request = VersionRequest(of=workflow_id, limit=limit, offset=offset, newest_first=newest_first)
        found = self._verbs.version(request)
        policy.meet(found.damaged)
        return list(found.headers)

    # Reading stories

    def get_latest_context(
        self,
        epic_num: int,
        story_num: int | None = None,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> C | None:
        """Return the most recently created workflow of a story, or None. *story_num* None is the epic level."""
        return self._first({"epic_num": epic_num, "story_num": story_num}, damaged, on_damaged)

    def get_latest_context_by_status(
        self,
        epic_num: int,
        story_num: int | None,
        status: str,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> C | None:
        """Return the most recently created workflow of a story that has this status, or None."""
        return self._first({"epic_num": epic_num, "story_num": story_num, "status": status}, damaged, on_damaged)

    def get_context_versions(
        self,
        epic_num: int,
        story_num: int | None = None,
        *,
        damaged: Damaged = "raise",
        on_damaged: OnDamaged | None = None,
    ) -> list[C]:
        """Return every stored version of a story's workflows, ordered by (version, created_at, workflow_id) (VE12).

        *damaged* and *on_damaged* are those of `search_contexts`.
        """
        policy = damage_policy(damaged, on_damaged)
        found = self._verbs.version(VersionRequest(of=story(epic_num, story_num), want=Want.DOCUMENTS))
        return self._readable_contexts(found.documents, found.damaged, policy)

    def get_version_count(self, epic_num: int, story_num: int | None = None) -> int:
        """Return how many versions `get_context_versions` would give, reading no document."""
        return self._verbs.version(VersionRequest(of=story(epic_num, story_num), want=Want.COUNT)).count

    def diff(self, workflow_id: str, a: int, b: int) -> ContextDiff:
        """Return what changed from version *a* to version *b* (VE11): readable, and appliable.

        Raises:
            VersionNotFoundError: One of them does not exist.
        """
        check_wanted("a", a)
        check_wanted("b", b)
        before, after = (self.load_context(workflow_id, version=version) for version in (a, b))
        return ContextDiff.between(before, after)

    def _newest_version(self, workflow_id: str) -> int:
        """The number of the newest version, whether that can be read or not."""
        try:
            found = self._verbs.load(LoadRequest((workflow_id,)))
        except CorruptDocumentError as error:
            return error.version
        if not found:
            raise ContextNotFoundError(workflow_id=workflow_id)
        return found[0].version

    def _refuse_missing(self, workflow_id: str, version: int | None, as_of: datetime | None) -> NoReturn:
        if version is None and as_of is None:
            raise ContextNotFoundError(workflow_id=workflow_id)
        head_version = self._newest_version(workflow_id)
        wanted = f"version {version}" if version is not None else f"version saved at or before {as_of}"
        raise VersionNotFoundError(workflow_id=workflow_id, wanted=wanted, head_version=head_version)

"""The results of one run, as plain values: cases, what they say of each promise, and of the whole.

Every text in them is fit to be shown: secrets were taken out where the texts were made.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import attrs

from context_core_conformance.promises import Promise
from context_core_conformance.skipping import SkipKind

BROAD: Final = 6
"""A law for more promises than these is one of whole lives: it finds what no other does, and cannot name it."""


class CaseOutcome(StrEnum):
    """What became of one case of a law."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    DEVIATED = "deviated"
    """It failed, as the driver's test class declares."""
    NOT_REACHED = "not_reached"
    """The run ended before it."""


@attrs.frozen(kw_only=True)
class Failure:
    """Why a case failed.

    Attributes:
        did: The statement of the law that failed.
        came: What came instead of what the law says, a few lines of text.
        place: File and line of the statement.
        values: The values that the statement used, and the request that the driver got, as ``name = value``.
        cause: What stands behind it, in one line that is the same for all failures of one cause; empty if not known.
    """

    did: str
    came: str
    place: str
    values: tuple[str, ...] = ()
    cause: str = ""


@attrs.frozen(kw_only=True)
class Case:
    """One law with one set of parameters.

    Attributes:
        name: The law with its parameters, as pytest names it.
        sentence: What the law says.
        refuses: The capabilities whose refusal it checks.
        reason: Why it was skipped, deviates or was not reached.
    """

    name: str
    law: str
    sentence: str
    promises: tuple[str, ...]
    refuses: tuple[str, ...] = ()
    outcome: CaseOutcome = CaseOutcome.NOT_REACHED
    reason: str = ""
    skip: SkipKind | None = None
    capability: str | None = None
    duration_s: float = 0.0
    failure: Failure | None = None

    @property
    def is_broad(self) -> bool:
        """Whether it checks so many promises at once that its failure does not tell which of them is broken."""
        return len(self.promises) > BROAD


@attrs.frozen(kw_only=True)
class CauseGroup:
    """The failed cases that have one cause.

    Attributes:
        cause: The cause in one line; empty where the cases of one law fail for a reason that no other law shares.
    """

    cause: str
    cases: tuple[Case, ...]

    @property
    def laws(self) -> tuple[str, ...]:
        """The names of the laws, each once."""
        return tuple(dict.fromkeys(case.law for case in self.cases))

    @property
    def promises(self) -> tuple[str, ...]:
        """The ids of the promises, each once. A law that checks many promises at once counts only where it is alone."""
        cases = [case for case in self.cases if not case.is_broad] or self.cases
        return tuple(dict.fromkeys(promise_id for case in cases for promise_id in case.promises))


class Outcome(StrEnum):
    """What a run says of one promise."""

    HELD = "held"
    HELD_IN_PART = "held_in_part"
    """What could be checked holds; some laws lacked a method of the test class, or something of the platform."""
    BROKEN = "broken"
    IN_DOUBT = "in_doubt"
    """A law that checks many promises at once failed, and none of the laws for this one alone."""
    DEVIATED = "deviated"
    """Broken, as the driver's test class declares with a reason."""
    REFUSED = "refused"
    """The backend does not declare the capability, and refuses it: that was checked."""
    NOT_RUN = "not_run"


class Cause(StrEnum):
    """Why a promise was not run."""

    NO_LAW = "no_law"
    NOT_DECLARED = "not_declared"
    NO_ACCESS = "no_access"
    NOT_CHOSEN = "not_chosen"
    SKIPPED = "skipped"
    NOT_REACHED = "not_reached"


@attrs.frozen(kw_only=True)
class PromiseResult:
    """What a run says of one promise.

    Attributes:
        reason: Why, in words; empty where it held.
        cause: Only for a promise that was not run.
        laws: How many laws were called for it; *cases* counts them with their parameters.
        failed: The cases that show it broken.
        duration_s: The time of its cases. A case for several promises counts for each.
    """

    promise: Promise
    outcome: Outcome
    reason: str = ""
    cause: Cause | None = None
    laws: int = 0
    cases: int = 0
    failed: tuple[Case, ...] = ()
    duration_s: float = 0.0


@attrs.frozen(kw_only=True)
class Driver:
    """The backend that was checked, as it describes itself, and the distribution that brings it."""

    name: str
    location: str
    capabilities: tuple[str, ...]
    limits: Mapping[str, int]
    schema_version: int | None
    distribution: str


class Verdict(StrEnum):
    """What a run says of the whole."""

    KEPT = "kept"
    BROKEN = "broken"
    DEVIATES = "deviates"
    INCOMPLETE = "incomplete"


EXIT_CODES: Final = {Verdict.KEPT: 0, Verdict.BROKEN: 1, Verdict.DEVIATES: 1, Verdict.INCOMPLETE: 3}


@attrs.frozen(kw_only=True)
class Run:
    """One run of the suite.

    Attributes:
        target: The URL template, or the test class as ``module:Class``.
        driver: None where the backend did not open.
        versions: Of Python, the library and what it runs on, by name.
        seed: Gives generated laws the same examples again.
        stopped: Why the run ended before its end, or never began; empty if it did not.
        left: What may be left on a server, in words; empty if nothing is.
    """

    target: str
    driver: Driver | None
    versions: Mapping[str, str]
    seed: int
    started_at: datetime
    duration_s: float
    promises: tuple[PromiseResult, ...]
    cases: tuple[Case, ...]
    stopped: str = ""
    left: str = ""

    @property
    def totals(self) -> Mapping[Outcome, int]:
        """How many promises came to each outcome."""
        found = Counter(result.outcome for result in self.promises)
        return {outcome: found[outcome] for outcome in Outcome}

    @property
    def ran(self) -> int:
        """How many cases were called."""
        return sum(case.outcome not in (CaseOutcome.SKIPPED, CaseOutcome.NOT_REACHED) for case in self.cases)

    @property
    def failed(self) -> Sequence[Case]:
        """The cases that failed: those that say most precisely what is broken first, the cases of one law together."""
        failed = [case for case in self.cases if case.outcome is CaseOutcome.FAILED]
        order = {promise: number for number, promise in enumerate(result.promise.id for result in self.promises)}
        return sorted(
            failed, key=lambda case: (case.is_broad, min(map(order.__getitem__, case.promises), default=0), case.law)
        )

    @property
    def causes(self) -> Sequence[CauseGroup]:
        """The cases that failed, grouped by what stands behind them: causes of many laws first."""
        groups: dict[str, list[Case]] = {}
        for case in self.failed:
            cause = case.failure.cause if case.failure is not None else ""
            groups.setdefault(cause or f"law {case.law}", []).append(case)
        found = [
            CauseGroup(cause=cases[0].failure.cause if cases[0].failure else "", cases=tuple(cases))
            for cases in groups.values()
        ]
        return sorted(found, key=lambda group: -len(group.laws))

    @property
    def is_partial(self) -> bool:
        """Whether only some promises were asked about."""
        return any(result.cause is Cause.NOT_CHOSEN for result in self.promises)

    @property
    def verdict(self) -> Verdict:
        """What all of it comes to. Where nothing ran, nothing is kept."""
        missing = {result.cause for result in self.promises} & {Cause.SKIPPED, Cause.NOT_REACHED}
        if self.totals[Outcome.BROKEN] or self.totals[Outcome.IN_DOUBT]:
            return Verdict.BROKEN
        if self.stopped or missing or not self.ran:
            return Verdict.INCOMPLETE
        return Verdict.DEVIATES if self.totals[Outcome.DEVIATED] else Verdict.KEPT

    @property
    def headline(self) -> str:
        """The verdict as a sentence that claims no more than was checked."""
        held = self.totals[Outcome.HELD] + self.totals[Outcome.HELD_IN_PART]
        part = ". Only some promises were asked about: this says nothing of the others" if self.is_partial else ""
        match self.verdict:
            case Verdict.BROKEN:
                doubt = f", {self.totals[Outcome.IN_DOUBT]} in doubt" if self.totals[Outcome.IN_DOUBT] else ""
                early = f". The run did not finish: {self.stopped}" if self.stopped else ""
                return f"{_promises(self.totals[Outcome.BROKEN])} broken{doubt}{part}{early}"
            case Verdict.DEVIATES:
                return f"{_promises(self.totals[Outcome.DEVIATED])} broken as declared, and no other{part}"
            case Verdict.INCOMPLETE:
                return f"The run is not complete: {self.stopped or 'nothing ran, or not all that was asked for'}{part}"
            case Verdict.KEPT if self.is_partial:
                return f"{_promises(held)} held{part}"
            case Verdict.KEPT:
                in_part = self.totals[Outcome.HELD_IN_PART]
                unchecked = f"; {in_part} of them were checked in part" if in_part else ""
                return f"Every promise that the suite can check here is kept, or refused as declared{unchecked}"

    def of_group(self, group: str) -> Sequence[PromiseResult]:
        """The promises of one group."""
        return [result for result in self.promises if result.promise.group == group]


def _promises(count: int) -> str:
    return f"{count} promise{'' if count == 1 else 's'}"

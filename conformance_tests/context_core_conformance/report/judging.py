"""From cases to promises: what the laws that ran, and those that did not, say of each promise."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import attrs

from context_core_conformance.contract import BackendContract
from context_core_conformance.promises import PROMISES, Promise
from context_core_conformance.report.results import Case, CaseOutcome, Cause, Outcome, PromiseResult
from context_core_conformance.skipping import SkipKind

CALLED: Final = (CaseOutcome.PASSED, CaseOutcome.FAILED, CaseOutcome.DEVIATED)


@attrs.frozen
class Judge:
    """Says what *cases* mean for a promise.

    Attributes:
        capabilities: What the backend declares; None where it did not even open.
        chosen: The ids of the promises that were asked about.
    """

    cases: Sequence[Case]
    capabilities: Collection[str] | None
    chosen: Collection[str]

    def judge(self, promise: Promise) -> PromiseResult:
        """A promise holds if all its laws passed, and at least one did."""
        cases = [case for case in self.cases if promise.id in case.promises]
        found = self._outcome(promise, cases)
        called = [case for case in cases if case.outcome in CALLED]
        return attrs.evolve(
            found,
            laws=len({case.law for case in called}),
            cases=len(called),
            duration_s=sum(case.duration_s for case in cases),
        )

    def _outcome(self, promise: Promise, cases: Sequence[Case]) -> PromiseResult:
        failed = _of(CaseOutcome.FAILED, cases)
        if any(not case.is_broad for case in failed):
            return _broken(promise, failed, f"{len(failed)} of {len(cases)} cases failed")
        if promise.id not in self.chosen:
            return _not_run(promise, Cause.NOT_CHOSEN, "it was not asked about")
        if failed:
            reason = f"{failed[0].name} failed, which checks {len(failed[0].promises)} promises at once"
            return PromiseResult(promise=promise, outcome=Outcome.IN_DOUBT, reason=reason, failed=failed)
        if self.capabilities is not None and promise.capability not in (None, *self.capabilities):
            return self._without(promise, str(promise.capability))
        if not LAWS.get(promise.id):
            return _not_run(promise, Cause.NO_LAW, "the suite has no law for it: the driver's own tests must show it")
        return self._of_those_that_ran(promise, cases)

    def _of_those_that_ran(self, promise: Promise, cases: Sequence[Case]) -> PromiseResult:
        """The promise of cases of which none failed."""
        deviated = _of(CaseOutcome.DEVIATED, cases)
        if deviated:
            reason = _joined(case.reason for case in deviated)
            return PromiseResult(promise=promise, outcome=Outcome.DEVIATED, reason=reason, failed=deviated)
        unreached = _of(CaseOutcome.NOT_REACHED, cases)
        if unreached or not cases:
            return _not_run(promise, Cause.NOT_REACHED, _joined(case.reason for case in unreached) or "nothing ran")
        return self._held(promise, cases)

    def _held(self, promise: Promise, cases: Sequence[Case]) -> PromiseResult:
        """The promise of cases that passed or were skipped."""
        skipped = _of(CaseOutcome.SKIPPED, cases)
        missing = [case for case in skipped if case.skip in (SkipKind.NO_ACCESS, SkipKind.OTHER)]
        if _of(CaseOutcome.PASSED, cases):
            if not missing:
                return PromiseResult(promise=promise, outcome=Outcome.HELD)
            laws = len({case.law for case in missing})
            reason = f"{laws} law{'s' if laws > 1 else ''} did not run: {_joined(case.reason for case in missing)}"
            return PromiseResult(promise=promise, outcome=Outcome.HELD_IN_PART, reason=reason)
        undeclared = [case.capability for case in skipped if case.skip is SkipKind.NOT_DECLARED]
        if not missing and undeclared:
            return self._without(promise, undeclared[0] or "")
        is_platform = any(case.skip is SkipKind.OTHER for case in missing) or not missing
        return _not_run(
            promise, Cause.SKIPPED if is_platform else Cause.NO_ACCESS, _joined(case.reason for case in skipped)
        )

    def _without(self, promise: Promise, capability: str) -> PromiseResult:
        """The promise of a capability that is not declared: is it refused?"""
        refusals = [case for case in self.cases if capability in case.refuses]
        failed = _of(CaseOutcome.FAILED, refusals)
        if failed:
            return _broken(promise, failed, f"the backend neither declares {capability!r} nor refuses it")
        if _of(CaseOutcome.PASSED, refusals):
            reason = f"the backend does not declare {capability!r}, and refuses it"
            return PromiseResult(promise=promise, outcome=Outcome.REFUSED, reason=reason)
        if refusals:
            return _not_run(promise, Cause.NOT_REACHED, _joined(case.reason for case in refusals))
        return _not_run(promise, Cause.NOT_DECLARED, f"the backend does not declare {capability!r}")


def judged(
    cases: Sequence[Case], *, capabilities: Collection[str] | None, chosen: Collection[str]
) -> tuple[PromiseResult, ...]:
    """What *cases* say of every promise of the suite, in its order."""
    judge = Judge(cases, capabilities, chosen)
    return tuple(judge.judge(promise) for promise in PROMISES.values())


def _laws() -> Mapping[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name in dir(BackendContract):
        marks = getattr(getattr(BackendContract, name), "pytestmark", ()) if name.startswith("test_") else ()
        for mark in marks:
            for promise_id in mark.args if mark.name == "promise" else ():
                found.setdefault(promise_id, set()).add(name)
    return found


LAWS: Final = _laws()
"""The names of the laws that the suite has for each promise."""


def _of(outcome: CaseOutcome, cases: Iterable[Case]) -> tuple[Case, ...]:
    return tuple(case for case in cases if case.outcome is outcome)


def _joined(reasons: Iterable[str]) -> str:
    """Each reason once, in order."""
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _broken(promise: Promise, failed: tuple[Case, ...], reason: str) -> PromiseResult:
    return PromiseResult(promise=promise, outcome=Outcome.BROKEN, reason=reason, failed=failed)


def _not_run(promise: Promise, cause: Cause, reason: str) -> PromiseResult:
    return PromiseResult(promise=promise, outcome=Outcome.NOT_RUN, reason=reason, cause=cause)

"""The JSON report, in a format that programs may rely on.

Its version is raised when something in it is renamed, removed or means another thing; fields may be added. Texts are
UTF-8, times are seconds, and dates ISO 8601 in UTC. docs/drivers.md shows it.
"""

import json
from typing import Any, Final

import attrs

from context_core_conformance.report.results import Case, CauseGroup, PromiseResult, Run
from context_core_conformance.report.targets import Target, replay_command

FORMAT: Final = "context-core-conformance"
FORMAT_VERSION: Final = 1


def to_json(run: Run, target: Target) -> str:
    """The whole report as JSON text."""
    return json.dumps(to_dict(run, target), indent=2, ensure_ascii=False) + "\n"


def to_dict(run: Run, target: Target) -> dict[str, Any]:
    """The whole report as JSON values."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "verdict": run.verdict.value,
        "headline": run.headline,
        "is_partial": run.is_partial,
        "stopped": run.stopped,
        "left": run.left,
        "target": run.target,
        "driver": None if run.driver is None else attrs.asdict(run.driver),
        "versions": dict(run.versions),
        "seed": run.seed,
        "started_at": run.started_at.isoformat(),
        "duration_s": round(run.duration_s, 3),
        "totals": {outcome.value: count for outcome, count in run.totals.items()},
        "causes": [_cause(group) for group in run.causes],
        "promises": [_promise(result) for result in run.promises],
        "laws": [_case(case, run, target) for case in run.cases],
    }


def _promise(result: PromiseResult) -> dict[str, Any]:
    promise = result.promise
    return {
        "id": promise.id,
        "group": promise.group,
        "sentence": promise.sentence,
        "keeper": promise.keeper.value,
        "capability": None if promise.capability is None else promise.capability.value,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "cause": None if result.cause is None else result.cause.value,
        "laws": result.laws,
        "cases": result.cases,
        "failed": [case.name for case in result.failed],
        "duration_s": round(result.duration_s, 3),
    }


def _cause(group: CauseGroup) -> dict[str, Any]:
    return {
        "cause": group.cause,
        "promises": list(group.promises),
        "laws": list(group.laws),
        "cases": [case.name for case in group.cases],
    }


def _case(case: Case, run: Run, target: Target) -> dict[str, Any]:
    failure = case.failure
    return {
        "name": case.name,
        "law": case.law,
        "sentence": case.sentence,
        "promises": list(case.promises),
        "outcome": case.outcome.value,
        "reason": case.reason,
        "duration_s": round(case.duration_s, 3),
        "failure": None
        if failure is None
        else {**attrs.asdict(failure), "replay": replay_command(target, run.seed, case.name)},
    }

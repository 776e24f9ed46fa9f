"""What the process that runs the laws tells the one that reports: one JSON object a line.

``plan`` (all cases) and ``driver``, or ``failed``; then ``start`` and ``case`` for each case; then ``end``. Where a line
is missing, the process died in the case that started last.
"""

import json
from collections.abc import Mapping
from typing import Any, TextIO

import attrs

from context_core_conformance.report.results import Case, CaseOutcome, Driver, Failure
from context_core_conformance.skipping import SkipKind


@attrs.frozen
class EventWriter:
    """Writes events to a stream, each at once."""

    _stream: TextIO

    def plan(self, cases: list[Case]) -> None:
        """All cases that are to run, in order."""
        self._write("plan", cases=[attrs.asdict(case) for case in cases])

    def driver(self, driver: Driver) -> None:
        """The backend was opened, and says this of itself."""
        self._write("driver", driver=attrs.asdict(driver))

    def failed(self, message: str) -> None:
        """The run cannot begin."""
        self._write("failed", message=message)

    def start(self, name: str) -> None:
        """This case begins."""
        self._write("start", name=name)

    def case(self, case: Case) -> None:
        """This case ended."""
        self._write("case", case=attrs.asdict(case))

    def end(self) -> None:
        """Nothing more comes."""
        self._write("end")

    def _write(self, event: str, **facts: Any) -> None:
        self._stream.write(json.dumps({"event": event, **facts}) + "\n")
        self._stream.flush()


def case_of(fields: Mapping[str, Any]) -> Case:
    """The case that an event carries."""
    return Case(
        **{
            **fields,
            "promises": tuple(fields["promises"]),
            "refuses": tuple(fields["refuses"]),
            "outcome": CaseOutcome(fields["outcome"]),
            "skip": fields["skip"] and SkipKind(fields["skip"]),
            "failure": fields["failure"]
            and Failure(**{**fields["failure"], "values": tuple(fields["failure"]["values"])}),
        }
    )


def driver_of(fields: Mapping[str, Any]) -> Driver:
    """The driver that an event carries."""
    return Driver(**{**fields, "capabilities": tuple(fields["capabilities"])})

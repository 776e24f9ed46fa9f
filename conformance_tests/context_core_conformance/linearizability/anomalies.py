"""The anomalies of a history, and a table of the calls that show one: who, when, what, got."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from context_core_conformance.linearizability.histories import EVER, Call


class Anomaly(StrEnum):
    """The ways in which a history can be impossible."""

    DUPLICATE = "two saves have one version, or one save has two"
    GAP = "a version was given to no save"
    INVENTED = "a read returned content that no save wrote"
    OTHER_CONTENT = "a version is not what its save wrote"
    REFUSED_BUT_WRITTEN = "a refused save was written"
    NOTHING_TO_DELETE = "a delete told that it removed what was not there"
    LOST_UPDATE = "a conditional save went over a change that it had not seen"
    FALSE_CONFLICT = "a conflict was reported where there was none"
    RESURRECTED = "a deleted version is there"
    CUT = "the beginning of a history is missing"
    NOT_THERE = "a read did not find what existed all the time"
    INSIDE_BATCH = "a batch was seen, or interrupted, in its middle"
    BELOW_EARLIER = "a save got a lower version than one that was acknowledged before it began"
    TIME_TRAVEL = "a version was read before its save began"
    STALE = "a read missed a change that was acknowledged before it began"
    WENT_BACK = "a read went back behind an earlier one"
    TORN = "no order of these calls explains what they got"


class NotLinearizableError(AssertionError):
    """A history has no order that explains it.

    Attributes:
        anomaly: The kind of it.
        calls: The shortest part of the history that shows it.
    """

    def __init__(self, anomaly: Anomaly, calls: Iterable[Call], reasons: Sequence[str] = ()) -> None:
        self.anomaly = anomaly
        self.calls = tuple(dict.fromkeys(calls))
        super().__init__("\n".join([anomaly.value, "", *table(self.calls), *(["", *reasons] if reasons else [])]))


def table(calls: Sequence[Call]) -> list[str]:
    """Lines of text, a call each, times in milliseconds from the first of them."""
    start_ns = min((call.began_ns for call in calls), default=0)
    rows = [
        (call.who, _ms(call.began_ns - start_ns), _ms(call.ended_ns - start_ns), call.asked, call.got) for call in calls
    ]
    rows.insert(0, ("who", "began", "ended", "what", "got"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _ms(span_ns: float) -> str:
    return "-" if span_ns == EVER else f"{span_ns / 1e6:.3f} ms"

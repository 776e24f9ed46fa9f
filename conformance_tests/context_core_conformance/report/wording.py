"""The words and marks that all reports share."""

from typing import Final

from context_core_conformance.report.results import Outcome, PromiseResult, Verdict

WORDS: Final = {
    Outcome.HELD: "held",
    Outcome.HELD_IN_PART: "held in part",
    Outcome.BROKEN: "broken",
    Outcome.IN_DOUBT: "in doubt",
    Outcome.DEVIATED: "broken as declared",
    Outcome.REFUSED: "refused as declared",
    Outcome.NOT_RUN: "not run",
}

MARKS: Final = {
    Outcome.HELD: "✔",
    Outcome.HELD_IN_PART: "◐",
    Outcome.BROKEN: "✘",
    Outcome.IN_DOUBT: "?",
    Outcome.DEVIATED: "≠",
    Outcome.REFUSED: "⊘",
    Outcome.NOT_RUN: "·",
}
"""Beside the words, never instead of them."""

VERDICTS: Final = {
    Verdict.KEPT: "kept",
    Verdict.BROKEN: "broken",
    Verdict.DEVIATES: "broken as declared",
    Verdict.INCOMPLETE: "not complete",
}


def how_much(result: PromiseResult) -> str:
    """How many laws and cases ran for a promise."""
    if not result.cases:
        return ""
    return f"{counted(result.laws, 'law')}, {counted(result.cases, 'case')}"


def counted(count: int, noun: str) -> str:
    """``1 law``, ``2 laws``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def seconds(duration_s: float) -> str:
    """A duration, with as many digits as mean something."""
    return f"{duration_s:.0f} s" if duration_s >= 10 else f"{duration_s:.2f} s"

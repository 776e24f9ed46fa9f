"""The HTML report: one page that stands alone, without scripts, and is fit to be published."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from string import Template
from typing import Final

from context_core_conformance.promises import PROMISES
from context_core_conformance.report.results import BROAD, Case, CaseOutcome, CauseGroup, Outcome, PromiseResult, Run
from context_core_conformance.report.targets import Target, replay_command
from context_core_conformance.report.wording import MARKS, WORDS, counted, how_much, seconds

OPEN_AT_FIRST: Final = 20
"""How many causes are unfolded. More would make the page too long to read."""


def to_html(run: Run, target: Target) -> str:
    """The whole report as one page. Every text of the run is escaped: test ids and errors may hold anything."""
    template = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"Conformance of {run.driver.name if run.driver else run.target}"),
        verdict=run.verdict.value,
        headline=escape(run.headline),
        notes="\n".join(f'<p class="note">{escape(note)}</p>' for note in (run.left,) if note),
        totals="\n".join(
            _total(outcome, count)
            for outcome, count in run.totals.items()
            if count or outcome in (Outcome.HELD, Outcome.BROKEN)
        ),
        facts="\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _facts(run) if value),
        failures=_failures(run, target),
        groups="\n".join(
            _group(group, list(results), run)
            for group, results in groupby(run.promises, key=lambda result: result.promise.group)
        ),
    )


def _total(outcome: Outcome, count: int) -> str:
    kind = "" if count else ' class="none"'
    return f'<li{kind}><b>{count}</b><span class="{outcome.value}">{_marked(outcome)}</span></li>'


def _facts(run: Run) -> Iterable[tuple[str, str]]:
    yield "Checked", run.target
    if run.driver is not None:
        yield "Brought by", run.driver.distribution or "no installed distribution"
        yield "Location", run.driver.location
        yield "Declares", ", ".join(run.driver.capabilities) or "no capability"
        yield "Limits", ", ".join(f"{name}: {limit:,}" for name, limit in run.driver.limits.items())
        yield "Schema version", "" if run.driver.schema_version is None else str(run.driver.schema_version)
    yield "Ran", f"{counted(run.ran, 'case')} in {seconds(run.duration_s)}, {run.started_at:%Y-%m-%d %H:%M} UTC"
    yield "Seed", str(run.seed)
    yield "With", ", ".join(f"{name} {version}" for name, version in run.versions.items())


def _failures(run: Run, target: Target) -> str:
    deviated = [case for case in run.cases if case.outcome is CaseOutcome.DEVIATED]
    shown = [*run.causes, *(CauseGroup(cause="", cases=(case,)) for case in deviated)]
    if not shown:
        return ""
    parts = [_cause(group, run, target, is_open=number < OPEN_AT_FIRST) for number, group in enumerate(shown)]
    return "\n".join(["<section>", "<h2>What is broken</h2>", *parts, "</section>"])


def _cause(group: CauseGroup, run: Run, target: Target, *, is_open: bool) -> str:
    """One cause with all its laws, and its first case as the example."""
    case, is_shared = group.cases[0], len(group.laws) > 1
    told = [(counted(len(group.promises), "promise").partition(" ")[2].capitalize(), _promises(group))]
    if is_shared:
        told += [(f"{counted(len(group.laws), 'law')} with this cause", _names(group.laws))]
        told += [("For example", f"<p><code>{escape(case.name)}</code></p>")]
    elif len(group.cases) > 1:
        told += [(f"{counted(len(group.cases), 'case')} of this law", _names([each.name for each in group.cases]))]
    told += [("What was expected", f"<p>{escape(case.sentence)}</p>")]
    if case.failure is not None:
        told += [(f"What was done {escape(_at(case.failure.place))}", _block(case.failure.did))]
        told += [("With these values", _block("\n".join(case.failure.values)))] if case.failure.values else []
        told += [("What came", _block(case.failure.came))]
        told += [("Cause", f"<p><code>{escape(case.failure.cause)}</code></p>")] if case.failure.cause else []
    if case.reason:
        told.append(("Declared, because", f"<p>{escape(case.reason)}</p>"))
    told.append(("To run it again", _block(replay_command(target, run.seed, case.name))))
    body = "\n".join(f'<div class="label">{label}</div>{text}' for label, text in told)
    kind = "failure deviated" if case.outcome is CaseOutcome.DEVIATED else "failure"
    return (
        f'<details class="{kind}"{" open" if is_open else ""}>'
        f"<summary><h3><code>{escape(group.cause if is_shared else case.name)}</code></h3></summary>\n{body}\n</details>"
    )


def _names(names: Sequence[str]) -> str:
    return f"<p>{', '.join(f'<code>{escape(name)}</code>' for name in names)}</p>"


def _promises(group: CauseGroup) -> str:
    """The promises of a cause, in their own words as long as they are few."""
    links = {name: f'<a href="#{escape(name)}">{escape(name)}</a>' for name in group.promises}
    if len(links) > BROAD:
        return f"<p>{'One or more of ' if len(group.laws) == 1 else ''}{', '.join(links.values())}</p>"
    return "".join(f"<p>{link} {_prose(PROMISES[name].sentence)}</p>" for name, link in links.items())


def _group(group: str, results: list[PromiseResult], run: Run) -> str:
    kept = sum(result.outcome in (Outcome.HELD, Outcome.HELD_IN_PART) for result in results)
    laws: dict[str, list[Case]] = defaultdict(list)
    for case in run.cases:
        for promise_id in case.promises:
            laws[promise_id].append(case)
    rows = "\n".join(_row(result, laws[result.promise.id]) for result in results)
    return (
        f'<section><h2 id="{escape(group.replace(" ", "-"))}">{escape(group.capitalize())}</h2>\n'
        f"<table><caption>{kept} of {counted(len(results), 'promise')} held</caption>\n"
        '<thead><tr><th scope="col">Id</th><th scope="col">Outcome</th><th scope="col">Promise</th>'
        '<th scope="col">Checked by</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></section>"
    )


def _row(result: PromiseResult, cases: list[Case]) -> str:
    promise = result.promise
    keeper = f"Kept by the {promise.keeper.value}"
    needs = f", where it declares {promise.capability.value}" if promise.capability else ""
    reason = f'<p class="reason">{escape(result.reason)}</p>' if result.reason else ""
    amount = f"{how_much(result)}<br>in {seconds(result.duration_s)}" if result.cases else ""
    return (
        f'<tr id="{escape(promise.id)}"><th scope="row">{escape(promise.id)}</th>'
        f'<td class="outcome {result.outcome.value}">{_marked(result.outcome)}</td>'
        f'<td class="promise"><p>{_prose(promise.sentence)}</p>{reason}{_laws(cases, f"{keeper}{needs}")}</td>'
        f'<td class="amount">{amount}</td></tr>'
    )


def _laws(cases: list[Case], summary: str) -> str:
    """Each law with its sentence, and how many of its cases came to what."""
    if not cases:
        return f'<p class="reason">{escape(summary)}</p>'
    items = []
    for law, group in groupby(sorted(cases, key=lambda case: case.law), key=lambda case: case.law):
        same = list(group)
        outcomes = {case.outcome: sum(other.outcome is case.outcome for other in same) for case in same}
        told = ", ".join(f"{count} {outcome.value.replace('_', ' ')}" for outcome, count in outcomes.items())
        items.append(f"<li>{escape(same[0].sentence)} <code>{escape(law)}</code>: {told}</li>")
    return f"<details><summary>{escape(summary)}; its laws</summary><ul>{''.join(items)}</ul></details>"


def _marked(outcome: Outcome) -> str:
    return f'<span class="mark" aria-hidden="true">{MARKS[outcome]}</span>{WORDS[outcome]}'


def _at(place: str) -> str:
    return f"at {place}" if place else ""


def _prose(text: str) -> str:
    """A sentence of the catalog, in which code stands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _block(text: str) -> str:
    return f'<pre tabindex="0">{escape(text)}</pre>'

"""Reports of a run that nobody ran: what its cases say of each promise, and how every form of the report shows it."""

import io
import json
import re
import shlex
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from html.parser import HTMLParser

import attrs
import pytest
from rich.console import Console

from context_core import Capability, ConfigurationError
from context_core.records import QueryRequest
from context_core_conformance import PROMISES
from context_core_conformance.report import html, json_format, junit, terminal
from context_core_conformance.report.causes import cause_of, crash_in, differences, values_of
from context_core_conformance.report.events import EventWriter, case_of, driver_of
from context_core_conformance.report.judging import LAWS, judged
from context_core_conformance.report.results import (
    EXIT_CODES,
    Case,
    CaseOutcome,
    Cause,
    Driver,
    Failure,
    Outcome,
    Run,
    Verdict,
)
from context_core_conformance.report.targets import parse_target, replay_command
from context_core_conformance.skipping import SkipKind

ALL_CAPABILITIES = tuple(capability.value for capability in Capability)
HOSTILE = "<script>alert('x')</script> & \"]]>"
TARGET = parse_target("engine://me:hunter2@host/db?schema={unique}")
DRIVER = Driver(
    name="engine",
    location="engine://me:***@host/db",
    capabilities=("json_paths",),
    limits={"document_bytes": 1_048_576},
    schema_version=3,
    distribution=f"engine-driver {HOSTILE}",
)


def case(law, *promises, outcome=CaseOutcome.PASSED, **fields):
    """One case of a law."""
    fields.setdefault("name", law)
    return Case(law=law, sentence=f"What {law} says.", promises=promises, outcome=outcome, duration_s=0.5, **fields)


BROKEN = case(
    "test_broken",
    "CA01",
    name=f"test_broken[{HOSTILE}]",
    outcome=CaseOutcome.FAILED,
    failure=Failure(
        did=f"assert {HOSTILE}",
        came=f"AssertionError: {HOSTILE}\nmore of it",
        place="laws/cas.py:7",
        values=(f"limit = {HOSTILE}",),
        cause="KeyError at driver/read.py:7, in load",
    ),
)
CASES = (
    case("test_held", "VE01"),
    BROKEN,
    case("test_part", "DE01"),
    case(
        "test_door",
        "DE01",
        outcome=CaseOutcome.SKIPPED,
        skip=SkipKind.NO_ACCESS,
        reason="there is no storage access hook",
    ),
    case(
        "test_only_door",
        "BA03",
        outcome=CaseOutcome.SKIPPED,
        skip=SkipKind.NO_ACCESS,
        reason="there is no storage access hook",
    ),
    case("test_platform", "TI02", outcome=CaseOutcome.SKIPPED, skip=SkipKind.OTHER, reason="there is no time zone"),
    case("test_deviates", "QU02", outcome=CaseOutcome.DEVIATED, reason=f"not yet {HOSTILE}"),
    case("test_prune", "RE01", outcome=CaseOutcome.SKIPPED, skip=SkipKind.NOT_DECLARED, capability="prune"),
    case("test_refused", "ER08", refuses=("prune",)),
    case("test_unreached", "PA01", outcome=CaseOutcome.NOT_REACHED, reason="it was interrupted"),
)


def a_run(cases=CASES, *, chosen=tuple(PROMISES), driver=DRIVER, stopped=""):
    """A run of these cases."""
    return Run(
        target=str(TARGET),
        driver=driver,
        versions={"Python": "3.11.0", "context-core": "0.1.0"},
        seed=7,
        started_at=datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
        duration_s=12.5,
        promises=judged(cases, capabilities=driver and driver.capabilities, chosen=chosen),
        cases=tuple(cases),
        stopped=stopped,
    )


def result(run, promise_id):
    """What a run says of one promise."""
    (found,) = (result for result in run.promises if result.promise.id == promise_id)
    return found


class TestPromises:
    @pytest.mark.parametrize(
        ("promise_id", "outcome", "cause"),
        [
            ("VE01", Outcome.HELD, None),
            ("DE01", Outcome.HELD_IN_PART, None),
            ("CA01", Outcome.BROKEN, None),
            ("QU02", Outcome.DEVIATED, None),
            ("RE01", Outcome.REFUSED, None),
            ("CR01", Outcome.NOT_RUN, Cause.NOT_DECLARED),
            ("BA03", Outcome.NOT_RUN, Cause.NO_ACCESS),
            ("TI02", Outcome.NOT_RUN, Cause.SKIPPED),
            ("PA01", Outcome.NOT_RUN, Cause.NOT_REACHED),
            ("PA02", Outcome.NOT_RUN, Cause.NOT_REACHED),
        ],
    )
    def test_each_outcome_is_told_apart(self, promise_id, outcome, cause):
        """With a reason, unless the promise is held."""
        found = result(a_run(), promise_id)
        assert (found.outcome, found.cause) == (outcome, cause)
        assert (found.reason == "") is (outcome is Outcome.HELD)

    def test_every_promise_has_a_law(self):
        """So that nothing need be taken on trust."""
        assert set(LAWS) == set(PROMISES)

    def test_nothing_is_refused_unless_the_refusal_was_seen(self):
        """A promise is not excused by a capability that is only left out."""
        skipped = case(
            "test_prune", "RE01", outcome=CaseOutcome.SKIPPED, skip=SkipKind.NOT_DECLARED, capability="prune"
        )
        assert result(a_run([skipped]), "RE01").cause is Cause.NOT_DECLARED

    def test_what_is_not_refused_is_broken(self):
        """A driver that does not declare a capability, and does something all the same, keeps nothing."""
        failed = case("test_refused", "ER08", refuses=("prune",), outcome=CaseOutcome.FAILED)
        run = a_run([failed])
        assert {result(run, name).outcome for name in ("RE01", "RE02", "ER08")} == {Outcome.BROKEN}

    def test_a_law_of_many_promises_puts_them_in_doubt(self):
        """Unless another law shows which of them is broken."""
        many = tuple(PROMISES)[:10]
        broad = case("test_lives", *many, outcome=CaseOutcome.FAILED)
        narrow = case("test_one", many[0], outcome=CaseOutcome.FAILED)
        passed = case("test_other", many[1])
        run = a_run([broad, narrow, passed])
        assert result(run, many[0]).outcome is Outcome.BROKEN
        assert {result(run, name).outcome for name in many[1:]} == {Outcome.IN_DOUBT}
        assert [each.law for each in run.failed] == ["test_one", "test_lives"]
        assert a_run([broad]).verdict is Verdict.BROKEN

    def test_cases_of_one_law_are_counted_once_as_a_law(self):
        """And their times add up; what was skipped was not called."""
        cases = [case("test_held", "VE01", name=f"test_held[{number}]") for number in range(3)]
        skipped = case("test_other", "VE01", outcome=CaseOutcome.SKIPPED, skip=SkipKind.DECLARED)
        found = result(a_run([*cases, skipped]), "VE01")
        assert (found.outcome, found.laws, found.cases, found.duration_s) == (Outcome.HELD, 1, 3, 2.0)


class TestVerdict:
    def everything(self, **fields):
        """A run of a law for each promise that has one."""
        cases = [case(f"test_{name}", name) for name in LAWS]
        return a_run(cases, driver=attrs.evolve(DRIVER, capabilities=ALL_CAPABILITIES), **fields)

    def test_all_kept_is_zero(self):
        """Promises for which the suite has no law are named, and not claimed."""
        run = self.everything()
        assert (run.verdict, EXIT_CODES[run.verdict], run.is_partial) == (Verdict.KEPT, 0, False)
        assert run.headline.startswith("Every promise that the suite can check here is kept")

    def test_a_partial_run_claims_no_more_than_it_asked(self):
        """It succeeds, and says that it says nothing of the others."""
        run = a_run([case("test_held", "VE01")], chosen=("VE01",))
        assert (run.verdict, run.is_partial) == (Verdict.KEPT, True)
        assert run.headline.startswith("1 promise held. Only some promises were asked about")
        assert result(run, "VE02").cause is Cause.NOT_CHOSEN
        assert "very promise" not in run.headline

    @pytest.mark.parametrize("chosen", [tuple(PROMISES), ("VE01",)])
    def test_nothing_ran_is_red(self, chosen):
        """Whatever was asked for."""
        for cases in ([], [case("test_held", "VE01", outcome=CaseOutcome.SKIPPED, skip=SkipKind.OTHER, reason="no")]):
            run = a_run(cases, chosen=chosen)
            assert EXIT_CODES[run.verdict] == 3

    def test_a_promise_nobody_has_a_law_for_is_red_alone(self, monkeypatch):
        """`--promise CO11` cannot succeed, for there is nothing to run."""
        monkeypatch.delitem(LAWS, "CO11")
        assert result(a_run(), "CO11").cause is Cause.NO_LAW
        assert a_run([], chosen=("CO11",)).verdict is Verdict.INCOMPLETE

    def test_a_run_that_ended_early_is_red(self):
        """Though all that ran was kept."""
        run = self.everything(stopped="it was interrupted")
        assert EXIT_CODES[run.verdict] == 3
        assert "it was interrupted" in run.headline

    def test_broken_is_one_and_a_deviation_too(self):
        """A declared deviation is told apart, and is no success."""
        assert EXIT_CODES[a_run().verdict] == 1
        deviates = case("test_deviates", "QU02", outcome=CaseOutcome.DEVIATED, reason="not yet")
        run = a_run([deviates], chosen=("QU02",))
        assert (run.verdict, EXIT_CODES[run.verdict]) == (Verdict.DEVIATES, 1)


class TestEvents:
    def test_what_is_written_is_read_again(self):
        """Every case and the driver, in all their parts."""
        stream = io.StringIO()
        writer = EventWriter(stream)
        writer.plan(list(CASES))
        writer.driver(DRIVER)
        plan, driver = map(json.loads, stream.getvalue().splitlines())
        assert tuple(map(case_of, plan["cases"])) == CASES
        assert driver_of(driver["driver"]) == DRIVER


def shown(form, run):
    """The report in one of its forms, as text."""
    if form == "terminal":
        stream = io.StringIO()
        terminal.show(Console(file=stream, width=200), run, TARGET)
        return stream.getvalue()
    writers = {"json": json_format.to_json, "html": html.to_html, "junit": lambda *of: junit.to_junit(*of).decode()}
    return writers[form](run, TARGET)


@pytest.mark.parametrize("form", ["terminal", "json", "html", "junit"])
class TestEveryForm:
    def test_it_names_what_is_broken_and_how_to_replay_it(self, form):
        """The law, the statement, what came, and the command."""
        text = html_text(shown(form, a_run())) if form == "html" else shown(form, a_run())
        text = json.dumps(json.loads(text), ensure_ascii=False).replace('\\"', '"') if form == "json" else text
        text = "".join(ET.fromstring(text).itertext()) if form == "junit" else text
        for said in (
            "What test_broken says.",
            f"assert {HOSTILE}",
            f"AssertionError: {HOSTILE}",
            "--hypothesis-seed=7",
            f"limit = {HOSTILE}",
            "KeyError at driver/read.py:7, in load",
        ):
            assert said in text

    def test_it_holds_no_password(self, form):
        """Not in the address, nor in the command to replay a case."""
        text = shown(form, a_run())
        assert "hunter2" not in text
        assert "engine://me:***@host/db?schema={unique}" in text.replace("&#x27;", "'")

    def test_it_says_why_nothing_ran(self, form):
        """Where the backend did not open."""
        run = a_run([], driver=None, stopped="no backend is called 'engin'")
        assert "no backend is called 'engin'" in shown(form, run).replace("&#x27;", "'")


class Page(HTMLParser):
    """What a page holds: its text, its tags, and what its links and ids say."""

    def __init__(self, source):
        super().__init__()
        self.text, self.tags, self.links, self.ids = [], [], [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [found["href"]] if "href" in found else []
        self.ids += [found["id"]] if "id" in found else []

    def handle_data(self, data):
        self.text.append(data)


def html_text(source):
    """The text of a page as a reader sees it."""
    return "".join(Page(source).text)


def failed(law, *promises, cause="", **fields):
    """A failed case, with the cause of its failure."""
    return case(
        law,
        *promises,
        outcome=CaseOutcome.FAILED,
        failure=Failure(did="did()", came="KeyError: 1", place="laws/x.py:1", cause=cause),
        **fields,
    )


class TestCauses:
    TYPO = "NameError at driver/read.py:7, in load"
    CASES = (
        failed("test_alone", "CA01", cause="ValueError at driver/read.py:9, in load"),
        failed("test_first", "VE01", cause=TYPO),
        failed("test_second", "VE02", cause=TYPO, name="test_second[1]"),
        failed("test_second", "VE02", cause=TYPO, name="test_second[2]"),
        failed("test_silent", "VE03"),
    )

    def test_failures_of_one_cause_are_one_group(self):
        """Causes of many laws come first; a failure without a cause groups with the cases of its law alone."""
        groups = a_run(self.CASES).causes
        assert [(group.cause, group.laws, group.promises, len(group.cases)) for group in groups] == [
            (self.TYPO, ("test_first", "test_second"), ("VE01", "VE02"), 3),
            ("", ("test_silent",), ("VE03",), 1),
            ("ValueError at driver/read.py:9, in load", ("test_alone",), ("CA01",), 1),
        ]

    @pytest.mark.parametrize("form", ["terminal", "html"])
    def test_a_shared_cause_is_told_once(self, form):
        """With all its laws, and one example."""
        text = shown(form, a_run(self.CASES))
        text = html_text(text) if form == "html" else text
        assert text.count(self.TYPO) <= 2  # as the title and, on the page, once more below its example
        assert "test_first, test_second" in text
        assert text.count("did()") == 3

    def test_programs_get_the_groups(self):
        """As names of promises, laws and cases."""
        first = json.loads(shown("json", a_run(self.CASES)))["causes"][0]
        assert first["cause"] == self.TYPO
        assert first["promises"] == ["VE01", "VE02"]
        assert first["cases"] == ["test_first", "test_second[1]", "test_second[2]"]

    def test_a_run_that_is_broken_and_did_not_finish_says_both(self):
        """A reader must not take it for a run to the end."""
        headline = a_run(self.CASES, stopped="it was interrupted").headline
        assert "broken" in headline
        assert headline.endswith("The run did not finish: it was interrupted")


def raised(action):
    """The error that *action* raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # any: the test looks at what it is
        action()
    return caught.value


def a_driver(request):
    raise LookupError(request)


class TestCauseOfFailure:
    def test_it_names_the_innermost_frame_outside_the_suite(self):
        """Also where the driver wrapped the error in another one."""

        def wrapped():
            try:
                a_driver(1)
            except LookupError as error:
                raise ValueError("number 3") from error

        here = r"LookupError at conformance/test_reports\.py:\d+, in a_driver"
        assert re.fullmatch(here, cause_of(raised(lambda: a_driver(2))))
        assert re.fullmatch(here, cause_of(raised(wrapped)))

    def test_without_a_frame_it_is_the_shape_of_the_message(self):
        """Numbers and quoted texts differ from law to law."""
        assert cause_of(ValueError("'a' is 1\nand more")) == cause_of(ValueError("'b' is 22")) == "ValueError: '…' is N"

    def test_a_difference_is_known_by_its_field(self):
        """Wherever in a list the value stands; an assertion that says nothing more has no cause to share."""
        one, other = (AssertionError(f"assert\n  differs at [{n}].saved_at: 1 != 2") for n in (1, 20))
        assert cause_of(one) == cause_of(other) == "values differ in [N].saved_at"
        assert cause_of(AssertionError("assert False")) == ""

    def test_a_process_that_crashed_is_known_by_its_traceback(self):
        """Which it printed before it ended."""
        printed = """warning
Traceback (most recent call last):
  File "/home/me/driver/write.py", line 7, in save
    self.nothing()
NameError: name 'nothing' is not defined
"""
        crash = crash_in(printed)
        assert crash.startswith("Traceback")
        assert cause_of(ChildProcessError("died"), crash).endswith("at driver/write.py:7, in save")
        assert crash_in("warning") == ""

    def test_the_values_of_a_statement_are_shown(self):
        """Those that its names had, and the request that the driver got."""
        request = QueryRequest(limit=3)
        error = raised(lambda: a_driver(request))
        lines = values_of("assert query(limit) == found", {"limit": 3, "found": [1], "other": 5, "query": print}, error)
        assert lines == ("limit = 3", "found = [1]", "request = QueryRequest(limit=3)")


class TestDifferences:
    @pytest.mark.parametrize(
        ("left", "right", "line"),
        [
            ([DRIVER], [attrs.evolve(DRIVER, schema_version=4)], "differs at [0].schema_version: 3 != 4"),
            ({"a": (1, 2)}, {"a": (1, 3)}, "differs at ['a'][1]: 2 != 3"),
            ([1], [1, 2], "differs at [1]: nothing != 2"),
            ([1], [True], "differs at [0]: 1 != True"),
            ({"a": 1}, {}, "differs at ['a']: 1 != nothing"),
        ],
    )
    def test_the_field_is_named(self, left, right, line):
        """In lists, tuples, mappings and objects, however deep."""
        assert differences(left, right) == [line]

    def test_plain_values_are_left_to_pytest(self):
        """As are values without a difference."""
        assert differences(1, 2) == differences("a", "b") == differences([1], [1]) == []


class TestPage:
    def test_it_stands_alone_and_runs_nothing(self):
        """No script, nothing that is fetched, whatever the names and errors of the run hold."""
        page = Page(shown("html", a_run()))
        assert not {"script", "link", "img", "iframe"} & set(page.tags)
        assert all(link.startswith("#") for link in page.links)
        assert "url(" not in "".join(page.text)

    def test_its_links_lead_to_its_promises(self):
        """Each promise has a place, and no place is there twice."""
        page = Page(shown("html", a_run()))
        assert set(PROMISES) <= set(page.ids)
        assert len(page.ids) == len(set(page.ids))
        assert {link.removeprefix("#") for link in page.links} <= set(page.ids)

    def test_it_shows_every_promise_with_its_outcome_in_words(self):
        """Not by colour alone."""
        text = re.sub(r"\s+", " ", html_text(shown("html", a_run())))
        for promise in PROMISES.values():
            assert re.sub(r"\s+", " ", promise.sentence.replace("`", "")) in text
        for words in (
            "held",
            "held in part",
            "broken",
            "in doubt",
            "broken as declared",
            "refused as declared",
            "not run",
        ):
            assert words in text

    def test_what_is_broken_is_unfolded(self):
        """A reader need not look for it."""
        source = shown("html", a_run())
        assert source.count('<details class="failure" open>') == 1


class TestJson:
    KEYS = (
        "format format_version verdict headline is_partial stopped left target driver versions seed started_at "
        "duration_s totals causes promises laws"
    )
    PROMISE_KEYS = "id group sentence keeper capability outcome reason cause laws cases failed duration_s"
    LAW_KEYS = "name law sentence promises outcome reason duration_s failure"

    def test_its_form_is_stable(self):
        """Programs rely on it: what is renamed or removed here raises the format's version."""
        found = json.loads(shown("json", a_run()))
        assert (found["format"], found["format_version"]) == ("context-core-conformance", 1)
        assert list(found) == self.KEYS.split()
        assert {tuple(promise) for promise in found["promises"]} == {tuple(self.PROMISE_KEYS.split())}
        assert {tuple(law) for law in found["laws"]} == {tuple(self.LAW_KEYS.split())}
        (failure,) = (law["failure"] for law in found["laws"] if law["failure"])
        assert list(failure) == ["did", "came", "place", "values", "cause", "replay"]
        assert list(found["totals"]) == [outcome.value for outcome in Outcome]

    def test_it_is_complete(self):
        """Every promise once, and the totals are theirs."""
        found = json.loads(shown("json", a_run()))
        assert [promise["id"] for promise in found["promises"]] == list(PROMISES)
        assert sum(found["totals"].values()) == len(PROMISES)


class TestJUnit:
    def test_it_counts_as_a_build_machine_does(self):
        """Failures, skips with their reasons, and cases that were not reached as errors."""
        suite = ET.fromstring(shown("junit", a_run()))[0]
        assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
            "tests": "10",
            "failures": "1",
            "errors": "1",
            "skipped": "5",
        }
        cases = {element.get("name"): element for element in suite.findall("testcase")}
        assert [each.get("value") for each in cases[BROKEN.name].iter("property")] == ["CA01"]

    def test_a_run_that_stopped_is_an_error(self):
        """Also where no case was reached."""
        suite = ET.fromstring(shown("junit", a_run([], driver=None, stopped="no backend")))[0]
        assert (suite.get("errors"), suite.get("tests")) == ("1", "1")


class TestTargets:
    def test_a_replay_command_is_one_line_for_a_shell(self):
        """Whatever the name of the case and the address hold."""
        words = shlex.split(replay_command(TARGET, 7, BROKEN.name))
        assert words[:4] == ["python", "-m", "pytest", "--pyargs"]
        assert words[4] == f"context_core_conformance.test_backend::TestBackend::{BROKEN.name}"
        assert words[-1] == "--hypothesis-seed=7"

    def test_a_class_is_a_target(self):
        """By module and name."""
        target = parse_target("my_package.tests:Mine")
        assert (str(target), target.node) == ("my_package.tests:Mine", "my_package.tests::Mine")

    @pytest.mark.parametrize("text", ["", "sqlite", "a/b.py:C", "a:b:c", "sqlite:///x.db"])
    def test_what_is_neither_is_refused(self, text):
        """With an example."""
        with pytest.raises(ConfigurationError, match=r"sqlite:///\{tmp_path\}"):
            parse_target(text)

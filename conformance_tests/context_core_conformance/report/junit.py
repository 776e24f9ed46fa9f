"""The JUnit report: a test case for each case of a law, the ids of its promises among its properties.

pytest's own writer would do, but has nothing to say of a process that crashed, and knows of no password to leave out.
"""

import xml.etree.ElementTree as ET

from context_core_conformance.report.results import Case, CaseOutcome, Run
from context_core_conformance.report.targets import Target, replay_command


def to_junit(run: Run, target: Target) -> bytes:
    """The whole report as an XML document. Cases that were not reached are errors, so that they do not count as passed."""
    suite = ET.Element("testsuite", name=f"context-core conformance of {run.target}")
    properties = ET.SubElement(suite, "properties")
    for name, value in {"verdict": run.verdict.value, "seed": str(run.seed), **run.versions}.items():
        ET.SubElement(properties, "property", name=name, value=value)
    for case in run.cases:
        suite.append(_test_case(case, run, target))
    if run.stopped:
        stopped = ET.SubElement(suite, "testcase", classname="context_core_conformance", name="the run reaches its end")
        ET.SubElement(stopped, "error", message=run.stopped)
    suite.attrib |= {
        "tests": str(len(suite.findall("testcase"))),
        "failures": str(len(suite.findall("testcase/failure"))),
        "errors": str(len(suite.findall("testcase/error"))),
        "skipped": str(len(suite.findall("testcase/skipped"))),
        "time": f"{run.duration_s:.3f}",
        "timestamp": run.started_at.isoformat(),
    }
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    document: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return document


def _test_case(case: Case, run: Run, target: Target) -> ET.Element:
    group = f"context_core_conformance.{case.promises[0]}" if case.promises else "context_core_conformance"
    element = ET.Element("testcase", classname=group, name=case.name, time=f"{case.duration_s:.3f}")
    properties = ET.SubElement(element, "properties")
    for promise_id in case.promises:
        ET.SubElement(properties, "property", name="promise", value=promise_id)
    match case.outcome:
        case CaseOutcome.FAILED if case.failure is not None:
            failure = ET.SubElement(element, "failure", message=case.failure.came.partition("\n")[0])
            failure.text = "\n".join(
                [
                    f"expected: {case.sentence}",
                    f"did: {case.failure.did}",
                    *(f"with: {value}" for value in case.failure.values),
                    f"came: {case.failure.came}",
                    f"at: {case.failure.place}",
                    *([f"cause: {case.failure.cause}"] if case.failure.cause else []),
                    f"replay: {replay_command(target, run.seed, case.name)}",
                ]
            )
        case CaseOutcome.SKIPPED:
            ET.SubElement(element, "skipped", message=case.reason)
        case CaseOutcome.DEVIATED:
            ET.SubElement(element, "skipped", message=f"declared deviation: {case.reason}")
        case CaseOutcome.NOT_REACHED:
            ET.SubElement(element, "error", message=case.reason)
    return element

"""The suite as a part of a pytest run: it takes the URL of a backend, and failures name the promise that was broken."""

import os
from collections.abc import Generator
from typing import Any, Self

import attrs
import pytest
from hypothesis import Phase, settings

from context_core import ConfigurationError
from context_core_conformance import options, selection, test_backend
from context_core_conformance.integrity import IntegrityCheck
from context_core_conformance.promises import PROMISES
from context_core_conformance.report.causes import differences, short
from context_core_conformance.report.collecting import Recorder
from context_core_conformance.report.events import EventWriter
from context_core_conformance.report.marks import promises_of
from context_core_conformance.report.redaction import Redactor
from context_core_conformance.url_template import UrlTemplate


@attrs.frozen(eq=False)  # pluggy keeps plugins in sets
class Suite:
    """The plugin of a run that holds laws."""

    redact: Redactor
    integrity: IntegrityCheck

    @classmethod
    def joining(cls, config: pytest.Config) -> Self:
        """Take part in a run as its options say.

        Raises:
            pytest.UsageError: One of the options is wrong.
        """
        url = config.getoption(options.BACKEND)
        suite = cls(Redactor.of(url or ""), IntegrityCheck.registered(config))
        if url is not None:
            try:
                test_backend.TestBackend.template = UrlTemplate.parse(url, prefix=config.getoption(options.PREFIX))
            except ConfigurationError as error:
                raise pytest.UsageError(f"{options.BACKEND}: {error}") from error
        promises = selection.asked(config)
        if promises:
            config.pluginmanager.register(selection.Selection(promises), "context_core_selection")
        events = config.getoption(options.EVENTS)
        if events is not None:
            # To explain a failing sequence of steps took hypothesis five minutes, to find and shorten it ten seconds.
            settings.register_profile("report", phases=[phase for phase in Phase if phase is not Phase.explain])
            settings.load_profile("report")
            os.set_inheritable(events, False)  # noqa: FBT003  # what the laws start must not keep it open
            stream = open(events, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # a descriptor, open until the process ends
            config.pluginmanager.register(Recorder(EventWriter(stream), suite.redact))
        return suite

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Name the fields in which two values differ; pytest names those of two objects, not of two lists of objects."""
        lines = differences(left, right) if op == "==" else []
        return [f"{short(left)} == {short(right)}", *lines] if lines else None

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Put the promises of a law among its properties, where the JUnit report shows them."""
        item.user_properties += [("promise", promise_id) for promise_id in promises_of(item)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Put the sentences of the promises beside a failure, and take the password out of it."""
        report = yield
        if report.failed:
            for promise_id in promises_of(item):
                report.sections.append((f"broken promise {promise_id}", PROMISES[promise_id].sentence))
            shown = str(report.longrepr)
            if self.redact(shown) != shown:
                report.longrepr = self.redact(shown)
            report.sections = [(name, self.redact(text)) for name, text in report.sections]
        return report

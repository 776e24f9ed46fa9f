"""The conformance suite finds every faulty driver, by a promise that fits what is wrong with it."""

import functools
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from faulty_drivers import FAULTS, Fault
from faulty_drivers.base_drivers import last_call
from faulty_drivers.contracts import CONTRACTS

from context_core.plugins import GROUP
from context_core_conformance import PROMISES

WHOLE_LIVES: Final = "test_stateful_lives_agree_with_the_model"
"""The law about everything is left out: a fault must be found by what it breaks, and at once."""

pytestmark = pytest.mark.filterwarnings(
    # What some faulty drivers leave open is collected after their own run.
    "ignore::ResourceWarning",
    # Threads that a faulty driver leaves behind end after its own run.
    "ignore::pytest.PytestUnhandledThreadExceptionWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)

each_fault: Final = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())


@attrs.define
class Keeper:
    """A pytest plugin that runs the laws about some promises, on a faulty driver, and keeps the failures."""

    failures: list[tuple[pytest.Item, pytest.CallInfo[Any]]] = attrs.Factory(list)
    passed: int = 0

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Generated laws come last: they search for the smallest failure, where any will do."""
        items[:] = [item for item in items if item.originalname != WHOLE_LIVES]
        items.sort(key=lambda item: hasattr(item.obj, "hypothesis"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
        report: Any = yield
        if report.failed:
            self.failures.append((item, call))
        self.passed += report.passed and report.when == "call"
        return report


def show(fault: Fault) -> Keeper:
    """Run the laws about what a faulty driver breaks, until the first failure, in a separate pytest run."""
    keeper = Keeper()
    contract = f"{contracts_file()}::{CONTRACTS[fault.name].__name__}"
    last_call.clear()
    try:
        with fault.infection(), pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
            # Any failure of a generated law will do, not the smallest one.
            patch.setattr("hypothesis.internal.conjecture.engine.MAX_SHRINKING_SECONDS", 0)
            asked = [f"--context-promise={promise_id}" for promise_id in sorted(fault.promises)]
            # A folder of its own: pytest tidies the shared one up, and would meet others there.
            pytest.main([contract, *asked, f"--basetemp={folder}/shown", *_ALONE], plugins=[keeper])
    finally:
        last_call.set()
    return keeper


def contracts_file() -> Path:
    """Where the test classes of the faulty drivers are."""
    return Path(__file__).parent / "faulty_drivers" / "contracts.py"


_ALONE: Final = (
    f"--rootdir={Path(__file__).parent}",
    "--config-file=/dev/null",
    "--import-mode=importlib",
    "--capture=no",
    "--exitfirst",
    *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:unraisableexception"),
    *("-p", "no:threadexception", "-p", "no:logging", "-p", "no:warnings"),
    *("-p", "context_core_conformance.plugin"),
)
"""Nothing of the run around it: no configuration, no plugins, no report."""


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest inside loads only what it is told to."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture(scope="session", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every faulty driver is found by its entry point, as a third-party driver is, in this process and in its children."""
    folder = tmp_path_factory.mktemp("zoo")
    metadata = folder / "zoo-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo\nVersion: 1.0\n")
    lines = [f"{each.driver.scheme} = {each.driver.__module__}:{each.driver.__name__}" for each in FAULTS.values()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield


@each_fault
def test_the_suite_finds_it(fault: Fault, record_property: Callable[[str, object], None]) -> None:
    """By a law about one of the promises that it breaks."""
    keeper = show(fault)
    assert keeper.failures, f"{fault.sentence} — and no law about {', '.join(sorted(fault.promises))} fails"
    ((law, call),) = keeper.failures
    record_property("caught_by", law.name)
    assert call.when != "setup"
    assert call.excinfo is not None
    assert not isinstance(call.excinfo.value, NameError | SyntaxError | ImportError | NotImplementedError)


def test_the_zoo_has_faults_of_every_kind() -> None:
    """At least a hundred, and one or more for each group of promises."""
    broken = functools.reduce(frozenset.union, (fault.promises for fault in FAULTS.values()))
    assert len(FAULTS) >= 100
    assert {PROMISES[promise_id].group for promise_id in broken} == {each.group for each in PROMISES.values()}

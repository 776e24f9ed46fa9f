"""The laws are locked: nothing can be taken out of a run without the run saying so."""

import pytest

from context_core_conformance import BackendContract

HEADER = """
import pytest
from builtin_access import MemoryAccess
from context_core_conformance import BackendContract

class TestMine(MemoryAccess, BackendContract):
"""
LAW = "test_numbers_go_on_after_delete"


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs a test module, and a conftest, in a pytest with no plugin but the suite's; returns its result."""

    def run(body, *arguments, before="", conftest=""):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        pytester.makeconftest(conftest)
        pytester.makepyfile(test_mine=f"{before}{HEADER}{body}")
        options = ("-p", "context_core_conformance.plugin", "-p", "no:cacheprovider", "-q", "--import-mode=importlib")
        return pytester.runpytest_inprocess("test_mine.py", *options, *arguments)

    return run


def one_law(conftest=""):
    """A conftest that leaves one law: not the command line, but someone in the house."""
    return f"def pytest_collection_modifyitems(items): items[:] = [i for i in items if i.name == '{LAW}']\n{conftest}"


@pytest.mark.parametrize(
    "body",
    ["def test_numbers_go_on_after_delete(self): pass", "test_numbers_go_on_after_delete = None", "subject = None"],
    ids=["redefined", "deleted", "fixture"],
)
def test_a_class_cannot_redefine(body):
    """A law, and what the laws stand on, is refused when the class is made."""
    namespace: dict[str, object] = {}
    exec(body.replace("self", "self=None"), namespace)
    namespace = {name: value for name, value in namespace.items() if name != "__builtins__"}
    with pytest.raises(TypeError, match="the laws of the contract are locked"):
        type("TestMine", (BackendContract,), namespace)


def test_a_mixin_cannot_hide_a_law():
    """Also where it stands before the contract, and in a class below."""
    mixin = type("Mixin", (), {LAW: lambda self: None})
    with pytest.raises(TypeError, match=LAW):
        type("TestMine", (mixin, BackendContract), {})
    mine = type("TestMine", (BackendContract,), {})
    with pytest.raises(TypeError, match=LAW):
        type("TestBelow", (mixin, mine), {})


def test_access_hooks_can_be_redefined():
    """What a class is to tell may be told in any of its bases."""
    type("TestMine", (type("Access", (), {"raw_storage": None, "fresh_url": None}), BackendContract), {})


@pytest.mark.parametrize(
    ("name", "reason", "problem"),
    [("test_of_nothing", "because", "neither a law nor a promise"), ("VE05", " ", "gives no reason")],
)
def test_a_deviation_is_of_something_for_a_reason(name, reason, problem):
    """A misspelt one would excuse nothing, or everything."""
    with pytest.raises(TypeError, match=problem):
        type("TestMine", (BackendContract,), {"deviations": {name: reason}})


def test_a_law_that_was_replaced_later_is_told(run):
    """Attributes of a class can be set after it was made."""
    result = run(
        "    pass\nsetattr(TestMine, 'test_numbers_go_on_after_delete', lambda self: None)", "--context-promise", "VE05"
    )
    result.stdout.fnmatch_lines(["*the laws of the contract are locked: replaced: test_numbers_go_on_after_delete*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_law_of_the_contract_itself_cannot_be_replaced(run):
    """Nor can what all classes share."""
    result = run(
        "    pass\npatch = pytest.MonkeyPatch()\n"
        "patch.setattr(BackendContract, 'test_numbers_go_on_after_delete', lambda self: None)",
        "--context-promise",
        "VE05",
        conftest="def pytest_unconfigure():\n    import sys\n    sys.modules['test_mine'].patch.undo()",
    )
    result.stdout.fnmatch_lines(["*replaced: test_numbers_go_on_after_delete*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("mark", ["skip('no')", "skipif(True, reason='no')", "xfail(reason='no')"])
def test_a_mark_on_the_class_excuses_nothing(run, mark):
    """Laws that were marked are told, and the skips count as failures."""
    result = run(f"    pytestmark = [pytest.mark.{mark}]", "--context-promise", "VE05")
    result.stdout.fnmatch_lines(["*marked to be skipped or to fail: *test_numbers_go_on_after_delete*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_door_that_skips_excuses_nothing(run):
    """Only the suite skips: for a capability, or a storage access hook that is not there."""
    result = run("    def fresh_url(self, tmp_path): pytest.skip('not today')", "--context-promise", "VE05")
    result.stdout.fnmatch_lines(["*was skipped or excused from outside the suite*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes().get("skipped", 0) == 0


def test_a_conftest_cannot_leave_laws_out(run):
    """What vanishes between collection and run is told by the integrity check."""
    result = run("    pass", conftest=one_law())
    result.stdout.fnmatch_lines(["*the laws of the contract are locked: left out: *"])
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}


def test_a_conftest_that_leaves_out_everything_is_told(run):
    """Nothing ran is red."""
    result = run("    pass", conftest="def pytest_collection_modifyitems(items): items.clear()")
    result.stdout.fnmatch_lines(["*left out: *"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    "arguments", [("-k", LAW), ("--context-promise", "VE05"), ("--deselect", f"test_mine.py::TestMine::{LAW}")]
)
def test_a_narrowed_run_claims_no_completeness(run, arguments):
    """It may be green, and says how many laws it did not look at."""
    result = run("    pass", *arguments, *(("--collect-only",) if "--deselect" in arguments else ()))
    result.stdout.fnmatch_lines(["INCOMPLETE *TestMine: * laws were left out; this run shows nothing about them"])
    assert result.ret == pytest.ExitCode.OK


def test_a_promise_that_does_not_exist_is_refused(run):
    """A misspelt one would run nothing."""
    result = run("    pass", "--promise", "VE99")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


class TestDeviations:
    FAULTY = """
    def fresh_url(self, tmp_path): return "memory://nobody@forever"
    deviations = {"test_numbers_go_on_after_delete": "the address is none"}
"""

    def test_a_deviation_is_told_and_counts_as_not_held(self, run):
        """The law that it names fails without failing the run."""
        result = run(self.FAULTY, "-k", LAW)
        result.stdout.fnmatch_lines(
            ["DEVIATES *TestMine: test_numbers_go_on_after_delete: the address is none (1 of 1 fail)"]
        )
        assert result.parseoutcomes()["xfailed"] == 1
        assert "passed" not in result.parseoutcomes()

    def test_a_deviation_that_passes_fails_the_run(self, run):
        """It has to go when there is nothing left to excuse."""
        result = run('    deviations = {"test_numbers_go_on_after_delete": "once"}', conftest=one_law(_UNLOCKED))
        result.stdout.fnmatch_lines(["DEVIATES NO MORE, remove it *TestMine: test_numbers_go_on_after_delete: once*"])
        assert result.ret == pytest.ExitCode.TESTS_FAILED

    def test_a_deviation_may_name_a_promise(self, run):
        """It excuses every law about it, and no other."""
        body = self.FAULTY.replace(f'"{LAW}"', '"VE05"')
        result = run(body, "--context-promise", "VE05", "-k", "numbers_go_on_after_delete or test_a_second_delete")
        assert result.parseoutcomes()["xfailed"] == 2
        assert "failed" not in result.parseoutcomes()


_UNLOCKED = """
import pytest
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_finish(session):
    session.items[:] = [item for item in session.items if item.name != "the_laws_are_whole"]
    return (yield)
"""

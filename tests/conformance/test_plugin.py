"""The pytest plugin in the runs of people who test something else, and in those that ask for the suite."""

import subprocess
import sys

import pytest

from context_core_conformance import options, plugin
from context_core_conformance import suite_plugin as taking_part
from context_core_conformance.integrity import IntegrityCheck
from context_core_conformance.report.redaction import Redactor

PYTEST = (
    "sys.exit(pytest.main(['-p', 'no:randomly', '-p', 'no:cacheprovider', '-p', 'no:hypothesispytest', *sys.argv[1:]]))"
)
TELL = """
def test_nothing(pytestconfig):
    import sys
    assert pytestconfig.pluginmanager.has_plugin("context_core_conformance")
    packages = ("attrs", "cattrs", "context_core", "context_core_conformance", "hypothesis", "orjson", "sqlite3")
    found = sorted(name for name in sys.modules if name.partition(".")[0] in packages)
    assert found == ["context_core_conformance", "context_core_conformance.options", "context_core_conformance.plugin"]
"""
WITHOUT = """
import pytest, sys
class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name in ("attrs", "context_core", "hypothesis"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, NotInstalled())
"""


def run(folder, code, *arguments):
    """Run pytest on a folder, in a process of its own; the plugins are those of the environment."""
    return subprocess.run(
        [sys.executable, "-c", f"{code}{PYTEST}", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_run_without_laws_imports_nothing_of_the_suite(tmp_path):
    """The modules of the plugin are there, and they import nothing: no context_core, no hypothesis (ER09)."""
    (tmp_path / "test_theirs.py").write_text(TELL)
    done = run(tmp_path, "import sys, pytest; ", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "warning" not in done.stdout


def test_a_run_without_laws_needs_nothing_of_the_suite(tmp_path):
    """Where hypothesis is not installed, the tests of others run as before (ER09)."""
    (tmp_path / "test_theirs.py").write_text("def test_theirs(): pass\n")
    done = run(tmp_path, WITHOUT, "-W", "error", "--strict-markers")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_help_names_the_options_without_the_suite(tmp_path):
    """`pytest --help` is a run without laws."""
    done = run(tmp_path, WITHOUT, "--help")
    assert done.returncode == 0, done.stdout + done.stderr
    assert options.BACKEND in done.stdout
    assert options.PROMISE in done.stdout


@pytest.mark.parametrize("option", ["--context-backend=memory://{unique}", "--context-promise=VE01"])
def test_who_asks_for_the_suite_is_told_what_it_needs(tmp_path, option):
    """A usage error with the command that installs it, and no traceback."""
    done = run(tmp_path, WITHOUT, option)
    assert done.returncode == 4
    assert 'pip install "context-core[conformance]"' in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_class_of_laws_brings_the_suite_in(tmp_path):
    """Without any option: the integrity check, the promises in the report and the deviations are there."""
    (tmp_path / "test_mine.py").write_text(
        "from context_core_conformance import BackendContract\n"
        "class TestMine(BackendContract):\n"
        "    deviations = {'VE06': 'always'}\n"
        "    def fresh_url(self, tmp_path):\n"
        "        return 'memory://'\n"
    )
    done = run(tmp_path, "import sys, pytest; ", "-k", "identical", "--strict-markers", f"--junitxml={tmp_path}/j.xml")
    assert "INCOMPLETE test_mine.py::TestMine" in done.stdout, done.stdout
    assert 'name="promise" value="VE06"' in (tmp_path / "j.xml").read_text()


def test_reports_of_other_processes_bring_the_suite_in(pytestconfig, monkeypatch):
    """The process that leads those of pytest-xdist imports no law, and yet tells of the deviations."""
    told = []
    monkeypatch.setattr(IntegrityCheck, "pytest_runtest_logreport", lambda _, report: told.append(report))
    watch = plugin._Watch(pytestconfig)
    monkeypatch.setattr(plugin, "_has_suite", lambda _: False)
    joined = taking_part.Suite(redact=Redactor.of(""), integrity=IntegrityCheck(pytestconfig))
    monkeypatch.setattr(plugin, "_suite", lambda _: joined)
    deviating = pytest.TestReport(
        "n", ("f", 1, "n"), {}, "passed", None, "call", user_properties=[(options.DEVIATION, [])]
    )
    other = pytest.TestReport("n", ("f", 1, "n"), {}, "passed", None, "call", user_properties=[("theirs", 1)])
    for report in (other, deviating):
        watch.pytest_runtest_logreport(report)
    assert told == [deviating]

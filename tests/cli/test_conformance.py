"""`context-core conformance`, run as the author of a driver runs it."""

import json
import os
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from context_core_conformance import PROMISES

pytest.importorskip("click", reason="the extra 'cli' is not installed")

DRIVERS = '''
import multiprocessing, os, signal, threading
from context_core import errors
from context_core_sqlite import SqliteBackend
from context_core_memory import MemoryBackend

class Good(MemoryBackend):
    scheme = "good"

class Unlimited(MemoryBackend):
    """A limit of 0 is taken for none."""
    scheme = "unlimited"
    def query(self, request):
        return super().query(request if request.limit != 0 else type(request)(
            conditions=request.conditions, order=request.order, want=request.want, offset=request.offset))

class Crashing(MemoryBackend):
    scheme = "crashing"
    def version(self, request):
        os.kill(os.getpid(), signal.SIGSEGV)

class Hanging(MemoryBackend):
    scheme = "hanging"
    def version(self, request):
        threading.Event().wait()

class Silent(MemoryBackend):
    scheme = "silent"
    def __init__(self, *arguments, **options):
        threading.Event().wait()

class Leaky(MemoryBackend):
    """Tells everybody its password."""
    scheme = "leaky"
    @classmethod
    def from_url(cls, url, *, clock):
        store = cls(url.host, clock=clock)
        store.password = url.password
        return store
    def load(self, request):
        raise errors.StorageError(f"cannot log in with {self.password!r}")

class Closed(MemoryBackend):
    scheme = "closed"
    @classmethod
    def from_url(cls, url, *, clock):
        raise RuntimeError(f"the server does not take {url.password}")

class Shared(MemoryBackend):
    """One store, whatever its address says."""
    scheme = "shared"
    @classmethod
    def from_url(cls, url, *, clock):
        return cls("always the same", clock=clock)

class Used(Shared):
    """Somebody's store."""
    scheme = "used"
    @classmethod
    def from_url(cls, url, *, clock):
        from context_core import ContextPersistence, WorkflowContext
        store = cls("in production", clock=clock)
        ContextPersistence(store).save_context(WorkflowContext("w", 1, 1, "f", "n"))
        return store

class Mistyped(MemoryBackend):
    scheme = "mistyped"
    def version(self, request):
        return self._versoin(request)

class Dying(SqliteBackend):
    """It works, but in the processes that a law starts."""
    scheme = "dying"
    def save(self, request):
        if multiprocessing.parent_process() is not None:
            self.nothing_of_the_kind()
        return super().save(request)

class Ended(MemoryBackend):
    """Somebody ends the command while the laws run."""
    scheme = "ended"
    queries = 0
    def query(self, request):
        Ended.queries += 1
        if Ended.queries == 40:
            os.kill(os.getppid(), getattr(signal, os.environ["ENDED_BY"]))
            threading.Event().wait()
        return super().query(request)
'''
SUITES = """
from context_core_conformance import BackendContract

class Mine(BackendContract):
    stores = 0
    def fresh_url(self, tmp_path):
        Mine.stores += 1
        return f"good://mine-{Mine.stores}"
    def raw_storage(self, url):
        yield b"nothing of it"

class NoContract:
    def test_something(self):
        pass
"""
NAMES = (
    "good",
    "unlimited",
    "crashing",
    "hanging",
    "silent",
    "leaky",
    "closed",
    "shared",
    "used",
    "mistyped",
    "dying",
    "ended",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which a distribution of odd drivers lies as if it were installed."""
    folder = tmp_path_factory.mktemp("drivers")
    metadata = folder / "odd_drivers-1.5.dist-info"
    metadata.mkdir()
    points = [f"{name} = odd_drivers:{name.capitalize()}" for name in NAMES]
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-drivers\nVersion: 1.5\n")
    (metadata / "entry_points.txt").write_text(
        "\n".join(["[context_core.backends]", *points, "unimportable = odd_nothing:Nothing", ""])
    )
    (folder / "odd_drivers.py").write_text(DRIVERS)
    (folder / "odd_nothing.py").write_text("import a_database_that_is_not_there\n")
    (folder / "odd_suites.py").write_text(SUITES)
    return folder


@pytest.fixture
def run(folder, tmp_path):
    """Runs the command, or another, in an empty folder, where the drivers can be found."""

    def run(*arguments, command=(sys.executable, "-m", "context_core.cli", "conformance"), **environment):
        settings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
        return subprocess.run(
            [*command, *map(str, arguments)],
            cwd=tmp_path,
            env=settings | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8", "COLUMNS": "200"} | environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=280,
            check=False,
        )

    return run


def outcomes(file):
    """Each promise's outcome in a JSON report."""
    return {promise["id"]: promise["outcome"] for promise in json.loads(file.read_text(encoding="utf-8"))["promises"]}


def test_a_good_driver_keeps_everything(run, tmp_path):
    """The whole suite: exit code 0, and complete reports in every form."""
    done = run("good://{unique}", "--json", "a/r.json", "--html", "r.html", "--junit", "r.xml", "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every promise that the suite can check here is kept" in done.stdout
    report = json.loads((tmp_path / "a" / "r.json").read_text(encoding="utf-8"))
    assert (report["verdict"], report["is_partial"], report["stopped"], report["seed"]) == ("kept", False, "", 3)
    assert (report["driver"]["name"], report["driver"]["distribution"]) == ("good", "odd-drivers 1.5")
    found = outcomes(tmp_path / "a" / "r.json")
    assert list(found) == list(PROMISES)
    assert {found[name] for name in ("CA01", "ID01", "QU04", "ER08")} == {"held"}
    assert (found["DE01"], found["QU13"], found["CR01"]) == ("held_in_part", "refused", "not_run")
    assert not {"broken", "in_doubt", "deviated"} & set(found.values())
    suite = ET.parse(tmp_path / "r.xml").getroot()[0]
    assert int(suite.get("tests", "0")) == len(report["laws"]) > 1_000
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {path.name for path in tmp_path.iterdir()} == {"a", "r.html", "r.xml"}, "nothing else is left"


def test_a_broken_driver_is_told_what_it_broke(run, tmp_path):
    """Exit code 1, the one promise by name, and a command that shows it again."""
    done = run("unlimited://{unique}", "--promise", "QU11", "--promise", "QU05", "--json", "r.json", "--seed", 4)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"✘ QU11 {PROMISES['QU11'].sentence[:30]}" in done.stdout
    found = outcomes(tmp_path / "r.json")
    assert (found["QU11"], found["QU05"], found["VE01"]) == ("broken", "held", "not_run")
    failures = [law["failure"] for law in json.loads((tmp_path / "r.json").read_text())["laws"] if law["failure"]]
    assert "limit" in failures[0]["did"]
    assert failures[0]["came"].startswith("AssertionError: assert ")
    assert failures[0]["replay"] in done.stdout
    python, *words = shlex.split(failures[0]["replay"])
    assert (python, words[-1]) == ("python", "--hypothesis-seed=4")
    again = run(*words, command=(sys.executable,))
    assert again.returncode == 1
    assert "1 failed" in again.stdout
    assert "broken promise QU11" in again.stdout
    kept = run(*(word.replace("unlimited://", "good://") for word in words), command=(sys.executable,))
    assert kept.returncode == 0, "the law holds on a good driver"


def test_a_partial_run_claims_only_what_it_asked(run, tmp_path):
    """It succeeds, and says that it is partial."""
    done = run("good://{unique}", "--promise", "QU05", "--json", "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 promise held. Only some promises were asked about" in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["is_partial"] is True


def test_a_refusal_is_run_with_its_promise(run, tmp_path):
    """Asked about one promise, the command still sees whether its capability is refused."""
    done = run("good://{unique}", "--promise", "QU13", "--json", "r.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(tmp_path / "r.json")["QU13"] == "refused"


def test_nothing_ran_is_red(run):
    """A promise whose laws all need a storage access hook that is not there cannot be asked about with success."""
    done = run("good://{unique}", "--promise", "CO11")
    assert done.returncode == 3, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("unimportable://{unique}", "a_database_that_is_not_there"),
        ("nobody://{unique}", "no backend is called 'nobody'"),
        ("closed://{unique}", "the backend does not open: RuntimeError"),
        ("shared://{unique}", "two addresses lead to one store"),
        ("used://{unique}", "holds workflows already"),
        ("odd_nothing:Mine", "a_database_that_is_not_there"),
        ("odd_missing:Mine", "odd_missing"),
        ("odd_suites:Missing", "Missing"),
        ("odd_suites:NoContract", "NoContract is no subclass of BackendContract"),
    ],
)
def test_what_cannot_run_says_why(run, tmp_path, target, said):
    """Exit code 3, one message, no traceback, and a report that claims nothing."""
    done = run(target, "--json", "r.json", "--html", "r.html", "--junit", "r.xml")
    assert done.returncode == 3, done.stdout + done.stderr
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert set(outcomes(tmp_path / "r.json").values()) == {"not_run"}
    assert said in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["stopped"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sqlite:///production.db",),
        ("sqlite",),
        ("good://{unique}", "--promise", "XX99"),
        ("good://{unique}", "--seed", "one"),
        ("good://{unique}", "--law-timeout", "0"),
    ],
)
def test_a_wrong_call_is_a_usage_error(run, tmp_path, arguments):
    """Exit code 2, and nothing was opened or written."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_is_one_line(run, tmp_path):
    """After all the work, a file in the way is still a message."""
    (tmp_path / "file").touch()
    done = run("good://{unique}", "--promise", "QU05", "--html", "file/r.html")
    assert done.returncode == 1
    assert "file/r.html" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_crash_names_the_law_it_happened_in(run, tmp_path):
    """The process of the laws dies; the report is made all the same, and exit code 1."""
    done = run("crashing://{unique}", "--promise", "VE07", "--json", "r.json")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (failure,) = (law["failure"] for law in report["laws"] if law["failure"])
    assert failure["came"].startswith("the process was killed by SIGSEGV")
    assert "odd_drivers.py" in failure["came"], "it tells where"
    assert "was killed by SIGSEGV in test_" in report["stopped"]
    assert "not_reached" in {law["outcome"] for law in report["laws"]}


def test_one_error_behind_many_laws_is_told_once(run, tmp_path):
    """By the line of the driver that it comes from, with the request that the driver got."""
    done = run("mistyped://{unique}", "--promise", "VE12", "--json", "r.json")
    assert done.returncode == 1, done.stdout + done.stderr
    (cause,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["causes"]
    assert cause["cause"].startswith("AttributeError at ")
    assert "odd_drivers.py" in cause["cause"]
    assert len(cause["laws"]) > 2
    assert done.stdout.count("object has no attribute '_versoin'") == 1
    assert "request = VersionRequest(" in done.stdout


def test_a_process_of_a_law_that_crashes_shows_its_traceback(run, tmp_path):
    """In the report: nobody sees the standard error of the laws."""
    done = run("dying:///{tmp_path}/store.db", "--promise", "CA03", "--json", "r.json")
    assert done.returncode == 1, done.stdout + done.stderr
    failures = [law["failure"] for law in json.loads((tmp_path / "r.json").read_text())["laws"] if law["failure"]]
    assert failures
    for failure in failures:
        assert "object has no attribute 'nothing_of_the_kind'" in failure["came"]
        assert failure["cause"].endswith(", in save")


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_a_run_that_is_ended_reports_what_it_judged(run, tmp_path, number):
    """Ctrl-C, or a build machine that gives up: exit code 3, and the laws that ran are there."""
    done = run("ended://{unique}", "--promise", "QU05", "--promise", "QU11", "--json", "r.json", ENDED_BY=number)
    assert done.returncode == 3, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["stopped"] == "it was interrupted"
    assert {"passed", "not_reached"} <= {law["outcome"] for law in report["laws"]}
    assert "it was interrupted" in done.stdout


def test_a_run_by_url_says_how_to_remove_its_stores(run, tmp_path):
    """By the prefix that their names really have."""
    done = run(f"dying:///{tmp_path}/{{unique}}.db", "--promise", "QU12", "--json", "r.json")
    (prefix,) = set(re.findall(r"conformance_[0-9a-f]{8}", json.loads((tmp_path / "r.json").read_text())["left"]))
    assert prefix in done.stdout
    stores = [path.name for path in tmp_path.glob("*.db")]
    assert stores
    assert [name for name in stores if not name.startswith(prefix)] == []


def test_a_law_that_hangs_is_broken(run, tmp_path):
    """After --law-timeout, with the place where it hangs."""
    done = run("hanging://{unique}", "--promise", "VE07", "--law-timeout", "12", "--json", "r.json")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (failure,) = (law["failure"] for law in report["laws"] if law["failure"])
    assert "nothing was heard of it for 12 s" in failure["came"]
    assert "odd_drivers.py" in failure["came"]


def test_a_backend_that_hangs_while_it_opens_is_no_endless_wait(run):
    """Before any law there is no law to blame: exit code 3."""
    done = run("silent://{unique}", "--law-timeout", "4")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nothing was heard of it for 4 s" in done.stdout


@pytest.mark.parametrize("target", ["leaky", "closed"])
def test_a_password_is_in_no_report(run, tmp_path, target):
    """Though the driver itself tells it in its errors, decoded and all."""
    url = f"{target}://me:hunter%202%2Fsecret@{{unique}}"
    done = run(url, "--promise", "RT03", "--json", "r.json", "--html", "r.html", "--junit", "r.xml")
    assert done.returncode in (1, 3), done.stdout + done.stderr
    texts = [done.stdout, done.stderr, *(file.read_text(encoding="utf-8") for file in tmp_path.glob("r.*"))]
    assert len(texts) == 5
    assert [text for text in texts if "hunter" in text] == []
    assert all("***" in text for text in texts if text)


def test_pytest_itself_shows_no_password(run, tmp_path):
    """The plugin takes it out of failures, for the terminal and for pytest's own JUnit report."""
    words = ("-m", "pytest", "-p", "no:cacheprovider", "--pyargs", "context_core_conformance.test_backend")
    url = "--context-backend=leaky://me:hunter%202@{unique}"
    done = run(*words, url, "--context-promise=RT03", "--junitxml=r.xml", command=(sys.executable,))
    assert done.returncode == 1
    assert "cannot log in with '***'" in done.stdout
    assert [text for text in (done.stdout, (tmp_path / "r.xml").read_text()) if "hunter" in text] == []


def test_a_test_class_is_checked_as_its_author_wrote_it(run, tmp_path, folder):
    """With its own stores, and with the storage access hook that it defines."""
    done = run("odd_suites:Mine", "--promise", "DE01", "--json", "r.json")
    assert done.returncode == 1, done.stdout + done.stderr
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert report["target"] == "odd_suites:Mine"
    assert [law["name"] for law in report["laws"] if "'raw_storage'" in law["reason"]] == [], "the class has this hook"
    python, *words = shlex.split(next(law["failure"]["replay"] for law in report["laws"] if law["failure"]))
    again = run(*words, command=(sys.executable,))
    assert (python, again.returncode) == ("python", 1)
    assert Path(folder / "odd_suites.py").is_file()


def test_settings_of_the_folder_change_nothing(run, tmp_path):
    """Neither a project's pytest options, nor its conftest, nor those of the environment."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit(9)\n")
    done = run("good://{unique}", "--promise", "QU05", PYTEST_ADDOPTS="--no-such-option")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_module_is_the_command(run):
    """`python -m context_core_conformance`, for who has no `context-core` on the path."""
    done = run("--help", command=(sys.executable, "-m", "context_core_conformance"))
    assert done.returncode == 0
    assert "Exit codes:" in done.stdout


@pytest.mark.parametrize("package", ["pytest", "hypothesis"])
def test_a_missing_extra_is_said_with_its_hint(run, package):
    """The command stays in the list, and says what to install; the others go on."""
    without = f"import sys; sys.modules[{package!r}] = None; from context_core.cli import main; main()"
    done = run("conformance", "memory://{unique}", "--json", "x", command=(sys.executable, "-c", without))
    assert done.returncode == 2
    assert 'python -m pip install "context-core[conformance]"' in done.stderr
    assert "Traceback" not in done.stderr
    listed = run("--help", command=(sys.executable, "-c", without))
    assert listed.returncode == 0
    assert "conformance" in listed.stdout
    assert "demo" in listed.stdout

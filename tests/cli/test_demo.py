"""`context-core demo`, run as a person runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from context_core import ContextPersistence, WorkflowContext

pytest.importorskip("click", reason="the extra 'cli' is not installed")
pytest.importorskip("rich", reason="the extra 'cli' is not installed")


def run_command(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `context-core` in a process of its own, without a terminal."""
    settings = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "context_core.cli", *map(str, arguments)],
        env=settings | {"PYTHONIOENCODING": "utf-8"} | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo of this module put its database."""
    return tmp_path_factory.mktemp("demo") / "new folder"


@pytest.fixture(scope="module")
def output(directory: Path) -> str:
    """What the demo printed; it succeeded."""
    done = run_command("demo", "--directory", directory)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_acknowledged_saves_are_found_after_the_kill(output: str) -> None:
    """The proof line counts both, and they agree."""
    found = re.search(r"✔ acknowledged (\d+) saves, found (\d+) after the kill", output)
    assert found is not None
    assert found[1] == found[2]


@pytest.mark.parametrize(
    "fact",
    [
        "SIGKILL inside step",
        "✔ the second process resumed from version 8, the last acknowledged one",
        "✔ the second process completed the workflow at version 12",
        "History of release-1.4",
        "What changed from version 8 to version 12",
        '+ decisions.notes   {"by": "jo", "verdict": "approved"}',
        "✔ version 13 equals version 8; versions 1 to 12 did not change",
        "release-1.4|13|running|review",
    ],
)
def test_output_states_the_facts(output: str, fact: str) -> None:
    """What a reader came for is there."""
    assert fact in output


def test_kill_stands_between_the_versions_of_two_processes(output: str) -> None:
    """The history marks the place."""
    firsts = re.findall(r"^│ +(\d+|SIGKILL) ", output, re.MULTILINE)
    assert firsts == [*map(str, range(1, 9)), "SIGKILL", *map(str, range(9, 14))]


def test_output_fits_a_plain_terminal(output: str, directory: Path) -> None:
    """Without a terminal: no escapes, 80 columns but for the path, below 60 lines."""
    lines = output.splitlines()
    assert "\x1b" not in output
    assert len(lines) < 60
    assert all(len(line) <= 80 for line in lines if str(directory) not in line)


def test_database_holds_the_versions_that_were_shown(output: str, directory: Path) -> None:
    """The database is kept, and is an ordinary store."""
    assert "demo.db" in output
    store: ContextPersistence[Any]
    with ContextPersistence(db_path=directory / "demo.db", context_type=WorkflowContext) as store:
        assert [header.version for header in store.history("release-1.4")] == list(range(1, 14))
        assert store.load_context("release-1.4") == store.load_context("release-1.4", version=8)
        assert store.load_context("release-1.4", version=12).status == "completed"


def test_existing_database_is_refused(output: str, directory: Path) -> None:
    """A second demo in the same place does not touch the first one's database."""
    assert output
    before = (directory / "demo.db").read_bytes()
    done = run_command("demo", "--directory", directory)
    assert done.returncode == 2
    assert "exists already" in done.stderr
    assert (directory / "demo.db").read_bytes() == before


def test_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """A file in the way is a message, not a traceback."""
    (tmp_path / "file").touch()
    done = run_command("demo", "--directory", tmp_path / "file" / "below")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "file" / "below") in done.stderr


def test_terminal_without_unicode_is_served(tmp_path: Path) -> None:
    """An encoding that has no box lines gets plain ones."""
    done = run_command("demo", "--directory", tmp_path / "ünï", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "acknowledged 8 saves, found 8 after the kill" in done.stdout


def test_broken_claim_fails_the_command(tmp_path: Path) -> None:
    """A store that loses a save is not shown as a success."""
    lossy = """
import sys
from context_core.cli import _demo, main

load_all, losses = _demo._load_all, [1]
_demo._load_all = lambda url: dict(list(load_all(url).items())[losses.pop() if losses else 0 :])
sys.argv = ["context-core", "demo", "--directory", sys.argv[1]]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", lossy, tmp_path], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 1
    assert "NOT TRUE: acknowledged 8 saves, found 7 after the kill" in done.stdout


@pytest.mark.parametrize("package", ["click", "rich"])
def test_missing_extra_is_said_with_its_hint(package: str) -> None:
    """Without click or rich the command names what to install, and exits with 2."""
    without = f"import sys; sys.modules[{package!r}] = None; from context_core.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert repr(package) in done.stderr
    assert 'python -m pip install "context-core[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_version_is_told() -> None:
    """`--version` names the installed distribution's."""
    done = run_command("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"context-core, version \d+\.\d+\.\d+\S*\n", done.stdout)

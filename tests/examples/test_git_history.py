"""The example that replays a git log, on a small repository made here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from context_core import ContextPersistence, WorkflowContext

pytest.importorskip("rich", reason="the extra 'cli' is not installed")

SCRIPT = Path(__file__).parents[2] / "examples" / "git_history" / "replay.py"
MISSING = [str(SCRIPT)] * (not SCRIPT.is_file()) + ["git"] * (shutil.which("git") is None)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"missing: {', '.join(MISSING)}")


class Repository:
    """A git repository whose commits lie a minute apart."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> None:
        moment = f"2025-01-02T03:{self.count:02}:05+02:00"
        identity = {
            "GIT_AUTHOR_NAME": "n",
            "GIT_AUTHOR_EMAIL": "e",
            "GIT_COMMITTER_NAME": "n",
            "GIT_COMMITTER_EMAIL": "e",
        }
        dates = {"GIT_AUTHOR_DATE": moment, "GIT_COMMITTER_DATE": moment}
        away = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *arguments], cwd=self.folder, env=os.environ | identity | dates | away, check=True)

    def commit(self, subject: str, *names: str | bytes) -> None:
        for name in names:
            path = self.folder / os.fsdecode(name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{self.count}\n", encoding="ascii")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--allow-empty-message", "--message", subject)
        self.count += 1


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "shop")


def replay(repository: Path, url: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(SCRIPT), "--repository", str(repository), "--url", url]
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=os.environ | {"COLUMNS": "100"}, check=False
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/history.db"


def opened(url: str) -> ContextPersistence[Any]:
    return ContextPersistence(url, context_type=WorkflowContext)


def test_commits_become_versions(repository: Repository, url: str) -> None:
    """Each commit is a version of every top-level folder that it touches."""
    repository.commit("feat(cart): add coupons", "src/cart.py", "docs/cart.md", "README.md")
    repository.commit("fix: round once", "src/cart.py")
    repository.commit("release 1.0", "src/version.py")
    done = replay(repository.folder, url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 commits, 3 workflows: wrote 5 versions, found 5" in done.stdout
    with opened(url) as store:
        assert [context.workflow_id for context in store.search_contexts(order_by="workflow_id")] == [
            "shop/(root)",
            "shop/docs",
            "shop/src",
        ]
        assert [(header.current_phase, header.status) for header in store.history("shop/src")] == [
            ("implementation", "running"),
            ("repair", "running"),
            ("other", "completed"),
        ]


def test_context_tells_what_the_commits_did(repository: Repository, url: str) -> None:
    """Decisions, artifacts, errors, phases and times come from the log."""
    repository.commit("feat(cart)!: add coupons", "src/cart.py")
    repository.commit("fix: round once", "src/sum.py")
    assert replay(repository.folder, url).returncode == 0
    with opened(url) as store:
        context = store.load_context("shop/src")
    assert [(d["type"], d["scope"], d["subject"], d["files"]) for d in context.decisions.values()] == [
        ("feat", "cart", "add coupons", 1),
        ("fix", None, "round once", 1),
    ]
    assert context.artifacts == ["src/cart.py", "src/sum.py"]
    assert [error["subject"] for error in context.errors] == ["round once"]
    assert [(left.phase, left.duration) for left in context.phase_history] == [("implementation", 60)]
    assert context.created_at.isoformat() == "2025-01-02T01:00:05+00:00"
    assert context.updated_at.isoformat() == "2025-01-02T01:01:05+00:00"


def test_revert_fails_its_workflow(repository: Repository, url: str) -> None:
    """A revert is a failure, until the next commit."""
    repository.commit("feat: add coupons", "src/cart.py")
    repository.commit('Revert "feat: add coupons"', "src/cart.py")
    repository.commit("docs: say why", "src/cart.py")
    assert replay(repository.folder, url).returncode == 0
    with opened(url) as store:
        assert [header.status for header in store.history("shop/src")] == ["running", "failed", "running"]


@pytest.mark.skipif(sys.platform == "darwin", reason="the file system takes UTF-8 names only")
def test_names_that_are_not_text_are_shown_as_escapes(repository: Repository, url: str) -> None:
    """Bytes that are no UTF-8, line breaks and quotes in names neither break the replay nor vanish."""
    repository.commit("feat: odd names", b"src/\xff\xfe.bin", 'src/a\n"b".py', "src/ü.py", "\nfirst")
    done = replay(repository.folder, url)
    assert (done.returncode, done.stderr) == (0, "")
    with opened(url) as store:
        assert set(store.load_context("shop/src").artifacts) == {"src/\\xff\\xfe.bin", 'src/a\n"b".py', "src/ü.py"}
        assert store.load_context("shop/(root)").artifacts == ["\nfirst"]


def test_merges_and_empty_commits_make_no_version(repository: Repository, url: str) -> None:
    """What a merge brings in is counted once, with its own commits."""
    repository.commit("feat: base", "src/a.py")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("feat: side", "src/b.py")
    repository.git("checkout", "--quiet", "main")
    repository.commit("", "src/c.py")
    repository.git("merge", "--quiet", "--no-edit", "side")
    repository.commit("chore: nothing")
    repository.commit("docs: end", "src/d.py")
    done = replay(repository.folder, url)
    assert "5 commits, 1 workflows: wrote 4 versions, found 4" in done.stdout
    with opened(url) as store:
        assert sorted(store.load_context("shop/src").artifacts) == ["src/a.py", "src/b.py", "src/c.py", "src/d.py"]


def test_context_does_not_grow_for_ever(repository: Repository, url: str) -> None:
    """Only the newest decisions and artifacts stay in it; how many commits there were is kept as a number."""
    for number in range(53):
        repository.commit("feat: more" if number % 2 else "fix: less", f"src/{number}.py")
    assert replay(repository.folder, url).returncode == 0
    with opened(url) as store:
        context = store.load_context("shop/src")
        assert store.history("shop/src")[-1].version == 53
    assert context.artifacts == [f"src/{number}.py" for number in range(3, 53)]
    assert (len(context.decisions), context.metadata["commits"]) == (50, 53)


def test_empty_repository_is_no_error(repository: Repository, url: str) -> None:
    """Nothing committed, nothing written."""
    done = replay(repository.folder, url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 commits, 0 workflows: wrote 0 versions, found 0" in done.stdout


def test_folder_without_repository_is_one_line(tmp_path: Path, url: str) -> None:
    """Git's own message, and exit code 1."""
    done = replay(tmp_path / "nowhere", url)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_second_replay_is_refused(repository: Repository, url: str) -> None:
    """Histories are not appended twice."""
    repository.commit("feat: base", "src/a.py")
    assert replay(repository.folder, url).returncode == 0
    done = replay(repository.folder, url)
    assert done.returncode == 1
    assert "shop is in this store already" in done.stderr
    with opened(url) as store:
        assert len(store.history("shop/src")) == 1

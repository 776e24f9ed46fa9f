"""Replay the log of a git repository into a store of workflow contexts.

Each top-level folder is a workflow. Each commit that changes the folder is a version of it.

python examples/git_history/replay.py --repository . --url sqlite:///git-history.db
"""

import argparse
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from context_core import ContextCoreError, ContextPersistence, Status, WorkflowContext

ROOT: Final = "(root)"
"""The workflow of the files without a folder."""

PHASES: Final = {
    "feat": "implementation",
    "fix": "repair",
    "revert": "repair",
    "refactor": "refactoring",
    "perf": "refactoring",
    "style": "refactoring",
    "test": "testing",
    "docs": "documentation",
    "build": "delivery",
    "ci": "delivery",
    "chore": "maintenance",
}
"""The phase of a workflow after a commit, by the type of the commit; OTHER for all other types."""

OTHER: Final = "other"

CONVENTIONAL: Final = re.compile(r"(?P<type>[A-Za-z]+)(?:\((?P<scope>[^()]*)\))?!?: +(?P<subject>.*)", re.DOTALL)
"""`type(scope): subject`; the scope and the `!` of a breaking change are optional."""

FINISHED: Final = re.compile(r"\b(complete[sd]?|finish(es|ed)?|release[sd]?)\b", re.IGNORECASE)
"""A commit whose subject matches completes its workflows, until their next commit."""

MAX_NAME: Final = 100
"""The most characters of a name that is a part of an id; an id has at most 255."""

KEPT: Final = 50
"""How many of the newest decisions, artifacts, errors and phases a context keeps, so that its size stays limited."""

BATCH: Final = 200
"""Versions per transaction; each transaction waits for the disk once."""

SHOWN: Final = 12
"""The number of workflows in the table at the end."""


class ReplayError(Exception):
    """The replay failed; the message says why."""


@attrs.frozen(kw_only=True)
class Commit:
    """The data of one commit that the replay uses."""

    commit_hash: str
    committed_at: datetime
    type: str
    scope: str | None
    subject: str
    files: list[str]

    @property
    def short_hash(self) -> str:
        """The first characters of the hash, which name the decision of the commit."""
        return self.commit_hash[:10]


def read_log(repository: Path) -> list[Commit]:
    """Return the commits up to HEAD, parents first; an empty list if nothing was committed yet.

    Merges are left out, because the merged commits are in the list.

    Raises:
        ReplayError: *repository* is not a git repository, or git is not installed.
    """
    _git(repository, "rev-parse", "--git-dir")
    if not _git(repository, "rev-parse", "--quiet", "--verify", "HEAD", accepted=(0, 1)):
        return []
    # Fields and names end with NUL, the only byte that no name contains. A commit starts with SOH before its hash.
    log = _git(
        repository,
        "log",
        "--reverse",
        "--topo-order",
        "--no-merges",
        "--name-only",
        "-z",
        "--format=%x01%H%x00%cI%x00%s",
    )
    return list(_parse(log))


def _git(repository: Path, *arguments: str, accepted: tuple[int, ...] = (0,)) -> bytes:
    command = ["git", "-c", "i18n.logOutputEncoding=UTF-8", "-C", str(repository), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # git, with our own arguments
    except OSError as error:
        raise ReplayError(f"git cannot be run: {error}") from error
    if done.returncode not in accepted:
        raise ReplayError(_text(done.stderr).strip())
    return done.stdout


def _parse(log: bytes) -> Iterator[Commit]:
    starts = re.compile(rb"(?:\A|(?<=\0))\x01(?=[0-9a-f]{40,64}\0)")
    for block in starts.split(log)[1:]:
        commit_hash, committed_at, subject, *names = block.split(b"\0")
        if names:
            names[0] = names[0].removeprefix(b"\n")
        yield _commit(_text(commit_hash), _text(committed_at), _text(subject), [_text(name) for name in names if name])


def _text(raw: bytes) -> str:
    r"""Decode UTF-8; write any other byte as `\xff`, because a store refuses text that is not Unicode."""
    return raw.decode("utf-8", errors="backslashreplace")


def _commit(commit_hash: str, committed_at: str, subject: str, files: list[str]) -> Commit:
    found = CONVENTIONAL.fullmatch(subject)
    kind = found["type"].lower() if found else "revert" if subject.startswith('Revert "') else OTHER
    return Commit(
        commit_hash=commit_hash,
        committed_at=datetime.fromisoformat(committed_at).astimezone(UTC),
        type=kind,
        scope=(found["scope"] or None) if found else None,
        subject=found["subject"] if found else subject,
        files=files,
    )


class Replay:
    """Converts commits to successive contexts, with one workflow per top-level folder."""

    def __init__(self, project: str) -> None:
        self.project = _name(project)
        self.heads: dict[str, WorkflowContext] = {}
        """By workflow id, the newest context."""
        self.written: dict[str, int] = {}
        """By workflow id, the number of versions."""

    def contexts_after(self, commit: Commit) -> Iterator[WorkflowContext]:
        """Yield the next context of every workflow whose folder *commit* changes."""
        by_folder: dict[str, list[str]] = {}
        for file in commit.files:
            folder, slash, _ = file.partition("/")
            by_folder.setdefault(_name(folder) if slash else ROOT, []).append(file)
        for folder, files in by_folder.items():
            workflow_id = f"{self.project}/{folder}"
            context = _after(commit, files, self.heads.get(workflow_id) or self._begin(workflow_id, folder, commit))
            self.heads[workflow_id] = context
            self.written[workflow_id] = self.written.get(workflow_id, 0) + 1
            yield context

    def _begin(self, workflow_id: str, folder: str, commit: Commit) -> WorkflowContext:
        return WorkflowContext(
            workflow_id=workflow_id,
            epic_num=1,
            story_num=len(self.heads) + 1,
            feature=folder,
            workflow_name="git_history",
            current_phase=PHASES.get(commit.type, OTHER),
            created_at=commit.committed_at,
            metadata={"project": self.project, "commits": 0},
        )


def _after(commit: Commit, files: list[str], context: WorkflowContext) -> WorkflowContext:
    phase = PHASES.get(commit.type, OTHER)
    if phase != context.current_phase:
        context = context.transition_phase(phase, at=commit.committed_at)
    decision = {"type": commit.type, "scope": commit.scope, "subject": commit.subject, "files": len(files)}
    errors = context.errors
    if commit.type in ("fix", "revert"):
        errors = [*errors, {"commit": commit.short_hash, "type": commit.type, "subject": commit.subject}]
    return context.copy_with(
        phase_history=context.phase_history[-KEPT:],
        decisions=dict([*context.decisions.items(), (commit.short_hash, decision)][-KEPT:]),
        artifacts=list(dict.fromkeys([*reversed(files), *reversed(context.artifacts)]))[:KEPT][::-1],
        errors=errors[-KEPT:],
        status=_status(commit),
        updated_at=commit.committed_at,
        metadata={**context.metadata, "commits": context.metadata["commits"] + 1, "commit": commit.commit_hash},
        tags=sorted({*context.tags, commit.type})[:KEPT],
    )


def _status(commit: Commit) -> Status:
    if commit.type == "revert":
        return Status.FAILED
    return Status.COMPLETED if FINISHED.search(commit.subject) else Status.RUNNING


def _name(name: str) -> str:
    """Shorten a name that is too long for an id; a hash replaces the end, so that names stay different."""
    if len(name) <= MAX_NAME:
        return name
    return f"{name[: MAX_NAME - 13]}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def write(store: ContextPersistence[Any], commits: list[Commit], replay: Replay, progress: Progress) -> None:
    """Save the contexts of all *commits*, in transactions of about BATCH versions."""
    task = progress.add_task("commits", total=len(commits))
    waiting: list[WorkflowContext] = []
    for commit in commits:
        waiting.extend(replay.contexts_after(commit))
        if len(waiting) >= BATCH:
            store.save_contexts(waiting)
            waiting.clear()
        progress.advance(task)
    store.save_contexts(waiting)


def differences(store: ContextPersistence[Any], replay: Replay) -> list[str]:
    """Read everything back and return the differences from what was written."""
    problems = []
    for workflow_id, written in replay.written.items():
        versions = [header.version for header in store.history(workflow_id)]
        if versions != list(range(1, written + 1)):
            problems.append(f"{workflow_id}: wrote {written} versions, found {len(versions)}")
        elif store.load_context(workflow_id) != replay.heads[workflow_id]:
            problems.append(f"{workflow_id}: the newest version is not what was written")
    return problems


def show(console: Console, replay: Replay) -> None:
    """Print the workflows with the most versions."""
    table = Table(title=f"Workflows of {replay.project}", title_justify="left", expand=False)
    for column, justify in (("workflow", "left"), ("versions", "right"), ("phase", "left"), ("status", "left")):
        table.add_column(column, justify="right" if justify == "right" else "left")
    by_size = sorted(replay.written.items(), key=lambda item: (-item[1], item[0]))
    for workflow_id, written in by_size[:SHOWN]:
        head = replay.heads[workflow_id]
        table.add_row(Text(head.feature), f"{written:,}", head.current_phase, head.status)
    if len(by_size) > SHOWN:
        table.add_row(f"and {len(by_size) - SHOWN:,} more", f"{sum(count for _, count in by_size[SHOWN:]):,}", "", "")
    console.print(table)


def run(repository: Path, url: str, console: Console) -> None:
    """Replay *repository* into the store at *url*, and check the content of the store.

    Raises:
        ReplayError: The repository cannot be read, was replayed into this store before, or the check fails.
        ContextCoreError: The store cannot be used.
    """
    commits = read_log(repository)
    replay = Replay(repository.resolve().name or "repository")
    with ContextPersistence(url, context_type=WorkflowContext) as store:
        if store.search_contexts({"workflow_id__prefix": f"{replay.project}/"}, limit=1):
            raise ReplayError(f"{replay.project} is in this store already: give another --url, or remove the database")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            write(store, commits, replay, progress)
        problems = differences(store, replay)
        found = sum(len(store.history(workflow_id)) for workflow_id in replay.written)
    if replay.written:
        show(console, replay)
    total = sum(replay.written.values())
    console.print(
        f"{len(commits):,} commits, {len(replay.written):,} workflows: wrote {total:,} versions, found {found:,}"
    )
    if problems:
        raise ReplayError("the store does not hold what was written:\n" + "\n".join(problems))


def main() -> int:
    """Run the command line; return 0, or 1 if the replay or its check fails."""
    parser = argparse.ArgumentParser(
        description="Replay the log of a git repository into a store of workflow contexts."
    )
    parser.add_argument(
        "--repository", type=Path, default=Path(), help="the folder of the repository (default: this folder)"
    )
    parser.add_argument("--url", default="sqlite:///git-history.db", help="the URL of the store (default: %(default)s)")
    chosen = parser.parse_args()
    try:
        run(chosen.repository, chosen.url, Console(highlight=False))
    except (ReplayError, ContextCoreError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

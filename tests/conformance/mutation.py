"""Changes a driver in one place after the other, and counts how many of the changes the tests notice.

    python tests/conformance/mutation.py sqlite --sample 300

A mutant meets the quick laws of the conformance suite, then the slow ones, then the driver's own tests, until one
fails. Two scores are printed: what the suite finds by itself, and what is found in all, which has a goal. Survivors
are shown as diffs.
Mutants are made in copies of the last commit. What they met is kept: who breaks off a run gets the scores of what was
tried, which is a sample by chance, and the next run of that commit goes on.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from cosmic_ray.commands import init
from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

ROOT: Final = Path(__file__).parents[2]
LONGEST_STAGE_S: Final = 600
"""Several times what any stage takes: who is not done by then hangs, and that is noticed too."""
LONGEST_TEST_S: Final = 60

SLOW_LAWS: Final = "stateful or generated or endurance or interrupt or crash or killed or linear"

# Mutations that change nothing (`is` to `==`), or that no test could miss.
POINTLESS: Final = re.compile(
    r"core/("
    r"ReplaceComparisonOperator_Is_(Eq|Lt|LtE|Gt|GtE|NotEq)"
    r"|ReplaceComparisonOperator_IsNot_(Eq|Lt|LtE|Gt|GtE|NotEq)"
    r"|ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)"
    r"|ReplaceBinaryOperator_BitOr_.*"
    r"|ReplaceBinaryOperator_(Add|Sub|Mul|Pow)_(BitAnd|BitOr|BitXor|Div|FloorDiv|LShift|RShift|Mod|Pow)"
    r"|ReplaceUnaryOperator_.*_(UAdd|Invert)"
    r")$"
)
OUT_OF_TIME: Final = "out of time"
OWN_TESTS: Final = "the driver's own tests"


class Stage(NamedTuple):
    """Tests that a mutant meets together."""

    name: str
    arguments: tuple[str, ...]


class Driver(NamedTuple):
    """What is mutated, who looks, and the share of mutants that must be noticed."""

    package: str
    stages: tuple[Stage, ...]
    goal: float


def _stages(driver: str, *own_tests: str) -> tuple[Stage, ...]:
    laws = f"tests/conformance/test_{driver}.py"
    return (
        Stage("quick laws", (laws, "-k", f"not ({SLOW_LAWS})")),
        Stage("slow laws", (laws, "-k", SLOW_LAWS)),
        Stage(OWN_TESTS, own_tests),
    )


DRIVERS: Final[Mapping[str, Driver]] = {
    "memory": Driver("context_core_memory", _stages("memory", "tests/memory"), 0.9),
    # Two hundred kills are left out: a law kills, too, and survivors would take a minute longer.
    "sqlite": Driver(
        "context_core_sqlite", _stages("sqlite", "tests/sqlite", "--ignore=tests/sqlite/test_crash.py"), 0.8
    ),
}


def main() -> int:
    """Make the mutants of one driver, run the tests on each, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("driver", choices=DRIVERS)
    parser.add_argument("--sample", type=int, help="so many mutants, by chance, instead of all")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--results", type=Path, default=ROOT / ".mutation", help="the folder where results are kept")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    driver = DRIVERS[arguments.driver]
    commit = _git(ROOT, "rev-parse", "--short=12", "HEAD").strip()
    arguments.results.mkdir(exist_ok=True)
    kept = arguments.results / f"{arguments.driver}-{commit}.sqlite"
    with tempfile.TemporaryDirectory() as folder:
        copies = [_copied(Path(folder, f"copy-{number}")) for number in range(arguments.workers)]
        with use_db(str(kept), WorkDB.Mode.open if kept.exists() else WorkDB.Mode.create) as results:
            if not results.num_work_items:
                _make(driver, copies[0], results)
            chosen = _chosen(results, arguments.sample, arguments.seed)
            try:
                if chosen:
                    _check_sound(driver, copies)
                    _run(driver, results, copies, chosen)
            except KeyboardInterrupt:
                print("broken off")
            return _report(driver, results)


def _git(folder: Path, *arguments: str | Path) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def _copied(target: Path) -> Path:
    _git(ROOT, "clone", "--quiet", "--depth", "1", ROOT.as_uri(), target)
    return target


def _make(driver: Driver, copy: Path, results: WorkDB) -> None:
    """Write down every mutation that could tell something."""
    with contextlib.chdir(copy):
        modules = sorted(Path("backends", driver.package).glob("*.py"))
        init([path for path in modules if path.name != "__init__.py"], results, {})
    skipped = WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
    pointless = [item.job_id for item in results.work_items if POINTLESS.match(item.mutations[0].operator_name)]
    results.set_multiple_results(pointless, skipped)


def _chosen(results: WorkDB, sample: int | None, seed: int) -> list[tuple[str, MutationSpec]]:
    """The mutants to try, in an order by chance."""
    pointless = {job_id for job_id, result in results.results if result.worker_outcome is WorkerOutcome.SKIPPED}
    items = [(item.job_id, item.mutations[0]) for item in results.work_items if item.job_id not in pointless]
    items.sort(key=lambda item: (item[1].module_path, item[1].operator_name, item[1].occurrence))
    random.Random(seed).shuffle(items)
    done = {job_id for job_id, _ in results.results}
    return [item for item in items[:sample] if item[0] not in done]


def _check_sound(driver: Driver, copies: list[Path]) -> None:
    """Without a mutation everything must pass: else a failure would prove nothing. It leaves the tests compiled."""
    with ThreadPoolExecutor(len(copies)) as pool:
        for noticed in pool.map(lambda copy: _noticed(driver, copy, keeps_bytecode=True), copies):
            if noticed is not None:
                sys.exit(f"without any mutation, tests fail: {noticed}")


def _run(driver: Driver, results: WorkDB, copies: list[Path], chosen: list[tuple[str, MutationSpec]]) -> None:
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def tried(mutation: MutationSpec) -> WorkResult:
        copy = free.get()
        try:
            return _tried(driver, copy, mutation)
        except Exception:  # noqa: BLE001  # one that cannot be judged ends nothing; the report counts it
            return WorkResult(worker_outcome=WorkerOutcome.EXCEPTION, output=traceback.format_exc())
        finally:
            free.put(copy)

    pool = ThreadPoolExecutor(len(copies))
    try:
        running = {pool.submit(tried, mutation): (job_id, mutation) for job_id, mutation in chosen}
        for count, future in enumerate(as_completed(running), start=1):
            job_id, mutation = running[future]
            result = future.result()
            results.set_result(job_id, result)
            place = f"{mutation.module_path.name}:{mutation.start_pos[0]}"
            told = (result.output or "survived").partition("\n")[0]
            print(f"[{count}/{len(chosen)}] {place} {mutation.operator_name.removeprefix('core/')}: {told}", flush=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for tests in list(_running):
            _kill(tests)
        pool.shutdown()


def _tried(driver: Driver, copy: Path, mutation: MutationSpec) -> WorkResult:
    operator = get_operator(mutation.operator_name)(**mutation.operator_args)
    with use_mutation(copy / mutation.module_path, operator, mutation.occurrence) as (_, mutated):
        if mutated is None:
            raise LookupError(f"{mutation} is not there")
        diff = _git(copy, "diff", "-U2")
        noticed = _noticed(driver, copy)
        if noticed is not None and OUT_OF_TIME in noticed:  # the machine may have been busy
            noticed = _noticed(driver, copy)
    return WorkResult(
        worker_outcome=WorkerOutcome.NORMAL,
        test_outcome=TestOutcome.SURVIVED if noticed is None else TestOutcome.KILLED,
        output=noticed,
        diff=diff,
    )


def _noticed(driver: Driver, copy: Path, *, keeps_bytecode: bool = False) -> str | None:
    """Run the stages until one fails; return its name, and behind it how it failed."""
    for stage in driver.stages:
        failure = _failure(stage, copy, keeps_bytecode=keeps_bytecode)
        if failure is not None:
            return f"{stage.name}: {failure}"
    return None


_running: Final[set["subprocess.Popen[bytes]"]] = set()


def _failure(stage: Stage, copy: Path, *, keeps_bytecode: bool) -> str | None:
    command = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly", "-p", "no:cacheprovider")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(copy / root) for root in ("", "backends", "conformance_tests")),
        "PYTHONSAFEPATH": "1",
        # A mutant's must not outlive it: within a second, a file of the same size counts as unchanged.
        "PYTHONDONTWRITEBYTECODE": "" if keeps_bytecode else "1",
    }
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        log = Path(scratch, "log")
        limits = ("--timeout", str(LONGEST_TEST_S), "--basetemp", f"{scratch}/tests")
        with log.open("wb") as output:
            tests = subprocess.Popen(
                [*command, *limits, *stage.arguments],
                cwd=copy,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _running.add(tests)
        try:
            status = tests.wait(LONGEST_STAGE_S)
        except subprocess.TimeoutExpired:
            return OUT_OF_TIME
        finally:
            _kill(tests)  # and what it may have left behind
            tests.wait()
            _running.discard(tests)
        told = log.read_text(errors="replace")
    if status == 0:
        return None
    last_lines = "\n".join(told.splitlines()[-5:])
    return f"{OUT_OF_TIME}\n{last_lines}" if "Failed: Timeout" in told else f"\n{last_lines}"


def _kill(tests: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(tests.pid, signal.SIGKILL)


def _report(driver: Driver, results: WorkDB) -> int:
    """Show what survived, and the scores; 1 where the goal is missed."""
    judged = [result for _, result in results.results if result.worker_outcome is WorkerOutcome.NORMAL]
    if not judged:
        print("nothing was tried")
        return 1
    survivors = [result for result in judged if result.test_outcome is TestOutcome.SURVIVED]
    for diff in sorted(_changed(survivors)):
        print(diff)
    told = [result.output or "" for result in judged]
    by_own_tests = sum(output.startswith(OWN_TESTS) for output in told)
    by_suite = len(judged) - len(survivors) - by_own_tests
    failed = sum(result.worker_outcome is WorkerOutcome.EXCEPTION for _, result in results.results)
    share, in_all = by_suite / len(judged), 1 - len(survivors) / len(judged)
    print(f"{len(judged)} mutants of {driver.package}" + (f"; {failed} could not be judged" if failed else ""))
    print(f"noticed by the suite: {by_suite} ({share:.1%})")
    print(f"noticed in all:       {len(judged) - len(survivors)} ({in_all:.1%}; the goal is {driver.goal:.0%})")
    print(f"  by running {OUT_OF_TIME}: {sum(OUT_OF_TIME in output for output in told)}")
    return 0 if in_all >= driver.goal else 1


def _changed(results: list[WorkResult]) -> Iterator[str]:
    for result in results:
        yield "\n".join(line for line in (result.diff or "").splitlines() if not line.startswith(("diff ", "index ")))


if __name__ == "__main__":
    sys.exit(main())

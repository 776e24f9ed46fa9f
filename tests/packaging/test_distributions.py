"""The sdist and the wheel hold what they should, and the wheel works far from the checkout."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

pytest.importorskip("build", reason="these tests build the distributions: they run in the environment `packaging`")

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "context_core": ROOT / "context_core",
    "context_core_memory": ROOT / "backends" / "context_core_memory",
    "context_core_postgres": ROOT / "backends" / "context_core_postgres",
    "context_core_sqlite": ROOT / "backends" / "context_core_sqlite",
    "context_core_conformance": ROOT / "conformance_tests" / "context_core_conformance",
}

SMOKE = """
import pathlib, sys
import context_core, context_core_memory, context_core_sqlite
from context_core import ContextPersistence, WorkflowContext
from context_core.plugins import installed_backends

checkout, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
for module in (context_core, context_core_memory, context_core_sqlite):
    assert not pathlib.Path(module.__file__).is_relative_to(checkout), module.__file__
assert {"memory", "postgresql", "sqlite"} <= installed_backends().keys(), installed_backends()
context = WorkflowContext("order-7", 1, 2, "checkout", "implement_story", decisions={"db": {"choice": "sqlite"}})
for url in ("memory://", f"sqlite:///{folder}/smoke.db"):
    with ContextPersistence(url) as store:
        assert store.save_context(context) == 1
        assert store.save_context(context.copy_with(status="completed")) == 2
        assert store.load_context("order-7", version=1) == context
        assert [header.status for header in store.history("order-7")] == ["running", "completed"]
assert "pytest" not in sys.modules and "hypothesis" not in sys.modules
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run *command* and return what it said; fail with what it said."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def wheel(built):
    """The one wheel."""
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def sdist(built):
    """The one sdist."""
    (path,) = built.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def python(wheel, tmp_path_factory):
    """A fresh environment in which only the wheel and what it needs are installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    return python


def sources() -> set[str]:
    """Every file of the packages, by its place in the wheel."""
    return {
        f"{name}/{file.relative_to(folder)}"
        for name, folder in PACKAGES.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel):
    """The SQL of the migrations and the typing markers among them; no test, no example."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == sources()
    assert any(name.endswith(".sql") for name in names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


def test_the_wheel_is_for_every_platform(wheel):
    """It is pure Python."""
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_names_its_licence_and_its_pythons(wheel):
    """In its metadata."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert (metadata["Name"], metadata["Requires-Python"], metadata["License-Expression"]) == (
        "context-core",
        ">=3.11",
        "MIT",
    )
    assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())


def test_the_sdist_holds_what_builds_and_tests_it(sdist):
    """And none of what lies about in a checkout."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "tox.ini", "tests/core/test_model.py"} <= names
    clutter = {".tox", ".git", ".ci", ".hypothesis", ".mypy_cache", ".ruff_cache", "__pycache__", "dist"}
    assert [name for name in names if clutter & set(name.split("/"))] == []
    assert [name for name in names if name.endswith((".db", ".pyc", ".db-wal"))] == []


def test_the_wheel_works_far_from_the_checkout(python, tmp_path):
    """Import, list, save and load on both built-in backends, with nothing of the tests installed."""
    run(python, "-I", "-c", SMOKE, ROOT, tmp_path, cwd=tmp_path)


def test_the_wheel_needs_nothing_that_is_not_there(python, tmp_path):
    """`pip check` finds no broken requirement."""
    assert "No broken requirements" in run(python, "-m", "pip", "check", cwd=tmp_path)


def test_the_command_says_what_it_needs(python, tmp_path):
    """Without the extra it fails with a hint, not with a traceback."""
    done = subprocess.run(
        [python.parent / "context-core", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert 'pip install "context-core[cli]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_the_wheel_changes_nothing_in_the_test_runs_of_others(python, tmp_path):
    """With pytest and without hypothesis: the tests run, pytest imports no context_core, nothing warns (ER09)."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest", cwd=tmp_path)
    (tmp_path / "test_theirs.py").write_text(
        "import sys\n"
        "def test_theirs(pytestconfig):\n"
        "    assert pytestconfig.pluginmanager.has_plugin('context_core_conformance')\n"
        "    assert 'context_core' not in sys.modules\n"
    )
    told = run(python, "-m", "pytest", "-W", "error", "--strict-markers", "-p", "no:cacheprovider", cwd=tmp_path)
    assert "1 passed in" in told


def test_a_program_that_imports_the_package_before_pytest_gets_no_warning(python, tmp_path):
    """Pytest rewrites the modules of distributions with plugins, and warns of those that it finds imported (ER09)."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest", cwd=tmp_path)
    (tmp_path / "test_theirs.py").write_text("def test_theirs(): pass\n")
    program = (
        "import sys, pytest, context_core, context_core_conformance, context_core_memory, context_core_sqlite\n"
        "sys.exit(pytest.main(['-p', 'no:cacheprovider']))"
    )
    assert "1 passed in" in run(python, "-c", program, cwd=tmp_path)

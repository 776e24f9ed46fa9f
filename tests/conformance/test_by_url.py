"""`pytest --pyargs context_core_conformance --context-backend=URL`, as the author of a driver runs it."""

import subprocess
import sys
import xml.etree.ElementTree as ET

PYTEST = (sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir=.")
SUITE = ("--pyargs", "context_core_conformance.test_backend")


def run(folder, *arguments):
    """Run pytest in a folder of its own, on the installed suite."""
    return subprocess.run(
        [*PYTEST, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_laws_run_on_stores_of_the_address(tmp_path):
    """Each in its own, on a driver that keeps them."""
    address = "--context-backend=sqlite:///{tmp_path}/store.db"
    done = run(tmp_path, *SUITE, address, "-k", "deleted", f"--junitxml={tmp_path}/j.xml")
    assert done.returncode == 0, done.stdout
    cases = ET.parse(tmp_path / "j.xml").getroot().findall(".//testcase")
    assert len(cases) > 5
    promises = {each.get("value") for case in cases for each in case.iter("property") if each.get("name") == "promise"}
    assert "DE02" in promises


def test_without_an_address_nothing_runs(tmp_path):
    """It says what to write."""
    done = run(tmp_path, "--pyargs", "context_core_conformance")
    assert done.returncode != 0
    assert "say which backend: --context-backend=URL" in done.stdout + done.stderr


def test_a_single_store_is_a_usage_error(tmp_path):
    """Which opens nothing, and does not repeat the password."""
    done = run(tmp_path, *SUITE, "--context-backend=postgresql://me:hunter2@host/production")
    assert done.returncode == 4
    assert "postgresql://me:***@host/production?schema={unique}" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr

"""A driver that is written as the pages say keeps what they say: their commands are run, and say what is shown."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("click", reason="the extra 'cli' is not installed")

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drivers.md"
TEXT = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
README = (ROOT / "README.md").read_text(encoding="utf-8") if TEXT else ""

pytestmark = pytest.mark.skipif(not TEXT, reason=f"there is no {PAGE}: the tests run outside the repository")


def blocks(text, language, part=""):
    """The fenced code blocks of one language that hold *part*."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for block in found if part in block]


def install(folder, project, **modules):
    """Put modules into a folder as if their distribution were installed there."""
    metadata = folder / f"{project.get('name', 'my-package')}-{project.get('version', '1.0')}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {metadata.name.partition('-1')[0]}\nVersion: 1.0\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join([*lines, ""]))
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")


def run(command, folder):
    """Run a command in the folder where the driver lies."""
    settings = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.run(
        command,
        cwd=folder,
        env=settings | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=290,
        check=False,
    )


def context_core(line, folder):
    """Run a line that begins with `context-core`."""
    program, *words = shlex.split(line)
    assert program == "context-core"
    return run([sys.executable, "-m", "context_core.cli", *words], folder)


def numberless(text):
    """The lines of a text, without what differs from run to run: numbers, and how wide the terminal is."""
    return [" ".join(re.sub(r"\d+(,\d{3})*(\.\d+)?", "0", line).split()) for line in text.splitlines() if line.strip()]


def assert_shown(block, output):
    """Every line of a block was printed, in this order; an ellipsis stands for anything."""
    lines = iter(numberless(output))
    for said in numberless(block):
        shape = ".*".join(map(re.escape, said.split("...")))
        assert any(re.fullmatch(shape, line) for line in lines), f"not printed, or not in this place: {said}\n{output}"


@pytest.fixture
def tutorial(tmp_path):
    """The folder that the tutorial fills, as far as its project file."""
    (toml,) = blocks(TEXT, "toml")
    install(tmp_path, tomllib.loads(toml)["project"])
    return tmp_path


COMMANDS = blocks(TEXT, "sh", "context-core conformance")
OUTPUTS = blocks(TEXT, "text")
DRIVERS = blocks(TEXT, "python", "class DictBackend")


def test_every_command_has_its_output():
    """The tests below look at these."""
    assert (len(COMMANDS), len(OUTPUTS), len(DRIVERS)) == (3, 3, 2)


def test_the_first_driver_does_not_open(tutorial):
    """And the command says why."""
    (tutorial / "dict_backend.py").write_text(DRIVERS[0], encoding="utf-8")
    done = context_core(COMMANDS[0], tutorial)
    assert done.returncode == 3, done.stdout + done.stderr
    assert_shown(OUTPUTS[0], done.stdout)


def test_the_finished_driver_keeps_every_promise(tutorial):
    """All of the suite, as it is shown, and the page is written."""
    (tutorial / "dict_backend.py").write_text(DRIVERS[1], encoding="utf-8")
    done = context_core(COMMANDS[1], tutorial)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_shown(OUTPUTS[1], done.stdout)
    (held,) = re.findall(r"✔ \d+ held", OUTPUTS[1])
    assert held in done.stdout, "write the numbers of the page anew"
    assert "Conformance of dict" in (tutorial / "report.html").read_text(encoding="utf-8")


def test_a_law_fails_as_it_is_shown(tutorial):
    """After the change that the page asks for."""
    (changed,) = re.findall(r"write `(2 \* self.limits.document_bytes)`", TEXT)
    source = DRIVERS[1].replace("record.workflow_id, self.limits.document_bytes", f"record.workflow_id, {changed}")
    assert source != DRIVERS[1]
    (tutorial / "dict_backend.py").write_text(source, encoding="utf-8")
    done = context_core(COMMANDS[2], tutorial)
    assert done.returncode == 1, done.stdout + done.stderr
    assert_shown(OUTPUTS[2], done.stdout)


def test_the_readmes_driver_is_checked_as_it_is_shown(tmp_path):
    """Its entry point, its test module and its command, with any driver in the place of the reader's."""
    (toml,) = blocks(README, "toml", "context_core.backends")
    (module,) = blocks(README, "python", "BackendContract")
    driver = "from context_core_sqlite import SqliteBackend\nclass MyBackend(SqliteBackend):\n    scheme = 'mine'\n"
    install(tmp_path, tomllib.loads(toml)["project"], my_package=driver, test_mine=module)
    pytest_options = ["-p", "no:cacheprovider", "-p", "no:randomly", "-q", "--context-promise=QU11"]
    done = run([sys.executable, "-m", "pytest", "test_mine.py", *pytest_options], tmp_path)
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d passed", done.stdout)
    (command,) = blocks(README, "sh", "conformance")
    done = context_core(f"{command.strip()} --promise QU11", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "mine" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_page_of_promises_is_the_catalog():
    """One source: the page names the command that writes it anew."""
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"<!-- Written by `(.+?) > docs/promises.md`", page)
    python, *words = shlex.split(command)
    written = run([sys.executable, *words], ROOT)
    assert (python, written.returncode) == ("python", 0)
    assert written.stdout == page, "write it anew, with the command that stands in it"

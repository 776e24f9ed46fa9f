"""The README is true: its examples run, its commands exist, its links lead somewhere."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from context_core.config import KEYS
from context_core.url import BackendURL

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8") if README.is_file() else ""

pytestmark = pytest.mark.skipif(not TEXT, reason=f"there is no {README}: the tests run outside the repository")


def blocks(language: str) -> list[str]:
    """The fenced code blocks of one language, in order, on the lines where they stand in the file."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return ["\n" * TEXT.count("\n", 0, found.start(1)) + found[1] for found in pattern.finditer(TEXT)]


def test_python_examples_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one namespace and one folder, as a reader who copies them would; printed comments are what is printed."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "readme"}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), namespace)
    assert (tmp_path / "engine.db").is_file()
    printed = capsys.readouterr().out.splitlines()
    for said in re.findall(r"print\(.*?\)  # (.+)", TEXT):
        assert said in printed
    assert [line.split()[:3] for line in printed[1:]] == [
        ["1", "initialization", "running"],
        ["2", "build", "running"],
        ["3", "build", "running"],
        ["4", "test", "running"],
        ["5", "test", "completed"],
    ]


def test_first_commands_are_the_quick_start() -> None:
    """A newcomer runs the first two shell blocks as they stand."""
    assert [block.strip() for block in blocks("sh")[:2]] == [
        'python -m pip install ".[cli]" && context-core demo',
        "python -m pip install tox && python -m tox",
    ]


def test_configuration_example_is_read() -> None:
    """The key that is shown exists."""
    table = tomllib.loads(blocks("toml")[0])["tool"]["context_core"]
    assert tuple(table) == KEYS
    assert BackendURL.parse(table["url"]) == BackendURL(scheme="sqlite", path="engine.db")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", TEXT))))
def test_links_lead_to_files(target: str) -> None:
    """Every relative link names a file of the repository."""
    assert (README.parent / target).is_file()

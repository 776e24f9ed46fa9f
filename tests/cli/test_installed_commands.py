"""Commands that other packages bring, by entry point."""

import sys

import pytest

click = pytest.importorskip("click", reason="the extra 'cli' is not installed")
from click.testing import CliRunner  # noqa: E402  # only where click is

from context_core.cli._commands import commands  # noqa: E402  # as above
from context_core.cli._installed import GROUP, installed_names  # noqa: E402  # as above

GREETING = "import click\n@click.command()\ndef greet():\n    'Greet.'\n    click.echo('hello')\n"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution that exists only as metadata, and the modules it is given."""

    def install(distribution, entry_points, requires=(), **modules):
        folder = tmp_path / distribution
        metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.0"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (metadata / "METADATA").write_text("\n".join([*lines, ""]))
        points = [f"{name} = {target}" for name, target in entry_points.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *points, ""]))
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))

    yield install
    for name in [name for name in sys.modules if name.startswith("strange_")]:
        del sys.modules[name]


def call(*arguments):
    """Call the command line in this process."""
    return CliRunner().invoke(commands, arguments)


def test_the_suite_comes_by_entry_point():
    """By the same door as a stranger's command."""
    assert "conformance" in installed_names()


def test_a_strangers_command_is_listed_and_called(install):
    """As soon as it is installed."""
    install("strange-dist", {"greet": "strange_greeting:greet"}, strange_greeting=GREETING)
    assert "Greet." in call("--help").output
    assert (call("greet").exit_code, call("greet").output) == (0, "hello\n")


def test_a_built_in_command_cannot_be_taken_over(install):
    """A stranger's "demo" is never called."""
    install("strange-dist", {"demo": "strange_greeting:greet"}, strange_greeting=GREETING)
    assert "Kill a workflow" in call("demo", "--help").output


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import strange_missing.part\n", '"strange-dist[colour]"'),
        ("import strange_other\n", "needs the package 'strange_other'"),
        ("1 / 0\n", "ZeroDivisionError"),
        ("greet = 5\n", "not a click command"),
    ],
)
def test_a_command_that_cannot_be_imported_says_so_and_breaks_no_other(install, source, said):
    """Whatever its options; the list goes on to name it."""
    requires = ["click", 'strange-missing>=1; extra == "colour"']
    install("strange-dist", {"greet": "strange_greeting:greet"}, requires, strange_greeting=source)
    done = call("greet", "--loudly", "--help")
    assert done.exit_code == 2
    assert said in done.output
    assert "greet" in call("--help").output
    assert call("demo", "--help").exit_code == 0


def test_a_name_that_two_distributions_claim_is_refused(install):
    """Neither may win silently."""
    install("first-dist", {"greet": "strange_one:greet"}, strange_one=GREETING)
    install("second-dist", {"greet": "strange_two:greet"}, strange_two=GREETING)
    done = call("greet")
    assert done.exit_code == 2
    assert "first-dist, second-dist" in done.output


def test_an_unknown_command_is_a_usage_error():
    """As ever."""
    assert call("no-such-command").exit_code == 2

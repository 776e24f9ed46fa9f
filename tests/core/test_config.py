"""Where the store's URL comes from when the code does not say."""

import pytest

from context_core import ConfigurationError
from context_core.config import find_settings


def write_pyproject(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pyproject.toml"
    path.write_text(text, encoding="utf-8")
    return path


def find(tmp_path, environment=None, url=None):
    return find_settings(url, directory=tmp_path, environment=environment or {})


def test_a_url_that_is_given_wins(tmp_path):
    """Nothing else is even looked at."""
    write_pyproject(tmp_path, "not toml")
    settings = find(tmp_path, {"CONTEXT_CORE_TYPO": "x"}, url="memory://a")
    assert (settings.url, settings.source) == ("memory://a", "the url argument")


def test_the_environment_comes_before_the_file(tmp_path):
    """An operator overrules a developer."""
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://file"\n')
    settings = find(tmp_path, {"CONTEXT_CORE_URL": "memory://environment"})
    assert (settings.url, settings.source) == ("memory://environment", "CONTEXT_CORE_URL")


def test_an_empty_variable_is_as_good_as_none(tmp_path):
    """`CONTEXT_CORE_URL=` unsets it."""
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://file"\n')
    assert find(tmp_path, {"CONTEXT_CORE_URL": ""}).url == "memory://file"


def test_the_nearest_file_is_read(tmp_path):
    """A pyproject.toml further up is not looked at, also where the nearest says nothing."""
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://upper"\n')
    nearest = write_pyproject(tmp_path / "a", '[tool.context_core]\nurl = "memory://lower"\n')
    settings = find(tmp_path / "a")
    assert settings.url == "memory://lower"
    assert settings.source == f"[tool.context_core] of {nearest}"


def test_a_file_above_is_found(tmp_path):
    """An engine may be started in any folder of its project."""
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://upper"\n')
    assert find(tmp_path / "a" / "b").url == "memory://upper"


def test_the_current_directory_is_where_the_search_begins(tmp_path, monkeypatch):
    """Unless another one is given."""
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://here"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONTEXT_CORE_URL", raising=False)
    assert find_settings().url == "memory://here"


@pytest.mark.parametrize("text", ["", "[tool.other]\nurl = 1\n", "[tool.context_core]\n"])
def test_where_nothing_is_configured_the_error_says_how(tmp_path, text):
    """It names the variable, the table and the file that was looked at."""
    path = write_pyproject(tmp_path, text)
    with pytest.raises(ConfigurationError, match="CONTEXT_CORE_URL.*tool.context_core") as caught:
        find(tmp_path)
    assert str(path) in str(caught.value)


def test_where_there_is_no_file_the_error_says_so(tmp_path, monkeypatch):
    """It does not name one that does not exist."""
    monkeypatch.setattr("context_core.config.Path.is_file", lambda _: False)
    with pytest.raises(ConfigurationError, match="there is no pyproject.toml here or above"):
        find(tmp_path)


def test_a_misspelt_key_is_refused_by_name(tmp_path):
    """Nothing is ever ignored; the error names the valid keys."""
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://"\nurll = "x"\n')
    with pytest.raises(ConfigurationError, match="unknown key urll .* known are: url"):
        find(tmp_path)


@pytest.mark.parametrize(
    "name", ["CONTEXT_CORE_PORT", "CONTEXT_CORE_SERVICE_HOST", "CONTEXT_CORE_TEST_URL", "CONTEXT_CORE_X"]
)
def test_other_variables_are_none_of_our_business(tmp_path, name):
    """Kubernetes sets CONTEXT_CORE_PORT where a service is called context-core; the suite and test runs have their own."""
    assert find(tmp_path, {name: "tcp://10.0.0.1:80", "CONTEXT_CORE_URL": "memory://"}).url == "memory://"
    write_pyproject(tmp_path, '[tool.context_core]\nurl = "memory://"\n')
    assert find(tmp_path, {name: "tcp://10.0.0.1:80"}).url == "memory://"


@pytest.mark.parametrize(
    "table", ["tool.context-core", "tool.ContextCore", 'tool."context core"', "context_core", "context-core"]
)
@pytest.mark.parametrize("beside", ["", '[tool.context_core]\nurl = "memory://"\n'])
def test_a_misspelt_table_is_refused_by_name(tmp_path, table, beside):
    """It was ignored without a word, and the file gao_dev.db was used, or an error said that nothing is configured."""
    write_pyproject(tmp_path, f'{beside}[{table}]\nurl = "memory://"\n')
    with pytest.raises(ConfigurationError, match=r"has the table \[.*\]: write \[tool\.context_core\]"):
        find(tmp_path)


@pytest.mark.parametrize("text", [f"a = {'[' * 100_000}", f"a = {'9' * 100_000}"])
def test_a_file_beyond_the_parser_is_named(tmp_path, text):
    """Nested too deep, or a number of too many digits."""
    write_pyproject(tmp_path, text)
    with pytest.raises(ConfigurationError, match="must be|no store is configured|cannot be read"):
        find(tmp_path)


@pytest.mark.parametrize("text", ["[tool.context_core", "\udc80"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, text):
    """Whether it is not TOML or not even text."""
    path = tmp_path / "pyproject.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        find(tmp_path)
    assert str(path) in str(caught.value)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("text", ["[tool]\ncontext_core = 1\n", "tool = 1\n", "tool = []\n"])
def test_what_is_no_table_is_refused(tmp_path, text):
    """A number cannot hold a URL."""
    write_pyproject(tmp_path, text)
    with pytest.raises(ConfigurationError, match="must be a table"):
        find(tmp_path)


def test_a_url_that_is_no_text_is_refused(tmp_path):
    """TOML knows other kinds of values."""
    write_pyproject(tmp_path, "[tool.context_core]\nurl = 5\n")
    with pytest.raises(ConfigurationError, match="url in .* must be text, not int"):
        find(tmp_path)

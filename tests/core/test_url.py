"""Addresses of stores."""

import os
import pathlib
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from context_core import BackendURL, ConfigurationError

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def test_a_relative_path_follows_the_third_slash():
    """`sqlite:///a.db` lies in the current directory."""
    assert BackendURL.parse("sqlite:///a/b.db") == BackendURL(scheme="sqlite", path="a/b.db")


def test_an_absolute_path_has_a_fourth_slash():
    """`sqlite:////a/b.db` lies at the root."""
    assert BackendURL.parse("sqlite:////a/b.db").path == "/a/b.db"


def test_every_part_is_found():
    """A server's address has them all."""
    url = BackendURL.parse("postgresql://u%40x:p%2Fw@db.example:5433/name%20s?schema=a%26b&x=")
    assert url == BackendURL(
        scheme="postgresql",
        username="u@x",
        password="p/w",
        host="db.example",
        port=5433,
        path="name s",
        options={"schema": "a&b", "x": ""},
    )


def test_an_address_without_parts_is_empty_but_for_its_scheme():
    """`memory://` says all there is to say."""
    assert BackendURL.parse("memory://") == BackendURL(scheme="memory")


def test_the_scheme_is_lower_case():
    """Schemes know no case; entry points do."""
    assert BackendURL.parse("SQLite:///a.db").scheme == "sqlite"


@pytest.mark.parametrize("scheme", ["my-db", "my+db", "my_db", "db2", "2db"])
def test_any_entry_points_name_may_be_a_scheme(scheme):
    """A stranger's backend is reached whatever the standard library takes for a scheme."""
    url = BackendURL.parse(f"{scheme}://user:pw@host:1/path?a=b")
    assert url == BackendURL(
        scheme=scheme, username="user", password="pw", host="host", port=1, path="path", options={"a": "b"}
    )


@pytest.mark.parametrize("url", ["", "a.db", "sqlite:/a.db", "://a", "a b://c", "a.b://c", "/tmp/x://y"])
def test_what_has_no_scheme_is_refused(url):
    """The error shows what a URL looks like."""
    with pytest.raises(ConfigurationError, match="looks like scheme://"):
        BackendURL.parse(url)


@pytest.mark.parametrize(
    "url", ["pg://h:port/x", "pg://h:99999/x", "pg://[::1/x", "pg://h/x?novalue", "pg://h/?a=1&&b"]
)
def test_what_cannot_be_parsed_is_refused_without_its_text(url):
    """The URL may hold a password, so the error does not repeat it."""
    with pytest.raises(ConfigurationError, match="the pg URL cannot be parsed") as caught:
        BackendURL.parse(url)
    assert url not in str(caught.value)


def test_an_option_given_twice_is_refused():
    """Neither value may win silently."""
    with pytest.raises(ConfigurationError, match="twice: a, b, a"):
        BackendURL.parse("sqlite:///x?a=1&b=2&a=3")


def test_a_fragment_is_refused():
    """It would cut the path short."""
    with pytest.raises(ConfigurationError, match="%23"):
        BackendURL.parse("sqlite:///x#1.db")


@pytest.mark.parametrize("character", ["\n", "\t", "\r"])
def test_a_control_character_in_an_address_is_refused(character):
    """The standard library would drop it, and another file would be opened."""
    with pytest.raises(ConfigurationError, match="percent-encode"):
        BackendURL.parse(f"sqlite:///a{character}b.db")


def test_the_password_is_in_no_text_of_the_address():
    """Neither repr nor str shows it (ER07)."""
    url = BackendURL.parse("pg://me:s3cret%40@host:1/db?a=b")
    assert url.password == "s3cret@"
    assert "s3cret" not in repr(url)
    assert str(url) == "pg://me:***@host:1/db"


def test_a_user_without_a_password_is_shown_without_stars():
    """Stars would tell of a password that is not there."""
    assert str(BackendURL.parse("pg://me@host/db")) == "pg://me@host/db"


def test_a_files_address_is_shown_as_it_would_be_written():
    """The shown form parses to the same path."""
    url = BackendURL.for_file("sqlite", "a b#?.db")
    assert str(url) == "sqlite:///a%20b%23%3F.db"
    assert BackendURL.parse(str(url)) == url


@given(PARTS)
@example("a?b=c")
@example("x://y")
@example("/%41")
def test_a_file_keeps_its_name_whatever_characters_it_holds(path):
    """A path given as a path is never parsed."""
    assert BackendURL.for_file("sqlite", path).path == path


@given(PARTS)
def test_a_shown_path_parses_back(path):
    """Quoting and unquoting are each other's opposite."""
    url = BackendURL.for_file("sqlite", path)
    assert BackendURL.parse(str(url)).path == path


def test_an_unknown_option_is_refused_by_name():
    """The error names it and the known ones."""
    with pytest.raises(ConfigurationError, match="unknown option y, z in the sqlite URL; known are: a, x"):
        BackendURL.parse("sqlite:///f?z=1&y=2&x=3").check_options(["x", "a"])


def test_where_no_option_is_known_the_error_says_none():
    """An empty list would read like a slip."""
    with pytest.raises(ConfigurationError, match="known are: none"):
        BackendURL.parse("memory://?a=1").check_options(())


def test_known_options_pass():
    """Nothing is raised, given or not."""
    BackendURL.parse("sqlite:///f?x=3").check_options(["x", "y"])


def test_several_hosts_are_kept_as_written():
    """With their ports, for the driver to take apart; the password stays out of sight."""
    url = BackendURL.parse("engine://user:secret@Alpha:5432,beta,[::1]:5433/db?option=1")
    assert (url.host, url.port, url.username, url.path) == ("Alpha:5432,beta,[::1]:5433", None, "user", "db")
    assert str(url) == "engine://user:***@Alpha:5432,beta,[::1]:5433/db"
    assert BackendURL.parse("engine://user:a,b@host:1/db").port == 1


def everything_behind(error: BaseException | None) -> str:
    """All that an error, its causes, its contexts and their notes would show."""
    if error is None:
        return ""
    own = [str(error), repr(error), repr(vars(error)), *getattr(error, "__notes__", ())]
    return "\n".join([*own, everything_behind(error.__cause__), everything_behind(error.__context__)])


@pytest.mark.parametrize("scheme", ["postgresql", "sqlite", "memory", "nosuch"])
@pytest.mark.parametrize("start", ["S3CR", "5432", "54,32", "[S3CR"])
@pytest.mark.parametrize("character", "?/#")
def test_a_password_that_is_not_encoded_is_in_no_error_and_no_cause(scheme, start, character):
    """What stands before such a character looks like a port, and what stands behind it like a path or an option."""
    with pytest.raises(ConfigurationError, match="percent-encode") as caught:
        BackendURL.parse(f"{scheme}://u:{start}{character}Z9ET@h/db")
    told = everything_behind(caught.value)
    assert "Z9ET" not in told
    assert start not in told


def test_an_at_sign_behind_the_host_is_no_password():
    """A file, or an option, may hold one where no port precedes it."""
    assert BackendURL.parse("sqlite:////tmp/a@b.db").path == "/tmp/a@b.db"
    assert BackendURL.parse("postgresql:///db?host=@socket").options == {"host": "@socket"}
    assert BackendURL.parse("postgresql://u@h:5432/db?application_name=a@b").port == 5432
    assert BackendURL.parse("postgresql://h:5432/db?application_name=a%40b").options["application_name"] == "a@b"


@pytest.mark.parametrize(
    "url",
    [
        "pg://u:S3CR?ET@h/db",
        "pg://u:S3CR?ET=1@h/db",
        "pg://u:12?S3CR=ET@h/db",
        "pg://u:12/S3CR/ET@h/db",
        "pg://u:12#S3CR@h/db",
        "pg://u:S3CR/ET@h/db",
        "pg://u:S3CR#ET@h/db",
        "pg://u:S3CR[ET@h/db",
        "pg://u:p@S3CR?ET@h/db",
        "pg://u:p@S3CR?ET=1@h/db",
        "pg://u:p@h:S3CR/db",
        "pg://u:S3CR\nET@h/db",
        "pg://u:S3CR%FF@h/db",
        "pg://u:S3CR%00@h/db",
        "pg://u:S3CR\ud800@h/db",
    ],
)
def test_a_password_that_is_cut_is_in_no_error(url):
    """Neither in the message nor in an error behind it: a special character in a password cuts it to pieces (ER07)."""
    with pytest.raises(ConfigurationError) as caught:
        BackendURL.parse(url).check_options(())
    told = "".join(traceback.format_exception(caught.value)).replace(f'"{url}"', "")
    assert [piece for piece in ("S3CR", "ET@", "ET=") if piece in told.rpartition("Error:")[2]] == []
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", ["sqlite:///a@b.db", "pg://h/a@b", "pg://u@h/a?b=c@d", "sqlite:///a:b@c.db"])
def test_an_at_sign_elsewhere_is_no_password(url):
    """Paths and options may hold one."""
    BackendURL.parse(url)


@pytest.mark.parametrize("path", ["a%00b", "a%FFb", "\ud800"])
def test_a_path_that_no_file_can_have_is_refused(path):
    """What is no UTF-8 would become a question mark, and another file."""
    with pytest.raises(ConfigurationError):
        BackendURL.parse(f"sqlite:///{path}")


@pytest.mark.parametrize("path", ["a\0b", "\ud800", b"a.db", pathlib.Path("a\0b")])
def test_a_file_name_that_cannot_be_is_refused(path):
    """Before the operating system does."""
    with pytest.raises(ConfigurationError):
        BackendURL.for_file("sqlite", path)


def test_a_file_name_that_is_no_utf_8_is_kept():
    """Python has its bytes as lone surrogates, and the operating system gets the bytes."""
    name = os.fsdecode(b"\xff.db")
    assert BackendURL.for_file("sqlite", name).path == name
    assert BackendURL.parse(f"sqlite:///{name}").path == name

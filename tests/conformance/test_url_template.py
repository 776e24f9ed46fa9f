"""The address of a fresh store: filled for each law, refused where it would be somebody's only store."""

import pytest

from context_core import BackendURL, ConfigurationError
from context_core_conformance.url_template import UrlTemplate


def test_each_store_is_another(tmp_path):
    """A folder as it is given, escaped; a name that never comes again."""
    template = UrlTemplate.parse("sqlite:///{tmp_path}/store.db")
    assert BackendURL.parse(template.fill(tmp_path / "50% of [a?]")).path == f"{tmp_path}/50% of [a?]/store.db"
    named = UrlTemplate.parse("memory://{unique}")
    names = {named.fill(tmp_path) for _ in range(5)} | {UrlTemplate.parse("memory://{unique}").fill(tmp_path)}
    assert len(names) == 6


def test_a_unique_name_is_an_identifier(tmp_path):
    """Lower case, no punctuation, and short enough for any database; one run's names begin alike."""
    template = UrlTemplate.parse("postgresql://host/db?schema={unique}")
    schema = BackendURL.parse(template.fill(tmp_path)).options["schema"]
    assert schema.isidentifier()
    assert schema == schema.lower()
    assert len(schema) <= 30
    assert schema.startswith(template.prefix)


@pytest.mark.parametrize(
    ("url", "suggestion"),
    [
        ("sqlite:///production.db", "sqlite:///{tmp_path}/production.db"),
        ("sqlite:////var/lib/engine.db?synchronous=normal", "sqlite:///{tmp_path}/engine.db?synchronous=normal"),
        ("memory://", "memory://{unique}"),
        ("memory://name", "memory://{unique}"),
        ("postgresql://me:hunter2@host/db", "postgresql://me:***@host/db?schema={unique}"),
    ],
)
def test_a_single_store_is_refused_with_what_to_write(url, suggestion):
    """Thousands of laws never run in a store that somebody needs."""
    with pytest.raises(ConfigurationError) as caught:
        UrlTemplate.parse(url)
    assert str(caught.value).endswith(f", as in {suggestion}")
    UrlTemplate.parse(suggestion)


def test_an_unknown_placeholder_is_refused():
    """By name, beside the known ones."""
    with pytest.raises(ConfigurationError, match=r"unknown placeholder \{tmp\} .* \{tmp_path\}, \{unique\}"):
        UrlTemplate.parse("sqlite:///{tmp}/{unique}.db")


def test_what_is_no_url_is_refused():
    """Before anything is opened."""
    with pytest.raises(ConfigurationError, match="scheme://"):
        UrlTemplate.parse("{tmp_path}/store.db")


def test_the_password_is_not_shown():
    """Not by the template, nor by its repr."""
    template = UrlTemplate.parse("postgresql://me:hunter2@host/{unique}")
    assert "hunter2" not in f"{template} {template!r}"
    assert str(template) == "postgresql://me:***@host/{unique}"

"""No secret of an address is left in a text."""

from urllib.parse import quote

import pytest

from context_core_conformance.report.redaction import Redactor, masked

ODD = "p@ss:w/o?r#d%&=[ ]\\'\"é"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("engine://me:hunter2@host:5432/db?x=1", "engine://me:***@host:5432/db?x=1"),
        ("engine://:hunter2@host/db", "engine://:***@host/db"),
        ("engine://me:a@b@host/db", "engine://me:***@host/db"),
        ("engine://me:un/en?co#ded@host/db", "engine://me:***@host/db"),
        ("engine://host/db?sslpassword=s&schema=a&api_key=k", "engine://host/db?sslpassword=***&schema=a&api_key=***"),
        ("engine://me@host/db", "engine://me@host/db"),
        ("engine://host:5432/db?mail=a@b", "engine://host:5432/db?mail=a@b"),
        ("sqlite:////tmp/a:b@c/{unique}", "sqlite:////tmp/a:b@c/{unique}"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url, shown):
    """And otherwise as it is."""
    assert masked(url) == shown


@pytest.mark.parametrize("form", [ODD, quote(ODD, safe=""), quote(ODD), repr(ODD)])
def test_a_secret_is_found_in_every_form(form):
    """Decoded, encoded, and as a repr writes it."""
    redact = Redactor.of(f"engine://me:{quote(ODD, safe='')}@host/db")
    assert redact(f"cannot log in with {form} at host") in (
        "cannot log in with *** at host",
        "cannot log in with '***' at host",
    )


def test_a_common_word_is_masked_only_where_it_stands_alone():
    """The password "postgres" leaves the names of drivers readable."""
    redact = Redactor.of("postgresql://postgres:postgres@localhost/{unique}")
    assert (
        redact("postgresql driver: no password 'postgres' for user") == "postgresql driver: no password '***' for user"
    )


def test_nothing_is_masked_without_a_secret():
    """An address without one changes no text."""
    assert Redactor.of("memory://{unique}")("*** and all") == "*** and all"

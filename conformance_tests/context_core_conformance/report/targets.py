"""What can be checked: the stores of an address, or a test class that a driver's author wrote."""

import re
import shlex
from typing import Protocol

import attrs

from context_core import ConfigurationError
from context_core_conformance.report.redaction import Redactor, masked
from context_core_conformance.url_template import UrlTemplate


class Target(Protocol):
    """Something that pytest can run the suite on."""

    @property
    def node(self) -> str:
        """What pytest collects, as ``module::Class``."""

    @property
    def options(self) -> tuple[str, ...]:
        """What pytest needs beside it."""

    @property
    def prefix(self) -> str | None:
        """What the name of each store begins with; None where the target itself decides that."""

    @property
    def redact(self) -> Redactor:
        """Takes its secrets out of texts."""

    @property
    def left(self) -> str:
        """What may be left on a server after a run, in words."""


@attrs.frozen
class Address:
    """The stores of a URL template."""

    template: UrlTemplate

    def __str__(self) -> str:
        return str(self.template)

    @property
    def node(self) -> str:
        """The suite's own module."""
        return "context_core_conformance.test_backend::TestBackend"

    @property
    def options(self) -> tuple[str, ...]:
        """The address, password and all."""
        return ("--context-backend", self.template.text)

    @property
    def prefix(self) -> str:
        """The prefix of `{unique}`."""
        return self.template.prefix

    @property
    def redact(self) -> Redactor:
        """Knows the password."""
        return Redactor.of(self.template.text)

    @property
    def left(self) -> str:
        """Stores that lie in a server, or in a process that has ended."""
        if not self.template.leaves_stores or self.template.text.startswith("memory:"):
            return ""
        return (
            f"The stores of this run are not removed: the {{unique}} part of their names begins with "
            f"{self.template.prefix}. Remove the schemas, tables, keys or files with that prefix. To have each store "
            "removed after its law, check a test class that defines dispose(url)."
        )


@attrs.frozen
class TestClass:
    """A subclass of BackendContract, which may give a storage access hook, open backups, and dispose of stores."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    @property
    def node(self) -> str:
        """The class in its module."""
        return f"{self.module}::{self.name}"

    @property
    def options(self) -> tuple[str, ...]:
        """A class need not be called Test…, if it is asked for by name."""
        return ("-o", f"python_classes={self.name}")

    @property
    def prefix(self) -> None:
        """The class makes the names."""

    @property
    def redact(self) -> Redactor:
        """Knows of no secret: what the class does is its own affair."""
        return Redactor.of("")

    @property
    def left(self) -> str:
        """The class disposes of what it makes."""
        return ""


def parse_target(text: str) -> Address | TestClass:
    """Read what the command is given: a URL template, or ``module:Class``.

    Raises:
        ConfigurationError: It is neither.
    """
    if "://" in text:
        return Address(UrlTemplate.parse(text))
    found = re.fullmatch(r"(\w+(?:\.\w+)*):(\w+)", text)
    if found is None:
        raise ConfigurationError(
            "give the URL of fresh stores, as sqlite:///{tmp_path}/store.db, or a test class, as my_package.tests:TestMine"
        )
    return TestClass(*found.groups())


def replay_command(target: Target, seed: int, case: str) -> str:
    """The command that runs one case again, to be pasted into a shell. A password is to be put in its place first."""
    words = [
        "python",
        "-m",
        "pytest",
        "--pyargs",
        f"{target.node}::{case}",
        *target.options,
        f"--hypothesis-seed={seed}",
    ]
    return shlex.join(map(masked, words))

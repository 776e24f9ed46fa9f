"""Finding backends: by entry point, without importing any but the one that is asked for."""

import os
import subprocess
import sys

import pytest

from context_core import (
    BackendContractError,
    BackendImportError,
    BackendNameTakenError,
    BackendNotFoundError,
    ContextPersistence,
)
from context_core.plugins import GROUP, find_backend, installed_backends, open_backend
from context_core.url import BackendURL
from context_core_memory import MemoryBackend

STRANGE = "from context_core_memory import MemoryBackend\nclass Backend(MemoryBackend):\n    scheme = 'strange'\n"


def run(code):
    """Run *code* in a Python of its own, where no measuring of coverage imports anything."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution that exists only as metadata, and the modules it is given."""

    def install(distribution, entry_points, **modules):
        folder = tmp_path / distribution
        metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in entry_points.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        for name, source in modules.items():
            (folder / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))

    yield install
    for name in [name for name in sys.modules if name.startswith("strange_")]:
        del sys.modules[name]


class TestListing:
    def test_the_built_in_backends_come_by_entry_point(self):
        """By the same door as a stranger's."""
        assert {"memory", "sqlite"} <= installed_backends().keys()
        assert installed_backends()["memory"].value == "context_core_memory:MemoryBackend"

    def test_listing_imports_no_backend(self):
        """A backend that is not used costs nothing and breaks nothing."""
        code = (
            "import sys; from context_core.plugins import installed_backends; names = set(installed_backends()); "
            "assert {'memory', 'sqlite'} <= names; "
            "bad = {'context_core_memory', 'context_core_sqlite', 'sqlite3'} & sys.modules.keys(); assert not bad, bad"
        )
        run(code)

    def test_importing_the_core_imports_no_backend_and_no_test_tool(self):
        """Nothing happens at import."""
        code = (
            "import sys, context_core; "
            "bad = {'context_core_memory', 'context_core_sqlite', 'context_core_conformance', 'sqlite3', 'pytest', "
            "'hypothesis', 'click', 'rich', 'hashlib', 'jsonpatch', 'tomllib', 'importlib.metadata'} & sys.modules.keys(); assert not bad, bad"
        )
        run(code)

    def test_opening_one_backend_imports_no_other(self):
        """`memory://` needs no SQLite."""
        code = (
            "import sys; from context_core import ContextPersistence; ContextPersistence('memory://').close(); "
            "assert 'context_core_sqlite' not in sys.modules; assert 'sqlite3' not in sys.modules"
        )
        run(code)

    def test_a_strangers_backend_is_listed(self, install):
        """As soon as it is installed."""
        install("strange-dist", {"strange": "strange_one:Backend"})
        assert installed_backends()["strange"].value == "strange_one:Backend"


class TestFinding:
    def test_a_backend_is_found_by_its_scheme(self):
        """The name of its entry point."""
        assert find_backend("memory") is MemoryBackend

    def test_a_strangers_backend_opens_by_url(self, install):
        """Nothing tells it from one of ours."""
        install("strange-dist", {"strange": "strange_backend:Backend"}, strange_backend=STRANGE)
        with ContextPersistence("strange://") as store:
            assert store.describe().name == "strange"

    def test_a_backend_is_looked_for_once(self, install, monkeypatch):
        """A look through all distributions costs more than opening a store."""
        install("strange-dist", {"strange": "strange_once:Backend"}, strange_once=STRANGE)
        found = find_backend("strange")
        monkeypatch.setattr("context_core.plugins.entry_points", None)
        assert find_backend("strange") is found

    def test_a_backend_that_is_installed_meanwhile_is_found(self, install, tmp_path, monkeypatch):
        """Whoever is told what to install need not start again: it comes to where we looked before."""
        monkeypatch.syspath_prepend(str(tmp_path / "strange-dist"))
        with pytest.raises(BackendNotFoundError):
            find_backend("strange")
        before = list(sys.path)
        install("strange-dist", {"strange": "strange_later:Backend"}, strange_later=STRANGE)
        monkeypatch.setattr(sys, "path", before)
        assert find_backend("strange").scheme == "strange"

    def test_a_backend_is_forgotten_with_the_path_it_was_found_on(self, install, monkeypatch):
        """Another path is another environment."""
        before = list(sys.path)
        install("strange-dist", {"strange": "strange_gone:Backend"}, strange_gone=STRANGE)
        assert find_backend("strange").scheme == "strange"
        monkeypatch.setattr(sys, "path", before)
        with pytest.raises(BackendNotFoundError):
            find_backend("strange")

    def test_the_address_is_given_to_the_backend(self):
        """With its clock."""
        backend = open_backend(BackendURL.parse("memory://somewhere"))
        assert backend.describe().location == "memory://somewhere"
        backend.close()

    def test_an_unknown_scheme_is_refused_with_the_known_ones(self):
        """A slip of the pen is seen at once."""
        with pytest.raises(BackendNotFoundError, match="'sqlte'.*memory.*sqlite") as caught:
            ContextPersistence("sqlte:///a.db")
        assert {"memory", "sqlite"} <= set(caught.value.known)

    def test_a_second_copy_of_the_metadata_replaces_no_driver(self, install):
        """It lies earlier on the path, has the very name of our distribution, and another driver under ours's name."""
        install("context-core", {"memory": "strange_one:Backend"}, strange_one=STRANGE)
        with pytest.raises(BackendNameTakenError) as caught:
            ContextPersistence("memory://")
        assert caught.value.name == "memory"
        assert len(caught.value.distributions) == 2
        told = str(caught.value)
        for said in ("(strange_one:Backend)", "(context_core_memory:MemoryBackend)", " in /", "uninstall all but one"):
            assert said in told

    def test_a_copy_of_the_metadata_that_says_the_same_is_no_other(self, install):
        """An editable install, or a path that is there twice, has more than one."""
        install("context-core", {"memory": "context_core_memory:MemoryBackend"})
        assert find_backend("memory") is MemoryBackend

    def test_a_copy_of_the_metadata_takes_no_driver_away(self, install):
        """What it does not list is still there."""
        install("context-core", {})
        assert find_backend("memory") is MemoryBackend
        assert {"memory", "sqlite"} <= installed_backends().keys()

    def test_two_copies_of_a_package_are_refused(self, install, tmp_path, monkeypatch):
        """Of one distribution, one before the other: which is imported would be decided by the order of the path."""
        for folder in ("first", "second"):
            install("strange-dist", {"strange": "strange_twice:Backend"})
            (tmp_path / "strange-dist" / "strange_twice").mkdir()
            (tmp_path / "strange-dist" / "strange_twice" / "__init__.py").write_text(STRANGE)
            (tmp_path / "strange-dist").rename(tmp_path / folder)
            monkeypatch.syspath_prepend(str(tmp_path / folder))
        with pytest.raises(BackendNameTakenError) as caught:
            find_backend("strange")
        assert [str(tmp_path / folder) in str(caught.value) for folder in ("first", "second")] == [True, True]

    def test_a_name_that_two_distributions_claim_is_refused_by_name(self, install):
        """Neither may win silently; both are told."""
        install("first-dist", {"strange": "strange_one:Backend"})
        install("second-dist", {"strange": "strange_two:Backend"})
        with pytest.raises(BackendNameTakenError) as caught:
            find_backend("strange")
        assert caught.value.distributions == ("first-dist (strange_one:Backend)", "second-dist (strange_two:Backend)")

    def test_a_built_in_name_cannot_be_taken_over(self, install):
        """A stranger's "memory" is refused as any other."""
        install("hostile-dist", {"memory": "strange_hostile:Backend"})
        with pytest.raises(BackendNameTakenError, match="context-core.* and hostile-dist"):
            find_backend("memory")

    def test_two_claims_of_one_name_break_no_other_backend(self, install):
        """Only who asks for it is told."""
        install("first-dist", {"strange": "strange_one:Backend"})
        install("second-dist", {"strange": "strange_two:Backend"})
        assert "strange" in installed_backends()
        ContextPersistence("memory://").close()

    def test_a_distribution_that_is_found_twice_is_one(self, install):
        """As with an editable install beside its metadata."""
        install("twice-dist", {"strange": "context_core_memory:MemoryBackend"})
        sys.path.insert(0, sys.path[0])  # put away with the rest when the fixture's changes are undone
        assert find_backend("strange") is MemoryBackend

    @pytest.mark.parametrize(
        "source",
        ["import a_module_that_is_not_there\n", "1 / 0\n", "def broken(:\n", "raise RuntimeError('no driver')\n", ""],
    )
    def test_a_backend_that_fails_to_import_says_what_to_install(self, install, source):
        """Whatever its module raises is the cause."""
        install("strange-dist", {"strange": "strange_broken:Backend"}, strange_broken=source)
        with pytest.raises(BackendImportError, match='python -m pip install "strange-dist"') as caught:
            find_backend("strange")
        assert (caught.value.backend_name, caught.value.target) == ("strange", "strange_broken:Backend")
        assert caught.value.distribution == "strange-dist"
        assert caught.value.__cause__ is not None

    def test_a_backend_of_an_extra_says_which(self, install):
        """Its entry point names it, and what is to be installed is what the extra adds."""
        install(
            "strange-dist", {"strange": "strange_broken:Backend [strange]"}, strange_broken="import missing_library\n"
        )
        with pytest.raises(BackendImportError, match=r'python -m pip install "strange-dist\[strange\]"') as caught:
            find_backend("strange")
        assert (caught.value.target, caught.value.extras) == ("strange_broken:Backend", ("strange",))

    def test_a_backend_that_fails_to_import_breaks_no_other(self, install):
        """It is not even imported."""
        install("strange-dist", {"strange": "strange_broken:Backend"}, strange_broken="1 / 0\n")
        assert "strange" in installed_backends()
        ContextPersistence("memory://").close()
        assert "strange_broken" not in sys.modules

    @pytest.mark.parametrize("source", ["class Backend: pass\n", "Backend = 5\n", "def Backend(url): ...\n"])
    def test_what_is_no_backend_is_refused(self, install, source):
        """The entry point names a subclass of ContextBackend."""
        install("strange-dist", {"strange": "strange_thing:Backend"}, strange_thing=source)
        with pytest.raises(BackendContractError, match="strange_thing:Backend, which is no subclass of ContextBackend"):
            find_backend("strange")

    def test_an_entry_point_of_no_distribution_is_told_as_such(self, monkeypatch):
        """A finder may give some."""
        points = [point for point in installed_backends().values() if point.name == "memory"]
        loose = type(points[0])(name="strange", value="strange_none:Backend", group=GROUP)
        monkeypatch.setattr("context_core.plugins.entry_points", lambda **_: [loose])
        with pytest.raises(BackendImportError, match="an unknown distribution"):
            find_backend("strange")

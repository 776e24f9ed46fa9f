"""The only room that knows entry points and pluggy's manager: it finds backends, opens them, and binds wrappers.

pluggy has manners that would lose data here, so binding works around each of them: a verb without a mark counts as
implemented all the same; a second plugin that implements a verb is refused, where pluggy would let the last one win;
a misspelt hook and a None result are errors; and a store without wrappers calls its driver directly, at no cost.
"""

import functools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs
import pluggy

from context_core.errors import (
    BackendContractError,
    BackendImportError,
    BackendNameTakenError,
    BackendNotFoundError,
    shown,
)
from context_core.hookspecs import PROJECT, VERBS, ContextBackend
from context_core.model import utc_now
from context_core.records import (
    BatchRequest,
    Clock,
    LoadRequest,
    Outcome,
    QueryRequest,
    SavedVersion,
    SaveRequest,
    Selection,
    StoredDocument,
    VersionRequest,
)
from context_core.url import BackendURL

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "context_core.backends"
"""The entry-point group: the name is the URL scheme, the value a ContextBackend subclass."""

Request = TypeVar("Request")
Result = TypeVar("Result")


def entry_points(group: str, name: str | None = None) -> "list[EntryPoint]":
    """Return what installed distributions offer in a group, under one name or under any.

    `importlib.metadata.entry_points` looks at the first distribution of a name alone: a second copy of its metadata,
    earlier on `sys.path`, would replace what it offers without a word.
    """
    from importlib import metadata  # noqa: PLC0415  # a quarter of what importing context_core would cost

    return [
        point
        for distribution in metadata.distributions()
        for point in distribution.entry_points
        if point.group == group and (name is None or point.name == name)
    ]


def installed_backends() -> "dict[str, EntryPoint]":
    """Return the installed backends by name, none of them imported.

    A name that two distributions claim is in it too: `find_backend` refuses it when it is asked for, so that one
    conflict does not take every other store away.
    """
    return {point.name: point for point in entry_points(group=GROUP)}


def find_backend(name: str) -> type[ContextBackend]:
    """Import and return the backend class of that name.

    What was found is remembered for as long as `sys.path` stays the same, since a look through all distributions takes
    longer than opening a store; what was not found is looked for again.

    Raises:
        BackendNotFoundError: No distribution offers it.
        BackendNameTakenError: More than one does.
        BackendImportError: Its module fails to import; the cause tells why.
        BackendContractError: What it names is not a ContextBackend.
    """
    return _find_backend(name, tuple(sys.path))


@functools.lru_cache(maxsize=64)
def _find_backend(name: str, _path: tuple[str, ...]) -> type[ContextBackend]:
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise BackendNotFoundError(name=name, known=installed_backends())
    owners = {(_distribution(point), point.value) for point in found}
    if len(owners) > 1:
        is_one_name = len({owner for owner, _ in owners}) == 1
        claims = {_claim(point, with_folder=is_one_name) for point in found}
        raise BackendNameTakenError(name=name, distributions=claims)
    copies = _copies(found)
    if len(copies) > 1:
        raise BackendNameTakenError(name=name, distributions=(_claim(point, with_folder=True) for point in copies))
    point = found[0]
    try:
        backend = point.load()
    except Exception as error:  # whatever a stranger's module raises while it is imported is one and the same news
        target, owner = f"{point.module}:{point.attr}", _distribution(point)
        raise BackendImportError(name=name, target=target, distribution=owner, extras=point.extras) from error
    if not (isinstance(backend, type) and issubclass(backend, ContextBackend)):
        raise BackendContractError(f"entry point {name!r} names {point.value}, which is no subclass of ContextBackend")
    return backend


def open_backend(url: BackendURL, *, clock: Clock = utc_now) -> ContextBackend:
    """Open the store at *url* with the backend that its scheme names."""
    return find_backend(url.scheme).from_url(url, clock=clock)


def _distribution(point: "EntryPoint") -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"


def _claim(point: "EntryPoint", *, with_folder: bool) -> str:
    where = f" in {point.dist.locate_file('')}" if with_folder and point.dist is not None else ""
    return f"{_distribution(point)}{where} ({point.value})"


def _copies(points: "Sequence[EntryPoint]") -> "list[EntryPoint]":
    """One point for each copy of the package that they name: which one is imported is decided by the order of sys.path.

    An editable install may have several copies of its metadata, none of them beside a package.
    """
    copies: dict[Path, EntryPoint] = {}
    for point in points:
        if point.dist is not None:
            package = point.module.partition(".")[0]
            for name in (package, f"{package}.py"):
                path = Path(str(point.dist.locate_file(name)))
                if path.exists():
                    copies.setdefault(path.resolve(), point)
    return list(copies.values())


@attrs.frozen(kw_only=True)
class BoundVerbs:
    """The five verbs of one store, ready to be called: straight to the driver, or through its wrappers."""

    save: Callable[[SaveRequest], SavedVersion]
    load: Callable[[LoadRequest], list[StoredDocument]]
    version: Callable[[VersionRequest], Selection]
    query: Callable[[QueryRequest], Selection]
    batch: Callable[[BatchRequest], list[Outcome]]


def bind(backend: ContextBackend, wrappers: Iterable[object] = ()) -> BoundVerbs:
    """Bind *backend*, the first of *wrappers* outermost.

    Raises:
        BackendContractError: *backend* is no ContextBackend, or a wrapper is none: it has no hook, a misspelt one, or
            one that would answer in the driver's place.
    """
    if not isinstance(backend, ContextBackend):
        raise BackendContractError(f"a backend must be a ContextBackend, not {type(backend).__name__}")
    if not isinstance(wrappers, Iterable):
        raise BackendContractError(f"wrappers must be a list of wrappers, not {type(wrappers).__name__}")
    wrappers = list(wrappers)
    if not wrappers:
        return BoundVerbs(**{verb: getattr(backend, verb) for verb in VERBS})
    manager = _StorePluginManager(PROJECT)
    manager.add_hookspecs(ContextBackend)
    _register(manager, backend)
    for wrapper in reversed(wrappers):
        _register_wrapper(manager, wrapper)
    for verb in VERBS:
        answering = [call for call in getattr(manager.hook, verb).get_hookimpls() if not call.wrapper]
        if [call.plugin for call in answering] != [backend]:
            raise BackendContractError(f"{verb} must be answered by the backend alone, not by {shown(answering, 200)}")
        if answering[0].argnames != ("request",):
            raise _bad_request(answering[0])
    return BoundVerbs(**{verb: _call(verb, getattr(manager.hook, verb)) for verb in VERBS})


class _StorePluginManager(pluggy.PluginManager):
    """A plugin manager for one store, in which a driver's verbs need no mark and nothing else of it is looked at."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if isinstance(plugin, ContextBackend):
            return _UNMARKED if name in VERBS else None
        return super().parse_hookimpl_opts(plugin, name)


_UNMARKED: Final = {
    "wrapper": False,
    "hookwrapper": False,
    "optionalhook": False,
    "tryfirst": False,
    "trylast": False,
    "specname": None,
}


def _register(manager: pluggy.PluginManager, plugin: object) -> None:
    try:
        manager.register(plugin)
    except pluggy.PluginValidationError as error:
        advice = "each hook is a method with one parameter called request, and a wrapper's yields once"
        raise BackendContractError(f"{type(plugin).__name__} does not fit: {advice}") from error
    except ValueError as error:
        raise BackendContractError(
            f"{type(plugin).__name__} does not fit: it is there already, give it once"
        ) from error


def _register_wrapper(manager: pluggy.PluginManager, wrapper: object) -> None:
    name = type(wrapper).__name__
    if isinstance(wrapper, ContextBackend):
        raise BackendContractError(f"{name} is a backend, not a wrapper: open a store of its own around it")
    _register(manager, wrapper)
    callers = manager.get_hookcallers(wrapper) or ()
    if not callers:
        raise BackendContractError(f"wrapper {name} has no hook: mark its methods with @hookimpl(wrapper=True)")
    misspelt = sorted(caller.name for caller in callers if caller.name not in VERBS)
    if misspelt:
        raise BackendContractError(f"{name} has a hook {', '.join(misspelt)}; the hooks are: {', '.join(VERBS)}")
    for call in (call for caller in callers for call in caller.get_hookimpls() if call.plugin is wrapper):
        if not call.wrapper:
            raise BackendContractError(
                f"{name}.{call.function.__name__} would answer in the backend's place: "
                f"mark it with @hookimpl(wrapper=True) and yield once"
            )
        if "request" in call.kwargnames:
            raise _bad_request(call)


def _bad_request(call: pluggy.HookImpl) -> BackendContractError:
    """pluggy passes arguments by name, and passes none to a parameter that has a default."""
    name = f"{type(call.plugin).__name__}.{call.function.__name__}"
    return BackendContractError(f"{name} must have one parameter called request, without a default")


def _call(verb: str, hook: pluggy.HookCaller) -> Callable[[Request], Any]:
    def call(request: Request) -> Any:
        result = hook(request=request)
        if result is None:
            raise BackendContractError(f"{verb} gave None: a wrapper must return what it got from its yield")
        return result

    return call

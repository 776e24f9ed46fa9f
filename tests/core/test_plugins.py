"""Binding a driver and its wrappers: every trap that pluggy sets is held by a test."""

import inspect
import types
from typing import Any

import pytest

from context_core import BackendContractError, ContextBackend, ContextPersistence, hookimpl
from context_core.hookspecs import VERBS
from context_core.model import WorkflowContext
from context_core.plugins import bind
from context_core.records import BatchRequest, LoadRequest, QueryRequest, SaveRequest, VersionRequest
from context_core.serialization import ContextSerializer
from context_core_conformance.samples import a_context
from context_core_memory import MemoryBackend


def a_record(workflow_id="order-7"):
    return ContextSerializer(WorkflowContext).to_record(a_context(workflow_id))


REQUESTS: dict[str, Any] = {
    "save": SaveRequest(record=a_record()),
    "load": LoadRequest(workflow_ids=("order-7",)),
    "version": VersionRequest(of="order-7"),
    "query": QueryRequest(),
    "batch": BatchRequest(operations=[SaveRequest(record=a_record("order-8"))]),
}


class Observer:
    """Writes down every call, before and after."""

    def __init__(self, name="", log=None):
        self.name, self.log = name, [] if log is None else log

    def _observe(self, verb, request):
        self.log.append((f"{self.name}>", verb, request))
        result = yield
        self.log.append((f"{self.name}<", verb, result))
        return result

    @hookimpl(wrapper=True)
    def save(self, request):
        return (yield from self._observe("save", request))

    @hookimpl(wrapper=True)
    def load(self, request):
        return (yield from self._observe("load", request))

    @hookimpl(wrapper=True)
    def version(self, request):
        return (yield from self._observe("version", request))

    @hookimpl(wrapper=True)
    def query(self, request):
        return (yield from self._observe("query", request))

    @hookimpl(wrapper=True)
    def batch(self, request):
        return (yield from self._observe("batch", request))


class Quiet:
    """Asks for one verb, and does nothing."""

    @hookimpl(wrapper=True)
    def query(self):
        return (yield)


@pytest.fixture
def backend():
    backend = MemoryBackend()
    yield backend
    backend.close()


def refusal(backend, *wrappers):
    with pytest.raises(BackendContractError) as caught:
        bind(backend, wrappers)
    return str(caught.value)


class TestTheContract:
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_has_one_request_without_a_default(self, verb):
        """pluggy would never pass a parameter that has one."""
        parameters = list(inspect.signature(getattr(ContextBackend, verb)).parameters.values())
        assert [parameter.name for parameter in parameters] == ["self", "request"]
        assert all(parameter.default is inspect.Parameter.empty for parameter in parameters)

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_verb_is_abstract(self, verb):
        """A driver that lacks one is never made."""
        assert getattr(ContextBackend, verb).__isabstractmethod__
        lacking = type("Lacking", (MemoryBackend,), {verb: getattr(ContextBackend, verb)})
        with pytest.raises(TypeError, match=verb):
            lacking()

    def test_what_is_no_backend_is_refused(self):
        """Also where it has all the verbs."""
        assert "must be a ContextBackend, not Observer" in refusal(Observer())


class TestWithoutWrappers:
    def test_the_verbs_are_the_drivers_own(self, backend):
        """With no wrapper registered there is nothing between caller and driver (HO02)."""
        bound = bind(backend)
        for verb in VERBS:
            assert getattr(bound, verb) == getattr(backend, verb)
            assert getattr(bound, verb).__self__ is backend

    def test_an_instance_attribute_is_bound_as_it_is(self, backend):
        """A driver may choose its verb when it is made."""
        chosen: Any = lambda _: []  # noqa: E731  # the shortest of verbs
        backend.load = chosen
        assert bind(backend).load is chosen


class TestWithWrappers:
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_wrapper_sees_request_and_result(self, backend, verb):
        """Of every verb (HO02)."""
        observer = Observer()
        result = getattr(bind(backend, [observer]), verb)(REQUESTS[verb])
        assert observer.log == [(">", verb, REQUESTS[verb]), ("<", verb, result)]

    @pytest.mark.parametrize("verb", VERBS)
    def test_a_driver_answers_alike_with_and_without(self, verb):
        """Through a wrapper comes what the driver gave (HO02)."""
        clock = lambda: a_context().created_at  # noqa: E731  # the shortest of clocks
        plain, wrapped = (bind(MemoryBackend(clock=clock), wrappers) for wrappers in ((), [Quiet()]))
        for bound in (plain, wrapped):
            bound.save(REQUESTS["save"])
        assert getattr(wrapped, verb)(REQUESTS[verb]) == getattr(plain, verb)(REQUESTS[verb])

    def test_an_override_without_a_mark_stays_when_a_wrapper_comes(self):
        """pluggy would only see marked methods, and the override would vanish."""

        class Shouting(MemoryBackend):
            def load(self, request):
                return [f"HEAD OF {workflow_id}" for workflow_id in request.workflow_ids]

        for wrappers in ((), [Observer()]):
            shouted: Any = bind(Shouting(), wrappers).load(REQUESTS["load"])
            assert shouted == ["HEAD OF order-7"]

    def test_a_marked_override_stays_too(self):
        """A mark does no harm, not even one that asks for another place."""

        class Marked(MemoryBackend):
            @hookimpl(trylast=True, specname="save")
            def load(self, request):
                return ["mine"]

        answer: Any = bind(Marked(), [Observer()]).load(REQUESTS["load"])
        assert answer == ["mine"]

    def test_an_inherited_verb_is_called_once(self, backend):
        """The hook holds the driver, not its bases."""

        class Child(MemoryBackend):
            pass

        child = Child()
        bind(child, [Observer()]).save(REQUESTS["save"])
        assert child.load(REQUESTS["load"])[0].version == 1

    def test_nothing_else_of_a_driver_is_looked_at(self):
        """pluggy would evaluate its properties, and take marked methods for hooks."""

        class Touchy(MemoryBackend):
            @property
            def costly(self):
                raise AssertionError("looked at")

            @hookimpl
            def unrelated(self):
                raise AssertionError("called")

        assert bind(Touchy(), [Observer()]).load(REQUESTS["load"]) == []

    def test_the_first_wrapper_is_the_outermost(self, backend):
        """As they are listed, so they are entered (HO02)."""
        log: list[Any] = []
        bind(backend, [Observer("a", log), Observer("b", log), Observer("c", log)]).load(REQUESTS["load"])
        assert [entry[0] for entry in log] == ["a>", "b>", "c>", "c<", "b<", "a<"]

    def test_a_wrapper_need_not_take_the_request(self, backend):
        """A counter, say, does not look at it."""
        assert bind(backend, [Quiet()]).query(REQUESTS["query"]).documents == ()

    def test_a_module_can_be_a_wrapper(self, backend):
        """pluggy takes any object."""
        module = types.ModuleType("auditing")
        seen = []

        @hookimpl(wrapper=True)
        def load(request):
            seen.append(request)
            return (yield)

        vars(module)["load"] = load
        bind(backend, [module]).load(REQUESTS["load"])
        assert seen == [REQUESTS["load"]]

    def test_two_stores_do_not_share_wrappers(self, backend):
        """Each has a plugin manager of its own."""
        observer, other = Observer(), MemoryBackend()
        bind(backend, [observer])
        bind(other, [Quiet()]).load(REQUESTS["load"])
        assert observer.log == []

    def test_one_wrapper_can_serve_two_stores(self, backend):
        """It is told of both."""
        observer = Observer()
        for one in (backend, MemoryBackend()):
            bind(one, [observer]).load(REQUESTS["load"])
        assert len(observer.log) == 4


class TestVetoes:
    class Veto(Exception):  # noqa: N818  # it is what the test says it is
        pass

    @pytest.fixture
    def veto(self):
        kind = self.Veto

        class Guard:
            @hookimpl(wrapper=True)
            def save(self, request):
                if request is not None:
                    raise kind(request.record.workflow_id)
                yield

            @hookimpl(wrapper=True)
            def batch(self, request):
                if request is not None:
                    raise kind
                yield

        return Guard()

    @pytest.mark.parametrize("verb", ["save", "batch"])
    def test_a_veto_before_the_yield_leaves_nothing_written(self, backend, veto, verb):
        """And the caller sees the wrapper's own error (HO01)."""
        with pytest.raises(self.Veto):
            getattr(bind(backend, [veto]), verb)(REQUESTS[verb])
        assert backend.query(QueryRequest()).documents == ()

    def test_an_outer_wrapper_sees_the_veto_of_an_inner_one(self, backend, veto):
        """Its own part after the yield is run with the error."""
        seen = []

        class Outer:
            @hookimpl(wrapper=True)
            def save(self, request):
                try:
                    return (yield)
                except TestVetoes.Veto as error:
                    seen.append(str(error))
                    raise

        with pytest.raises(self.Veto):
            bind(backend, [Outer(), veto]).save(REQUESTS["save"])
        assert seen == ["order-7"]

    def test_an_inner_wrapper_is_not_told_of_what_an_outer_one_refused(self, backend, veto):
        """It never happened."""
        observer = Observer()
        with pytest.raises(self.Veto):
            bind(backend, [veto, observer]).save(REQUESTS["save"])
        assert observer.log == []

    def test_a_wrapper_that_does_not_yield_stops_the_call(self, backend):
        """It cannot answer in the driver's place: nothing is written."""

        class Mute:
            @hookimpl(wrapper=True)
            def save(self, request):
                if request is None:
                    yield
                return "mine"

        with pytest.raises(RuntimeError, match="did not yield"):
            bind(backend, [Mute()]).save(REQUESTS["save"])
        assert backend.query(QueryRequest()).documents == ()


def test_a_store_that_cannot_be_bound_is_closed():
    """Its backend would otherwise stay open with no one to close it."""
    backend = MemoryBackend()
    with pytest.raises(BackendContractError):
        ContextPersistence(backend, wrappers=[object()])
    assert backend._is_closed


class TestNone:
    @pytest.mark.parametrize("verb", VERBS)
    def test_a_driver_that_gives_none_breaks_the_contract(self, verb):
        """pluggy takes None for "no answer"."""
        giving_none = type("GivingNone", (MemoryBackend,), {verb: lambda self, request: None})()
        with pytest.raises(BackendContractError, match=f"{verb} gave None"):
            getattr(bind(giving_none, [Observer()]), verb)(REQUESTS[verb])

    def test_a_wrapper_that_loses_the_result_breaks_the_contract(self, backend):
        """It forgot to return what it got."""

        class Forgetful:
            @hookimpl(wrapper=True)
            def load(self, request):
                yield

        with pytest.raises(BackendContractError, match="load gave None: a wrapper must return"):
            bind(backend, [Forgetful()]).load(REQUESTS["load"])

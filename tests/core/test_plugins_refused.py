"""Binding refuses whatever pluggy would take, and answer wrongly for."""

import pytest

from context_core import BackendContractError, hookimpl
from context_core.hookspecs import VERBS
from context_core.plugins import bind
from context_core_memory import MemoryBackend


class Observer:
    """Does nothing to any save."""

    @hookimpl(wrapper=True)
    def save(self, request):
        return (yield)


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


class TestRefusedWrappers:
    def test_one_without_a_hook(self, backend):
        """It would never be called."""
        assert "wrapper object has no hook" in refusal(backend, object())

    def test_one_that_forgot_the_mark(self, backend):
        """As one without a hook: the error says what to write."""

        class Unmarked:
            def save(self, request):
                return (yield)

        assert "@hookimpl(wrapper=True)" in refusal(backend, Unmarked())

    def test_one_with_a_misspelt_hook(self, backend):
        """The error names it and the hooks there are."""

        class Misspelt(Observer):
            @hookimpl(wrapper=True)
            def svae(self, request):
                return (yield)

        message = refusal(backend, Misspelt())
        assert "Misspelt has a hook svae; the hooks are: save, load, version, query, batch" in message

    @pytest.mark.parametrize("options", [{"optionalhook": True}, {"specname": "close"}])
    def test_one_that_would_hide_a_misspelling(self, backend, options):
        """pluggy would accept it and never call it."""

        class Optional:
            @hookimpl(wrapper=True, **options)
            def svae(self, request):
                return (yield)

        assert "the hooks are: save" in refusal(backend, Optional())

    @pytest.mark.parametrize("verb", VERBS)
    def test_one_that_would_answer_itself(self, backend, verb):
        """Last in, first out: pluggy would let it hijack the verb."""

        def answer(_, request):
            return request

        answer.__name__ = verb
        hijacker = type("Hijacker", (), {verb: hookimpl(answer)})()
        assert f"Hijacker.{verb} would answer in the backend's place" in refusal(backend, hijacker)

    @pytest.mark.parametrize("options", [{"tryfirst": True}, {"trylast": True}, {"hookwrapper": True}])
    def test_one_that_would_answer_in_another_order(self, backend, options):
        """Whatever else its mark says."""

        class Hijacker:
            @hookimpl(**options)
            def save(self, request):
                yield

        assert "would answer in the backend's place" in refusal(backend, Hijacker())

    def test_one_that_would_answer_under_another_name(self, backend):
        """The hook counts, not the method."""

        class Hijacker:
            @hookimpl(specname="save")
            def innocent(self, request):
                return request

        assert "Hijacker.innocent would answer" in refusal(backend, Hijacker())

    def test_one_that_is_a_backend(self, backend):
        """A cache, say, is a store of its own around another."""
        assert "open a store of its own around it" in refusal(backend, MemoryBackend())

    def test_one_that_never_yields(self, backend):
        """A wrapper is a generator function."""

        class Plain:
            @hookimpl(wrapper=True)
            def save(self, request):
                return request

        assert "Plain does not fit: each hook is a method with one parameter called request" in refusal(
            backend, Plain()
        )

    def test_one_that_calls_the_request_otherwise(self, backend):
        """pluggy passes it by name."""

        class Renamed:
            @hookimpl(wrapper=True)
            def save(self, req):
                return (yield)

        assert "Renamed does not fit: each hook is a method with one parameter called request" in refusal(
            backend, Renamed()
        )

    def test_one_with_a_default_for_the_request(self, backend):
        """pluggy would never pass it, and the wrapper would see the default."""

        class Defaulting:
            @hookimpl(wrapper=True)
            def save(self, request=None):
                return (yield)

        assert "Defaulting.save must have one parameter called request, without a default" in refusal(
            backend, Defaulting()
        )

    def test_one_that_comes_twice(self, backend):
        """A store would tell it everything twice."""
        observer = Observer()
        assert "Observer does not fit: it is there already" in refusal(backend, observer, observer)

    def test_two_under_one_name(self, backend):
        """pluggy knows plugins by their name where they have one."""
        first, second = Observer(), Observer()
        vars(first)["__name__"] = vars(second)["__name__"] = "observer"
        assert "Observer does not fit" in refusal(backend, first, second)


class TestRefusedDrivers:
    @pytest.mark.parametrize("load", [lambda _, req: [], lambda _, request=None: [], lambda *_: []])
    def test_one_whose_request_pluggy_could_not_pass(self, load):
        """It would work until the first wrapper came."""
        odd = type("Odd", (MemoryBackend,), {"load": load})()
        assert "Odd" in refusal(odd, Quiet())

    def test_one_that_pluggy_cannot_look_into(self):
        """Its hooks would have no one to ask, and every answer would be None."""
        hidden = type("Hidden", (MemoryBackend,), {"__dir__": lambda _: []})()
        assert "save must be answered by the backend alone, not by []" in refusal(hidden, Quiet())

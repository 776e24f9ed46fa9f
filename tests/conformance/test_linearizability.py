"""The checker on histories made by hand: each kind of anomaly is caught, named, and shown by as few calls as can be."""

import attrs
import pytest

from context_core_conformance.linearizability.anomalies import Anomaly, NotLinearizableError
from context_core_conformance.linearizability.checker import linearize
from context_core_conformance.linearizability.histories import (
    EVER,
    Call,
    Deleting,
    Listing,
    Loading,
    Outcome,
    Pruning,
    Saving,
    Seen,
)

MS = 1_000_000


def call(who, began_ms, ended_ms, *asked, got):
    """A call that went well: its items, and a result for each."""
    results = got if isinstance(got, list) else [got]
    times = {"began_ns": began_ms * MS, "ended_ns": ended_ms * MS}
    return Call(who=who, items=asked, outcome=Outcome.DONE, results=tuple(results), **times)


def conflict(who, began_ms, ended_ms, *asked, stood_at):
    """A call that was told where its workflow stands."""
    done = call(who, began_ms, ended_ms, *asked, got=[])
    return attrs.evolve(done, outcome=Outcome.REFUSED, stood_at=("w", stood_at), reason="VersionConflictError")


def interrupted(who, began_ms, *asked):
    """A call that never returned."""
    return Call(who=who, items=asked, began_ns=began_ms * MS, reason="killed")


def save(label, expected=None, name="w"):
    return Saving(name, label, expected=expected)


LOAD = Loading("w")
FIRST = call("p", 0, 1, save("first"), got=1)
SECOND = call("p", 2, 3, save("second"), got=2)
DELETED = call("p", 2, 3, Deleting("w", expected=1), got=True)
BATCH = call("b", 4, 5, save("a1", name="a"), save("b1", name="b"), got=[1, 1])

BAD = {
    "one version for two saves": (
        Anomaly.DUPLICATE,
        [FIRST, call("q", 0, 1, save("other"), got=1), call("r", 5, 6, save("more"), got=2)],
        ["p", "q"],
    ),
    "one interrupted save twice": (
        Anomaly.DUPLICATE,
        [
            interrupted("p", 0, save("x")),
            call("q", 1, 2, LOAD, got=Seen(1, "x")),
            call("r", 3, 4, LOAD, got=Seen(2, "x")),
        ],
        ["p", "r"],
    ),
    "a number left out": (Anomaly.GAP, [FIRST, call("q", 2, 3, save("third"), got=3)], ["p", "q"]),
    "a list with a hole": (
        Anomaly.GAP,
        [
            FIRST,
            SECOND,
            call("q", 4, 5, save("x"), got=3),
            call("r", 6, 7, Listing("w"), got=[(Seen(1, "first"), Seen(3, "x"))]),
        ],
        ["r"],
    ),
    "content from nowhere": (Anomaly.INVENTED, [FIRST, call("q", 2, 3, LOAD, got=Seen(2, "ghost"))], ["q"]),
    "content of another version": (
        Anomaly.OTHER_CONTENT,
        [FIRST, SECOND, call("q", 4, 5, LOAD, got=Seen(2, "first"))],
        ["p", "p", "q"],
    ),
    "another version than was asked for": (
        Anomaly.OTHER_CONTENT,
        [FIRST, SECOND, call("q", 4, 5, Loading("w", 1), got=Seen(2, "second"))],
        ["q"],
    ),
    "half a document": (
        Anomaly.OTHER_CONTENT,
        [FIRST, call("q", 4, 5, LOAD, got=Seen(1, "first, damaged"))],
        ["p", "q"],
    ),
    "a refused save that is there": (
        Anomaly.REFUSED_BUT_WRITTEN,
        [FIRST, conflict("q", 2, 3, save("no", 7), stood_at=1), call("r", 4, 5, LOAD, got=Seen(2, "no"))],
        ["q", "r"],
    ),
    "a lost update": (
        Anomaly.LOST_UPDATE,
        [FIRST, call("q", 2, 5, save("mine", 1), got=2), call("r", 2, 5, save("yours", 1), got=3)],
        ["q", "r"],
    ),
    "a delete that was not noticed": (
        Anomaly.LOST_UPDATE,
        [FIRST, DELETED, call("q", 4, 5, save("late", 1), got=2)],
        ["p", "q"],
    ),
    "a creation over what exists": (Anomaly.LOST_UPDATE, [FIRST, call("q", 2, 3, save("x", 0), got=2)], ["p", "q"]),
    "an update of what is gone": (
        Anomaly.LOST_UPDATE,
        [FIRST, DELETED, call("q", 4, 5, Saving("w", "x", must_exist=True), got=2)],
        ["p", "q"],
    ),
    "a conflict with itself": (Anomaly.FALSE_CONFLICT, [FIRST, conflict("q", 2, 3, save("x", 1), stood_at=1)], ["q"]),
    "two deletes of one history": (
        Anomaly.NOTHING_TO_DELETE,
        [FIRST, DELETED, call("q", 2, 3, Deleting("w", expected=1), got=True)],
        ["p", "q"],
    ),
    "a deleted version in a list": (
        Anomaly.RESURRECTED,
        [
            FIRST,
            DELETED,
            call("q", 4, 5, save("x"), got=2),
            call("r", 6, 7, Listing("w"), got=[(Seen(1, "first"), Seen(2, "x"))]),
        ],
        ["p", "r"],
    ),
    "a list without its beginning": (
        Anomaly.CUT,
        [FIRST, SECOND, call("r", 6, 7, Listing("w"), got=[(Seen(2, "second"),)])],
        ["p", "r"],
    ),
    "nothing where something is": (Anomaly.NOT_THERE, [FIRST, call("q", 2, 3, LOAD, got=None)], ["p", "q"]),
    "a version that vanished": (
        Anomaly.NOT_THERE,
        [FIRST, SECOND, call("q", 4, 5, Loading("w", 1), got=None)],
        ["p", "q"],
    ),
    "a later save with a lower number": (
        Anomaly.BELOW_EARLIER,
        [call("p", 0, 1, save("x"), got=2), call("q", 2, 3, save("y"), got=1)],
        ["p", "q"],
    ),
    "a read of the future": (
        Anomaly.TIME_TRAVEL,
        [FIRST, call("q", 2, 3, LOAD, got=Seen(2, "x")), call("r", 4, 5, save("x"), got=2)],
        ["q", "r"],
    ),
    "a stale read": (Anomaly.STALE, [FIRST, SECOND, call("q", 4, 5, LOAD, got=Seen(1, "first"))], ["p", "q"]),
    "a stale conflict": (Anomaly.STALE, [FIRST, SECOND, conflict("q", 4, 5, save("x", 9), stood_at=1)], ["p", "q"]),
    "a version read after its delete": (
        Anomaly.STALE,
        [FIRST, DELETED, call("q", 4, 5, Loading("w", 1), got=Seen(1, "first"))],
        ["p", "q"],
    ),
    "a reader who goes back": (
        Anomaly.WENT_BACK,
        [
            FIRST,
            call("p", 2, 9, save("x"), got=2),
            call("q", 3, 4, LOAD, got=Seen(2, "x")),
            call("r", 5, 6, LOAD, got=Seen(1, "first")),
        ],
        ["q", "r"],
    ),
    "a batch seen in its middle": (
        Anomaly.INSIDE_BATCH,
        [call("b", 0, 9, save("x"), save("y"), got=[1, 2]), call("q", 3, 4, LOAD, got=Seen(1, "x"))],
        ["b", "q"],
    ),
    "a batch with a stranger in it": (
        Anomaly.INSIDE_BATCH,
        [call("b", 0, 9, save("x"), save("y"), got=[1, 3]), call("q", 3, 4, save("z"), got=2)],
        ["b", "q"],
    ),
    "half a batch in one look": (
        Anomaly.TORN,
        [BATCH, call("q", 4, 5, Loading("a"), Loading("b"), got=[Seen(1, "a1"), None])],
        ["b", "q"],
    ),
    "half a batch in two looks": (
        Anomaly.TORN,
        [
            call("b", 0, 9, save("a1", name="a"), save("b1", name="b"), got=[1, 1]),
            call("q", 2, 3, Loading("a"), got=Seen(1, "a1")),
            call("r", 4, 5, Loading("b"), got=None),
        ],
        ["b", "q", "r"],
    ),
    "half of an interrupted batch": (
        Anomaly.TORN,
        [
            interrupted("b", 0, save("a1", name="a"), save("b1", name="b")),
            call("q", 2, 3, Loading("a"), got=Seen(1, "a1")),
            call("r", 4, 5, Loading("b"), got=None),
        ],
        ["b", "q", "r"],
    ),
}

GOOD = {
    "nothing": [],
    "one after the other": [FIRST, SECOND, call("q", 4, 5, LOAD, got=Seen(2, "second"))],
    "a later number for the one that began earlier": [
        call("p", 0, 9, save("x"), got=2),
        call("q", 1, 2, save("y"), got=1),
        call("r", 3, 4, LOAD, got=Seen(1, "y")),
    ],
    "a read beside a save may see it or not": [
        FIRST,
        call("p", 2, 9, save("x"), got=2),
        call("q", 3, 4, LOAD, got=Seen(1, "first")),
        call("q", 5, 6, LOAD, got=Seen(2, "x")),
    ],
    "numbers go on after a delete": [
        FIRST,
        DELETED,
        call("q", 4, 5, LOAD, got=None),
        call("q", 6, 7, save("x", 0), got=2),
        call("r", 8, 9, Listing("w"), got=[(Seen(2, "x"),)]),
    ],
    "a delete and a save in one batch": [
        FIRST,
        call("b", 2, 5, Deleting("w"), save("x"), got=[True, 2]),
        call("q", 3, 4, Loading("w", 1), got=Seen(1, "first")),
    ],
    "a conflict while it was so": [
        FIRST,
        call("p", 2, 9, save("x"), got=2),
        conflict("q", 3, 4, save("y", 0), stood_at=1),
    ],
    "an interrupted save that took place": [
        FIRST,
        interrupted("q", 2, save("x", 1)),
        call("r", 5, 6, LOAD, got=Seen(1, "first")),
        call("r", 8, 9, LOAD, got=Seen(2, "x")),
    ],
    "an interrupted save that did not": [
        FIRST,
        interrupted("q", 2, save("x", 1)),
        call("r", 8, 9, save("y", 1), got=2),
    ],
    "an interrupted save that nobody saw": [
        FIRST,
        interrupted("q", 2, save("x")),
        interrupted("r", 2, save("y", 1)),
        call("p", 8, 9, save("z"), got=3),
    ],
    "an interrupted delete that took place": [
        FIRST,
        interrupted("q", 2, Deleting("w", expected=1)),
        call("r", 4, 5, LOAD, got=None),
        call("r", 6, 7, save("x"), got=2),
    ],
    "an interrupted batch of which one half was deleted": [
        interrupted("b", 0, save("a1", name="a"), save("b1", name="b")),
        call("q", 2, 3, Loading("a"), got=Seen(1, "a1")),
        call("r", 4, 5, Deleting("b", expected=1), got=True),
    ],
    "a history that was pruned": [
        FIRST,
        SECOND,
        call("q", 4, 5, Pruning(1), got=1),
        call("r", 6, 7, Listing("w"), got=[(Seen(2, "second"),)]),
        call("r", 8, 9, Loading("w", 1), got=None),
    ],
}


@pytest.mark.parametrize("name", BAD)
def test_an_anomaly_is_named_and_shown(name):
    """By the calls that it takes, and no others, whatever else went on."""
    anomaly, history, shown = BAD[name]
    bystanders = [call(f"bystander {n}", 0, 9, save(f"{n}", name=f"w{n}"), got=1) for n in range(20)]
    with pytest.raises(NotLinearizableError) as caught:
        linearize([*bystanders, *history])
    assert caught.value.anomaly is anomaly
    assert sorted(each.who for each in caught.value.calls) == sorted(shown)


def test_every_anomaly_has_its_example():
    """None of the names is unused."""
    assert {anomaly for anomaly, _, _ in BAD.values()} == set(Anomaly)


@pytest.mark.parametrize("name", GOOD)
def test_what_has_an_order_is_accepted(name):
    """Whatever order the records come in, and those that had an answer are all in the order."""
    for history in (GOOD[name], GOOD[name][::-1]):
        order = linearize(history)
        assert order is not None
        assert {id(each) for each in history if each.ended_ns < EVER} <= {id(each) for each in order}


def test_the_table_tells_who_when_what_and_got():
    """It reads without the history."""
    with pytest.raises(NotLinearizableError) as caught:
        linearize([FIRST, SECOND, call("q", 4, 5, LOAD, got=Seen(1, "first"))])
    assert str(caught.value).splitlines() == [
        "a read missed a change that was acknowledged before it began",
        "",
        "who  began     ended     what              got",
        "p    0.000 ms  1.000 ms  save w as second  version 2",
        "q    2.000 ms  3.000 ms  load w            version 1, first",
        "",
        "p had its answer (version 2) before q began",
        "q stands before p in the history of w: version 1, first, then version 2",
    ]


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ([FIRST, call("q", 2, 3, Deleting("w"), got=True)], "does not tell which version it deleted"),
        ([FIRST, call("q", 2, 3, save("first"), got=2)], "two saves are called"),
    ],
)
def test_what_cannot_be_judged_is_told(history, problem):
    """Rather than guessed."""
    with pytest.raises(ValueError, match=problem):
        linearize(history)


def test_thirty_thousand_calls_are_judged_at_once():
    """The cost follows the length of the history, not its square."""
    history = []
    for number in range(1, 10_001):
        began = 10 * number
        history.append(call(f"w{number % 4}", began, began + 18, save(str(number)), got=number))
        history.append(call(f"r{number % 4}", began + 9, began + 20, LOAD, got=Seen(number, str(number))))
        history.append(call(f"l{number % 4}", began + 9, began + 20, Loading("w", 1), got=Seen(1, "1")))
    assert len(linearize(history) or ()) == len(history)

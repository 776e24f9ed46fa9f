"""What a write does to what stands of its workflow, decided without any database."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from context_core import write_rules
from context_core.errors import (
    ContextNotFoundError,
    IdempotencyConflictError,
    LimitExceededError,
    RestoreConflictError,
    VersionConflictError,
)
from context_core.records import (
    ContextRecord,
    DeleteRequest,
    IdempotencyKey,
    RestoreRequest,
    RestoreTombstoneRequest,
    SaveRequest,
)
from context_core.write_rules import KnownKey, Standing

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
BEFORE, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
LIMIT = 10
NOTHING = Standing("w")
HEAD = Standing("w", 3, BEFORE, exists=True)
TOMBSTONE = Standing("w", 5, BEFORE)
HASH, OTHER_HASH = b"h" * 32, b"o" * 32
KNOWN = KnownKey(2, BEFORE, HASH)


def a_record(size_bytes=LIMIT):
    return ContextRecord(
        workflow_id="w",
        epic_num=1,
        story_num=None,
        feature="f",
        workflow_name="n",
        current_phase="p",
        status="running",
        created_at=BEFORE,
        updated_at=BEFORE,
        tags=(),
        document=b"x" * size_bytes,
    )


def save(standing, known=None, *, clock=lambda: NOW, limit_bytes=LIMIT, **request):
    request.setdefault("record", a_record())
    return write_rules.save(SaveRequest(**request), standing, known, clock=clock, limit_bytes=limit_bytes)


def restore(standing, known=None, *, limit_bytes=LIMIT, **request):
    whole = {"record": a_record(), "version": 4, "saved_at": NOW, "workflow_created_at": BEFORE} | request
    write_rules.restore(RestoreRequest(**whole), standing, known, limit_bytes=limit_bytes)


def a_key(content_hash=HASH):
    return IdempotencyKey(key="k", content_hash=content_hash)


def broken_clock():
    raise AssertionError("the clock was read for a write that is refused")


@pytest.mark.parametrize(("standing", "version"), [(NOTHING, 1), (HEAD, 4), (TOMBSTONE, 6)])
def test_a_save_takes_the_next_number(standing, version):
    """After a delete the numbers go on from the tombstone (VE01, VE05)."""
    saved = save(standing)
    assert (saved.version, saved.saved_at, saved.is_replay) == (version, NOW, False)


@pytest.mark.parametrize("standing", [HEAD, TOMBSTONE])
def test_numbers_end_at_64_bits(standing):
    """The last number is given; behind it a save is refused, and the error tells the number and the limit."""
    largest = 9_223_372_036_854_775_807
    assert save(attrs.evolve(standing, version=largest - 1)).version == largest
    with pytest.raises(LimitExceededError) as caught:
        save(attrs.evolve(standing, version=largest))
    assert (caught.value.actual, caught.value.limit) == (largest + 1, largest)


@pytest.mark.parametrize("standing", [HEAD, TOMBSTONE])
@pytest.mark.parametrize(("stood_at", "expected"), [(BEFORE, NOW), (NOW, NOW), (LATER, LATER)])
def test_a_clock_that_went_back_moves_no_time_back(standing, stood_at, expected):
    """The time of a save is never earlier than that of the head or the tombstone (VE08)."""
    assert save(attrs.evolve(standing, saved_at=stood_at)).saved_at == expected


@pytest.mark.parametrize(("standing", "actual"), [(NOTHING, 0), (HEAD, 3), (TOMBSTONE, 0)])
@pytest.mark.parametrize("expected", [0, 1, 3, 4, 5, -1, 2**63 - 1])
def test_a_save_expects_the_version_of_the_head(standing, actual, expected):
    """What does not exist is at version 0, deleted workflows too (CA01, CA02)."""
    if expected == actual:
        assert save(standing, expected_version=expected).version == standing.version + 1
        return
    with pytest.raises(VersionConflictError) as caught:
        save(standing, expected_version=expected, clock=broken_clock)
    facts = caught.value
    assert (facts.workflow_id, facts.expected, facts.actual) == ("w", expected, actual)


@pytest.mark.parametrize("standing", [NOTHING, TOMBSTONE])
def test_an_update_needs_a_workflow_that_exists(standing):
    """A deleted workflow does not exist."""
    with pytest.raises(ContextNotFoundError):
        save(standing, must_exist=True, clock=broken_clock)
    assert save(HEAD, must_exist=True).version == 4


def test_the_same_key_and_content_is_a_replay():
    """It gives the first version and its time, whatever else is asked (ID01)."""
    replayed = save(HEAD, KNOWN, idempotency=a_key(), expected_version=1, clock=broken_clock)
    assert (replayed.version, replayed.saved_at, replayed.is_replay) == (2, BEFORE, True)


@pytest.mark.parametrize(("sent", "kept"), [(OTHER_HASH, HASH), (HASH, None), (None, HASH), (None, None)])
def test_the_same_key_with_other_content_is_refused(sent, kept):
    """Also where a hash is missing: only the core can compare the contents then (ID02)."""
    with pytest.raises(IdempotencyConflictError) as caught:
        save(HEAD, KnownKey(2, BEFORE, kept), idempotency=a_key(sent), clock=broken_clock)
    assert (caught.value.workflow_id, caught.value.key, caught.value.version) == ("w", "k", 2)


def test_a_key_that_no_version_has_is_a_save():
    """It is judged as one without a key."""
    assert save(HEAD, None, idempotency=a_key()).version == 4


def test_refusals_of_a_save_have_one_order():
    """Size, key, existence, expected version: the first that refuses decides."""
    everything = {"record": a_record(LIMIT + 1), "must_exist": True, "expected_version": 7}
    with pytest.raises(LimitExceededError) as caught:
        save(NOTHING, KNOWN, idempotency=a_key(OTHER_HASH), clock=broken_clock, **everything)
    assert (caught.value.actual, caught.value.limit) == (LIMIT + 1, LIMIT)
    everything["record"] = a_record()
    with pytest.raises(IdempotencyConflictError):
        save(NOTHING, KNOWN, idempotency=a_key(OTHER_HASH), clock=broken_clock, **everything)
    with pytest.raises(ContextNotFoundError):
        save(NOTHING, None, idempotency=a_key(), clock=broken_clock, **everything)
    with pytest.raises(VersionConflictError):
        save(HEAD, None, idempotency=a_key(), clock=broken_clock, **everything)


def test_a_document_of_the_limit_fits():
    """The limit itself is allowed (RT15)."""
    assert save(NOTHING, record=a_record(LIMIT)).version == 1
    restore(NOTHING, record=a_record(LIMIT))


@pytest.mark.parametrize(("stood_at", "expected"), [(BEFORE, NOW), (LATER, LATER)])
def test_a_delete_leaves_a_tombstone_of_its_time(stood_at, expected):
    """The time follows the same rule as that of a save."""
    head = attrs.evolve(HEAD, saved_at=stood_at)
    assert write_rules.delete(DeleteRequest(workflow_id="w"), head, clock=lambda: NOW) == expected


@pytest.mark.parametrize("standing", [NOTHING, TOMBSTONE])
def test_what_does_not_exist_is_not_deleted(standing):
    """Nothing is written, and no clock is read (DE03); a version that was expected is a conflict (CA07)."""
    assert write_rules.delete(DeleteRequest(workflow_id="w"), standing, clock=broken_clock) is None
    assert write_rules.delete(DeleteRequest(workflow_id="w", expected_version=0), standing, clock=broken_clock) is None
    with pytest.raises(VersionConflictError) as caught:
        write_rules.delete(DeleteRequest(workflow_id="w", expected_version=3), standing, clock=broken_clock)
    assert (caught.value.expected, caught.value.actual) == (3, 0)


def test_a_delete_expects_the_version_of_the_head():
    """A stale writer deletes nothing (DE05)."""
    with pytest.raises(VersionConflictError):
        write_rules.delete(DeleteRequest(workflow_id="w", expected_version=2), HEAD, clock=broken_clock)
    assert write_rules.delete(DeleteRequest(workflow_id="w", expected_version=3), HEAD, clock=lambda: NOW) == NOW


@pytest.mark.parametrize(
    ("standing", "version", "saved_at", "fits"),
    [
        (NOTHING, 1, BEFORE, True),
        (NOTHING, 17, BEFORE, True),
        (NOTHING, 0, BEFORE, False),
        (HEAD, 3, NOW, False),
        (HEAD, 4, NOW, True),
        (HEAD, 4, BEFORE, True),
        (HEAD, 4, BEFORE - timedelta(microseconds=1), False),
        (HEAD, 5, NOW, False),
        (TOMBSTONE, 5, NOW, False),
        (TOMBSTONE, 6, BEFORE - timedelta(days=1), True),
        (TOMBSTONE, 9, NOW, True),
    ],
)
def test_a_restore_continues_the_history(standing, version, saved_at, fits):
    """Onto a head the next number, no earlier than it; onto a tombstone any number above it (MO01)."""
    if fits:
        restore(standing, version=version, saved_at=saved_at)
        return
    with pytest.raises(RestoreConflictError) as caught:
        restore(standing, version=version, saved_at=saved_at)
    facts = caught.value
    assert (facts.workflow_id, facts.version, facts.head_version) == ("w", version, standing.version)


def test_no_two_versions_have_one_key():
    """A restored key that another version has is a conflict, whatever its content."""
    with pytest.raises(RestoreConflictError):
        restore(HEAD, KNOWN, idempotency=a_key())


def test_a_restore_looks_at_the_size_first():
    """As a save does."""
    with pytest.raises(LimitExceededError):
        restore(HEAD, record=a_record(LIMIT + 1), version=1)


@pytest.mark.parametrize(
    ("standing", "last_version", "fits"),
    [(NOTHING, 1, True), (HEAD, 3, False), (HEAD, 9, False), (TOMBSTONE, 4, False), (TOMBSTONE, 5, True)],
)
def test_a_tombstone_is_restored_where_nothing_higher_stands(standing, last_version, fits):
    """Never over a workflow that exists, never below a tombstone."""
    request = RestoreTombstoneRequest(workflow_id="w", last_version=last_version, deleted_at=NOW)
    if fits:
        write_rules.restore_tombstone(request, standing)
        return
    with pytest.raises(RestoreConflictError) as caught:
        write_rules.restore_tombstone(request, standing)
    facts = caught.value
    assert (facts.workflow_id, facts.version, facts.head_version) == ("w", last_version, standing.version)

"""Documents packed against each other come back, or say that they are damaged."""

import random
import sys
import tracemalloc
import zlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from context_core import CorruptDocumentError, history_codec
from context_core.history_codec import (
    BLOCK,
    DocumentTooLargeError,
    PackedVersion,
    RecentBases,
    Unpacker,
    base_of,
    held_bytes,
    is_base,
    pack,
    pack_against,
    unpack,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALL, LARGE, LONG = 2_000, 40_000, 200_000
"""One of each kind: for deflate, for zstd, and for zstd looking far back."""


def a_document(size_bytes, seed=0):
    """Text of few repetitions, as notes and reasons are."""
    words = random.Random(seed)
    entries: dict[str, str] = {}
    while len(orjson.dumps(entries)) < size_bytes:
        entries[f"entry-{len(entries)}"] = " ".join(f"word{words.randrange(2_000)}" for _ in range(16))
    return orjson.dumps(entries)


def leaning(document, base):
    """*document* packed against *base*, which helps."""
    packed = pack_against(document, base)
    assert packed is not None
    return packed


def changed(document, seed):
    """About a hundredth of the document, in places of their own."""
    entries = orjson.loads(document)
    words = random.Random(seed)
    for name in words.sample(sorted(entries), max(len(entries) // 100, 1)):
        entries[name] = " ".join(f"word{words.randrange(2_000)}" for _ in range(16))
    return orjson.dumps(entries)


def a_history(size_bytes, length):
    documents = [a_document(size_bytes)]
    for number in range(1, length):
        documents.append(changed(documents[-1], number))
    return documents


def packed_history(documents):
    """Each version packed as a driver would, by number."""
    packed = {}
    for version, document in enumerate(documents, 1):
        base = base_of(version)
        stored = None if base == version else pack_against(document, documents[base - 1])
        packed[version] = PackedVersion(version, pack(document)) if stored is None else PackedVersion(base, stored)
    return packed


def test_every_version_is_a_few_steps_from_its_keyframe():
    """At most six, all of one block, each step to an earlier version that is meant to be leaned on."""
    for version in range(1, 4 * BLOCK + 1):
        steps, number = 0, version
        while base_of(number) != number:
            assert base_of(number) < number
            assert is_base(base_of(number))
            number, steps = base_of(number), steps + 1
        assert (number - 1) % BLOCK == 0
        assert version - number < BLOCK
        assert steps <= 6


def test_only_bases_are_leaned_on():
    """A writer need keep no other version at hand."""
    leaned_on = {base_of(version) for version in range(1, 4 * BLOCK + 1)}
    assert leaned_on == {version for version in range(1, 4 * BLOCK) if is_base(version)}


@settings(max_examples=200)
@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([1, 40, 400]))
def test_any_bytes_come_back(document, base, times):
    """With whatever base, or with none, at every size."""
    document, base = document * times, base * times
    assert unpack(pack(document), None) == document
    packed = pack_against(document, base)
    assert packed is None or unpack(packed, base) == document


@pytest.mark.parametrize("size_bytes", [SMALL, LARGE, LONG])
def test_a_small_change_packs_small(size_bytes):
    """A version that changed a hundredth takes a fraction of what the document takes by itself."""
    base = a_document(size_bytes)
    document = changed(base, 1)
    packed = leaning(document, base)
    assert unpack(packed, base) == document
    assert len(packed) * 5 < len(pack(document))


@pytest.mark.parametrize("size_bytes", [SMALL, LARGE])
def test_strangers_do_not_lean_on_each_other(size_bytes):
    """Where the base does not help, the document is to be packed by itself."""
    noise = random.Random(0).randbytes
    assert pack_against(noise(size_bytes), noise(size_bytes)) is None


@pytest.mark.parametrize(("size_bytes", "limit"), [(4_096, 0.10), (65_536, 0.03)])
def test_a_long_history_takes_little(size_bytes, limit):
    """The bytes of two hundred versions, beside those of their documents."""
    documents = a_history(size_bytes, 200)
    stored = sum(len(version.stored) for version in packed_history(documents).values())
    assert stored < limit * sum(map(len, documents))


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("size_bytes", [SMALL, LARGE, LONG])
def test_damage_never_goes_unseen(size_bytes):
    """A changed byte, a missing end, a longer end, another base: an error, never another document."""
    base = a_document(size_bytes)
    document = changed(base, 1)
    chance = random.Random(size_bytes)
    for whole, beneath in ((pack(document), None), (leaning(document, base), base)):
        flips = [(place, 1 << chance.randrange(8)) for place in chance.sample(range(len(whole)), 40)]
        flipped = [whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :] for place, bit in flips]
        for damaged in [whole[:-1], whole[: len(whole) // 2], whole + b"x", b"", whole[1:], *flipped]:
            try:
                read = unpack(damaged, beneath)
            except ValueError:
                continue
            assert read == document  # a bit that means nothing, in a frame's header
    other = changed(base, 2)
    with pytest.raises(ValueError, match="damaged"):
        unpack(leaning(document, base), other)


class Fetching:
    """A view of packed versions, which counts what is fetched from it."""

    def __init__(self, packed):
        self.packed = packed
        self.fetched = []

    def __call__(self, workflow_id, version):
        self.fetched.append(version)
        return self.packed.get(version) if workflow_id == "w" else None


def test_any_version_reads_by_itself():
    """Whatever the order, the document is the one that was packed."""
    documents = a_history(SMALL, 150)
    packed = packed_history(documents)
    for version in random.Random(0).sample(range(1, 151), 150):
        view = Fetching(packed)
        assert Unpacker(view).plain("w", version, packed[version]) == documents[version - 1]
        assert len(view.fetched) <= 6


def test_a_history_in_order_unpacks_each_version_once():
    """What is read next leans on what was just read; nothing is fetched for it. Backwards a few bases are."""
    documents = a_history(SMALL, 150)
    packed = packed_history(documents)
    view = Fetching(packed)
    unpacker = Unpacker(view)
    assert [unpacker.plain("w", version, packed[version]) for version in range(1, 151)] == documents
    assert view.fetched == []
    unpacker = Unpacker(view)
    backwards = [unpacker.plain("w", version, packed[version]) for version in range(150, 0, -1)]
    assert backwards == documents[::-1]
    assert len(view.fetched) < 150


def test_a_version_stored_as_it_is_serves_as_a_base():
    """Versions from before there was packing stay where they are, and later ones lean on them."""
    documents = a_history(SMALL, 4)
    packed = {1: PackedVersion(None, documents[0]), 2: PackedVersion(1, leaning(documents[1], documents[0]))}
    unpacker = Unpacker(Fetching(packed))
    assert [unpacker.plain("w", version, packed[version]) for version in (2, 1)] == documents[1::-1]


@pytest.mark.promise("CR06")
@pytest.mark.parametrize(
    ("stored", "problem"),
    [
        (None, "it leans on version 3, which is missing"),
        (PackedVersion(1, b"x\x9cdamaged"), "it leans on version 3, which is damaged"),
        (PackedVersion(4, b""), "it leans on version 3, which is damaged"),
    ],
)
def test_what_leans_on_a_damaged_version_says_so(stored, problem):
    """It is named as damaged itself, with the reason; who does not lean on it is read as ever."""
    documents = a_history(SMALL, 8)
    packed = packed_history(documents)
    packed[3] = stored
    for version in (5, 6, 7, 8):
        assert Unpacker(Fetching(packed)).plain("w", version, packed[version]) == documents[version - 1]
    with pytest.raises(CorruptDocumentError) as caught:
        Unpacker(Fetching(packed)).plain("w", 4, packed[4])
    assert (caught.value.workflow_id, caught.value.version, caught.value.problem) == ("w", 4, problem)


@pytest.mark.promise("HO03")
@pytest.mark.parametrize("base", [-1, 0, BLOCK, BLOCK + 3, 2 * BLOCK, 2**62])
def test_a_base_is_an_earlier_version_of_the_same_block(base):
    """Whatever else a row claims leads nowhere, and not in circles."""
    view = Fetching({})
    with pytest.raises(CorruptDocumentError, match="none of its bases"):
        Unpacker(view).plain("w", BLOCK + 2, PackedVersion(base, b"x"))
    assert view.fetched == []


def test_recent_bases_are_those_that_were_committed():
    """What was rolled back is no base, nor is a version of the same number that was saved at another time."""
    recent: RecentBases[str] = RecentBases()
    recent.put("w", 1, "t1", b"first")
    assert recent.get("w", 1, "t1") == b"first"
    recent.roll_back()
    assert recent.get("w", 1, "t1") is None
    recent.put("w", 1, "t2", b"second")
    recent.commit()
    recent.roll_back()
    assert recent.get("w", 1, "t2") == b"second"
    assert recent.get("w", 1, "t1") is None
    assert recent.get("v", 1, "t2") is None


def test_recent_bases_are_bounded():
    """The least recently used go first, and one that is too large alone is not kept."""
    recent: RecentBases[str] = RecentBases(limit_bytes=100 + 3 * held_bytes(("w", 0), b""))
    for number in range(4):
        recent.put("w", number, "t", bytes(30))
        recent.commit()
        assert recent.get("w", 0, "t") is not None
    assert [number for number in range(4) if recent.get("w", number, "t") is not None] == [0, 2, 3]
    recent.put("w", 9, "t", bytes(101 + 3 * held_bytes(("w", 0), b"")))
    recent.commit()
    assert recent.get("w", 9, "t") is None


def test_recent_bases_hold_no_more_than_they_count():
    """What orjson made holds kilobytes behind a few hundred bytes; what is kept is a copy of the right size."""
    recent: RecentBases[str] = RecentBases(limit_bytes=2**20)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(5000):
            recent.put(f"workflow-{number}", 1, f"2025-01-02T03:04:05.{number:06}", over_long(b"x" * 332))
            recent.commit()
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 1.25 * 2**20


def test_an_unpacker_keeps_a_bounded_number_of_bytes(monkeypatch):
    """However large the documents are, it keeps the one that is needed next, and others as far as they fit."""
    monkeypatch.setattr(history_codec, "RECENT_BYTES", 1000)
    unpacker = Unpacker(lambda *_: None)
    for version in range(1, 9):
        unpacker._keep("w", version, bytes(400))
        assert sum(map(len, unpacker._bases.values())) <= 1000
    assert [version for _, version in unpacker._bases] == [7, 8]
    unpacker._keep("w", 9, bytes(5000))
    assert [version for _, version in unpacker._bases] == [9]


def over_long(document):
    """*document* as orjson makes it: in a buffer that was larger, and was given back only in part."""
    return orjson.dumps(document.decode())


@pytest.mark.promise("CR06", "RT15")
@pytest.mark.parametrize("size_bytes", [10_000, 1_000_000])
def test_unpacking_stops_at_the_limit(size_bytes):
    """By itself and against a base: a few bytes that stand for many are refused before they are held in memory."""
    document, base = b"a" * size_bytes, b"a" * (size_bytes - 1)
    for packed, beneath in ((pack(document), None), (leaning(document, base), base)):
        assert unpack(packed, beneath, size_bytes) == document
        with pytest.raises(DocumentTooLargeError):
            unpack(packed, beneath, size_bytes - 1)


@pytest.mark.promise("CR06")
@pytest.mark.parametrize("compress", [lambda data: zlib.compress(data, 9), zstd.compress])
def test_a_small_row_takes_no_gigabytes(compress):
    """What unpacks to far more than a document may be takes the memory of one document at most."""
    bomb = compress(bytes(40 * 2**20))
    assert len(bomb) < 2**18
    tracemalloc.start()
    try:
        with pytest.raises(CorruptDocumentError, match="unpacks to more than 1,048,576 bytes"):
            Unpacker(lambda *_: None, 2**20).plain("w", 1, PackedVersion(1, bomb))
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()

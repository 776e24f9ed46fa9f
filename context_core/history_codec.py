"""Compact storage of successive documents: a version is kept as what differs from an earlier one.

Versions are numbered in blocks of 64. The first of a block is a keyframe, packed by itself; every other version is
packed with an earlier one of its block, its base, as the dictionary. The base is found by clearing the lowest bit of
the version's place in the block: 5 leans on 4, 6 on 4, and 4 on the keyframe. So neighbours lean on neighbours, and yet
none is more than six steps from its keyframe. A damaged document harms only what leans on it.

Two compressors share the work, told apart by their first bytes. Deflate takes what fits, base and all, into a window of
16 KiB: there it packs in a third of the time of zstd, whose fresh contexts alone cost more, and unpacks in a seventh.
Zstandard takes everything larger, and looks far back in what is larger still. Both check what they give back, and
deflate knows its dictionary by a checksum.
Structural deltas (JSON Patch) were measured too: a quarter smaller at 64 KB and a tenth larger at 4, at sixty and
twenty-five times the cost of packing.

A driver stores three things of a version: its number, its base's number (its own for a keyframe; none for a document
that is stored as it is) and the bytes. `pack_version` and `unpack` are the codec; `Unpacker` follows the bases of
what was read, and `RecentBases` spares a writer from reading them back.
"""

import sys
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from context_core.errors import CorruptDocumentError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

T = TypeVar("T")

__all__ = [
    "BLOCK",
    "DOCUMENT_BYTES",
    "DocumentTooLargeError",
    "PackedVersion",
    "RecentBases",
    "Unpacker",
    "base_of",
    "compact",
    "is_base",
    "pack",
    "pack_against",
    "pack_version",
    "unpack",
]

BLOCK: Final = 64
"""How many versions share a keyframe."""

RECENT_BYTES: Final = 16 * 2**20
"""How many bytes of documents a writer keeps at hand."""

_ENTRY_BYTES: Final = 512
"""The objects around a cached document, measured: two tuples, two numbers, a time and a place in an OrderedDict."""

DOCUMENT_BYTES: Final = 64 * 2**20
"""What no document exceeds; who unpacks more than that stops there. A driver with another limit gives its own."""

_WIDEST_DEFLATE_BITS: Final = 14
_WINDOW_BYTES: Final = 2**_WIDEST_DEFLATE_BITS
_MEMORY_LEVEL: Final = 4
"""Deflate's tables. After each wait for the disk they come from memory afresh: the usual ones cost twice as much."""
_ELBOW_ROOM_BYTES: Final = 512
_FASTEST: Final = 1
_ZSTD_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: _FASTEST,
    zstd.CompressionParameter.checksum_flag: 1,
}
_LONG_BYTES: Final = 2**17
"""From here on zstd's quick tables no longer reach through a base; looking far back is both smaller and faster."""
_WIDEST_WINDOW_BITS: Final = 27
"""What every decoder of Zstandard accepts."""

_ZSTD_START: Final = b"\x28\xb5\x2f\xfd"
"""How each Zstandard frame begins; a zlib stream never does: its first two bytes are a multiple of 31."""

_WORTH_LEANING: Final = 4
"""What is packed to less than this part of the document leans on its base without a further look."""


def compact(document: bytes) -> bytes:
    """Return *document* in as much memory as it needs.

    What orjson or a decompressor made may hold a buffer of kilobytes behind a few hundred bytes, which
    `sys.getsizeof` does not show. Whoever keeps a document keeps a copy.
    """
    return bytes(memoryview(document))


def held_bytes(key: tuple[str, int], document: bytes) -> int:
    """How much memory an entry of a cache takes, its key and its place in the table included."""
    return sys.getsizeof(key[0]) + len(document) + _ENTRY_BYTES


def base_of(version: int) -> int:
    """Return the version that *version* should lean on; itself where it should be a keyframe."""
    place = (version - 1) % BLOCK
    return version - (place & -place)


def is_base(version: int) -> bool:
    """Tell whether later versions should lean on this one."""
    return version % 2 == 1


def pack(document: bytes) -> bytes:
    """Return *document* packed by itself, as a keyframe."""
    if len(document) <= _WINDOW_BYTES:
        deflate = zlib.compressobj(_FASTEST, zlib.DEFLATED, _window_bits(document), _MEMORY_LEVEL)
        return deflate.compress(document) + deflate.flush()
    return zstd.compress(document, options=_ZSTD_OPTIONS)


def pack_against(document: bytes, base: bytes) -> bytes | None:
    """Return *document* packed with the plain *base* as its dictionary.

    None tells that the two have so little in common that the document is better packed by itself.
    """
    if len(base) + len(document) <= _WINDOW_BYTES:
        deflate = zlib.compressobj(
            _FASTEST, zlib.DEFLATED, _window_bits(base), _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, base
        )
        packed = deflate.compress(document) + deflate.flush()
    else:
        packed = zstd.compress(document, options=_zstd_options(base, document), zstd_dict=_dictionary(base))
    if len(packed) * _WORTH_LEANING > len(document) and len(pack(document)) <= len(packed):
        return None
    return packed


def _window_bits(base: bytes) -> int:
    """The smallest window through which a document sees its place in a base of that length, and a little more."""
    return min(max((len(base) + _ELBOW_ROOM_BYTES).bit_length(), 10), _WIDEST_DEFLATE_BITS)


def _zstd_options(base: bytes, document: bytes) -> dict[int, int]:
    size_bytes = len(base) + len(document)
    if size_bytes < _LONG_BYTES:
        return _ZSTD_OPTIONS
    return {
        **_ZSTD_OPTIONS,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
        zstd.CompressionParameter.window_log: min(size_bytes.bit_length(), _WIDEST_WINDOW_BITS),
    }


def unpack(packed: bytes, base: bytes | None, limit_bytes: int = DOCUMENT_BYTES) -> bytes:
    """Return the document that was packed with *base*, or by itself where that is None.

    It holds no more than *limit_bytes* and a little in memory, whatever *packed* says of itself.

    Raises:
        ValueError: *packed* is damaged, *base* is not the one, or the document is larger than *limit_bytes*.
    """
    # One byte more tells a document at the limit from one beyond it.
    try:
        if packed.startswith(_ZSTD_START):
            expand = zstd.ZstdDecompressor(None if base is None else _dictionary(base))
            document = expand.decompress(packed, limit_bytes + 1)
            is_whole, rest = expand.eof, expand.unused_data
        else:
            inflate = zlib.decompressobj() if base is None else zlib.decompressobj(zdict=base)
            document = inflate.decompress(packed, limit_bytes + 1)
            is_whole, rest = inflate.eof, inflate.unused_data
    except (zlib.error, zstd.ZstdError) as error:
        raise ValueError("the packed document is damaged, or leans on another base") from error
    if len(document) > limit_bytes:
        raise DocumentTooLargeError(f"the packed document holds more than {limit_bytes:,} bytes")
    if not is_whole or rest:
        raise ValueError("the packed document is damaged: it is cut short, or has something behind it")
    return document


class DocumentTooLargeError(ValueError):
    """What was packed is larger than any document may be."""


def _dictionary(base: bytes) -> tuple[zstd.ZstdDict, int]:
    """As a prefix: used once, a dictionary is not worth digesting."""
    return zstd.ZstdDict(base, is_raw=True).as_prefix


class PackedVersion(NamedTuple):
    """A version's document as it is stored, and the number of the version that it leans on.

    *base* is the version's own number for a keyframe, and None for a document that is stored as it is.
    """

    base: int | None
    stored: bytes


def pack_version(version: int, document: bytes, base: tuple[int, bytes] | None = None) -> PackedVersion:
    """Return *document* packed as *version*: with *base*, a number and its plain document, where that is worth it.

    Else, and where *base* is None, it is packed by itself.
    """
    packed = pack_against(document, base[1]) if base is not None else None
    if base is None or packed is None:
        return PackedVersion(version, pack(document))
    return PackedVersion(base[0], packed)


Fetch: TypeAlias = Callable[[str, int], PackedVersion | None]
"""Reads one stored version, by workflow id and number; None where there is none."""


class Unpacker:
    """Gives plain documents of versions read from one consistent view, whose bases it fetches from the same view.

    It keeps a few bases for what is read next, so that a history read in order unpacks each version once. No document
    is larger than *limit_bytes*.
    """

    def __init__(self, fetch: Fetch, limit_bytes: int = DOCUMENT_BYTES) -> None:
        self._fetch = fetch
        self._limit_bytes = limit_bytes
        self._bases: dict[tuple[str, int], bytes] = {}
        self._size_bytes = 0

    def plain(self, workflow_id: str, version: int, packed: PackedVersion) -> bytes:
        """Return the document of a version.

        Raises:
            CorruptDocumentError: It, or a version that it leans on, is damaged or missing.
        """
        number, stored = packed
        if number is None:
            return stored
        try:
            if number == version:
                document = unpack(stored, None, self._limit_bytes)
            else:
                base = self._bases.get((workflow_id, number))
                if base is None:
                    base = self._base(workflow_id, number, version)
                document = unpack(stored, base, self._limit_bytes)
        except DocumentTooLargeError as error:
            problem = f"it unpacks to more than {self._limit_bytes:,} bytes, and no document is as large"
            raise _corrupt(workflow_id, version, problem) from error
        except ValueError as error:
            raise _corrupt(workflow_id, version, "its stored bytes are damaged") from error
        if is_base(version):
            self._keep(workflow_id, version, document)
        return document

    def _base(self, workflow_id: str, number: int, leaning: int) -> bytes:
        """Return the document of a base that is not at hand, and of those that it leans on itself."""
        if not leaning - (leaning - 1) % BLOCK <= number < leaning:
            raise _corrupt(workflow_id, leaning, f"it leans on version {number}, which is none of its bases")
        packed = self._fetch(workflow_id, number)
        if packed is None:
            raise _corrupt(workflow_id, leaning, f"it leans on version {number}, which is missing")
        try:
            document = self.plain(workflow_id, number, packed)
        except CorruptDocumentError as error:
            raise _corrupt(workflow_id, leaning, f"it leans on version {number}, which is damaged") from error
        # `plain` has kept it, unless it is stored as it is.
        return document if (workflow_id, number) in self._bases else self._keep(workflow_id, number, document)

    def _keep(self, workflow_id: str, version: int, document: bytes) -> bytes:
        document = compact(document)
        held = self._bases.pop((workflow_id, version), None)
        self._size_bytes += len(document) - (len(held) if held is not None else 0)
        self._bases[workflow_id, version] = document
        while len(self._bases) > BLOCK or (self._size_bytes > RECENT_BYTES and len(self._bases) > 1):
            self._size_bytes -= len(self._bases.pop(next(iter(self._bases))))
        return document


def _corrupt(workflow_id: str, version: int, problem: str) -> CorruptDocumentError:
    return CorruptDocumentError(workflow_id=workflow_id, version=version, problem=problem)


class RecentBases(Generic[T]):
    """The documents that a writer's next versions will lean on, the most recent ones, up to a number of bytes.

    A base is known by its `saved_at` too, in the form that the driver uses: it is to be compared with what the store
    holds at that number, so that a store that was restored beneath a running writer does not get versions that lean on
    what it no longer holds. Not safe for threads. What a transaction adds counts only once it is committed.
    """

    def __init__(self, limit_bytes: int = RECENT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._documents: OrderedDict[tuple[str, int], tuple[T, bytes]] = OrderedDict()
        self._pending: dict[tuple[str, int], tuple[T, bytes]] = {}

    def get(self, workflow_id: str, version: int, saved_at: T) -> bytes | None:
        """Return the document of that version, if it is at hand and was saved at that time."""
        found = self.find(workflow_id, version)
        return found[1] if found is not None and found[0] == saved_at else None

    def find(self, workflow_id: str, version: int) -> tuple[T, bytes] | None:
        """Return the time and the document of that version, if it is at hand."""
        key = workflow_id, version
        found = self._pending.get(key)
        if found is None:
            found = self._documents.get(key)
            if found is not None:
                self._documents.move_to_end(key)
        return found

    def put(self, workflow_id: str, version: int, saved_at: T, document: bytes) -> None:
        """Keep a version that the running transaction wrote, or read."""
        self._pending[workflow_id, version] = saved_at, compact(document)

    def commit(self) -> None:
        """Count what the transaction added."""
        for key, kept in self._pending.items():
            self._drop(key)
            self._documents[key] = kept
            self._size_bytes += held_bytes(key, kept[1])
        self._pending.clear()
        while self._size_bytes > self._limit_bytes:
            self._drop(next(iter(self._documents)))

    def roll_back(self) -> None:
        """Forget what the transaction added."""
        self._pending.clear()

    def forget(self, workflow_id: str, version: int) -> None:
        """Forget a version: the store no longer has it."""
        self._drop((workflow_id, version))

    def _drop(self, key: tuple[str, int]) -> None:
        replaced = self._documents.pop(key, None)
        if replaced is not None:
            self._size_bytes -= held_bytes(key, replaced[1])

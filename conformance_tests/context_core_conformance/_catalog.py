"""The promises by group, as sentences; who keeps them; which of them hold only with a capability."""

from typing import Final

from context_core import Capability

SENTENCES: Final[dict[str, dict[str, str]]] = {
    "roundtrip": {
        "RT01": "None, True, False, and ints around 2^31, 2^53, 2^63, 2^64 keep value and type, or save refuses before any write.",
        "RT02": "Floats: -0.0, denormals, the largest, 0.1+0.2 are bit-exact; nan and ±inf are refused.",
        "RT03": '1, 1.0, True and "1" never turn into each other.',
        "RT04": "Strings in free-form fields keep NUL, CRLF, trailing space, emoji, right-to-left marks, and NFC apart from NFD.",
        "RT05": "Lone surrogates are refused before any write, never dropped or replaced; indexed strings refuse NUL too, and end at 255 characters.",
        "RT06": "bytes, tuples, sets, dates, UUIDs, Enums, Decimals, ints beyond 64 bits and arbitrary objects inside the free-form fields are kept exactly or refused with the path (`$.decisions.a[3].b`) and the type.",
        "RT07": "Non-string dict keys are refused, not stringified. Dict order is kept.",
        "RT08": "Nesting of 500 levels works, or gives a typed limit error; never a crash.",
        "RT09": "Timestamps keep microseconds and compare equal after load, whatever offset they were given in; naive ones are refused.",
        "RT10": "Subclasses of WorkflowContext with further attrs fields (optional, union, nested, alias) compare equal after load; a store of one type loads rows of another.",
        "RT11": "Mutating a loaded value, or the object after save, never changes the store (the in-memory double included).",
        "RT12": "save never mutates its argument, also when it fails.",
        "RT13": "Ids with `/ % _ . ..`, spaces, unicode, case differences and common prefixes (`a`, `ab`) stay apart; an id over 255 characters, or empty, is refused.",
        "RT14": "Fields that a newer writer added to the document are kept through load and save, never dropped.",
        "RT15": "An empty context, and one at the driver's declared limit (at least 1 MB) round trip; limit+1 is refused before any write.",
        "RT16": "story_num None and 0-like values stay apart; None is a value that can be queried.",
    },
    "version": {
        "VE01": "Versions start at 1 (adopted ones where they stood) and grow by exactly 1 for each acknowledged save of a workflow.",
        "VE02": "An acknowledged version never changes: not its content, not its time, not by any later operation.",
        "VE03": "load(id) is the highest committed version; load(id, v) is exactly v.",
        "VE04": "A missing workflow and a missing version are two different typed errors (or None where the API says so).",
        "VE05": "Version numbers are not reused after delete: a workflow saved again goes on from the next number.",
        "VE06": "Saving identical content makes a new version, on every driver.",
        "VE07": "A history is contiguous from its first retained version, no duplicate, oldest first; also by pages, and backwards.",
        "VE08": "load as of a time gives the last version saved at or before it, also with equal timestamps and a clock that jumps back.",
        "VE09": "Rollback appends a version equal to the target and removes nothing; to a missing version it changes nothing.",
        "VE10": "A fork starts its own history from a version of another workflow, records where it came from, and never affects it; onto an existing id it is refused.",
        "VE11": "diff(v, v) is empty, and applying diff(a, b) to a gives b.",
        "VE12": "Story-level history and counts span all workflows of the story; epic level (story None) is a story of its own.",
    },
    "cas": {
        "CA01": "A mismatch raises VersionConflictError carrying id, expected and actual version; nothing is written.",
        "CA02": "expected_version=0 creates only; it fails where the workflow exists.",
        "CA03": "N racers with the same expected version: exactly one wins, across threads, connections and processes.",
        "CA04": "N x M increments with retry on conflict end at N x M.",
        "CA05": "Unconditional racing saves all become distinct, contiguous versions.",
        "CA06": "Delete and re-create between read and write is detected.",
        "CA07": "Delete, rollback and batch items take an expected version too.",
        "CA08": "A conflict is never retried inside and never reported as transient; the store is usable right after.",
    },
    "idem": {
        "ID01": "The same idempotency key with the same content returns the first version and writes nothing.",
        "ID02": "The same key with other content raises.",
        "ID03": "Executed but the reply lost (OutcomeUnknownError), then retried with the key: one version.",
        "ID04": "Keys survive reopen; concurrent saves with one key write once.",
    },
    "delete": {
        "DE01": "After delete no row of any table holds the workflow's content: an inventory proves it; only the tombstone's id, version and time stay.",
        "DE02": "Siblings with a common prefix survive; queries, counts and history no longer show it.",
        "DE03": "Deleting what is missing returns False, twice too.",
        "DE04": "A concurrent reader sees all of it or nothing.",
        "DE05": "With a wrong expected version nothing is deleted.",
    },
    "batch": {
        "BA01": "A failure at item k (bad value, conflict, constraint) leaves no item visible, for every k.",
        "BA02": "Results follow input order; several saves of one workflow in a batch become consecutive versions.",
        "BA03": "The empty batch succeeds and writes nothing.",
        "BA04": "Other connections and processes see the whole batch or none of it.",
        "BA05": "Batches over the engine's bind-parameter limit stay atomic: 10,000 saves, 50,000 ids in one load.",
        "BA06": "Mixed save, delete and conditional save are one transaction.",
        "BA07": "Inputs may be one-shot generators.",
        "BA08": "load of many keeps the asked order, gives duplicates as asked, leaves out the missing.",
    },
    "query": {
        "QU01": "Every operator on every field equals the reference evaluator on generated data.",
        "QU02": 'None means "is absent", and is equal to nothing else; in [] matches nothing.',
        "QU03": 'True, 1, 1.0 and "1", null and absent, compare as one written table says, the same on every driver; strings by code point, None first.',
        "QU04": "Paths into decisions and metadata address keys as segments; keys with dots, quotes, brackets, `$` work.",
        "QU05": '"equals a list" and "contains an item" are two operators.',
        "QU06": "An unknown field or operator raises InvalidQueryError naming it and the known ones; nothing is ever ignored.",
        "QU07": "Prefix match escapes `%` and `_`; injection strings are data.",
        "QU08": "Time ranges are half-open; naive datetimes are refused.",
        "QU09": "count, exists, ids and full results agree.",
        "QU10": "The default order is newest first and total (a unique tie-breaker), the same on every driver; every sortable field sorts both ways.",
        "QU11": "limit 0 is empty; negative limit or offset is refused; offset without limit works.",
        "QU12": "Listing headers (id, version, status, times) reads no document.",
        "QU13": "Query cost follows the result, not the table: the engine's plan shows an index for every indexed field and for the newest-first order.",
    },
    "page": {
        "PA01": "Pages concatenated are the full list, for any size, direction and filter.",
        "PA02": "While others write, each row present throughout appears exactly once, in every order whose fields never change.",
        "PA03": "1,000 equal timestamps paginate without loss or repeat.",
        "PA04": "A cursor is bound to its filter and order: another query, or a forged cursor, raises InvalidQueryError.",
        "PA05": "Cursors survive reopen, and the deletion of the row they stand on.",
        "PA06": "Iterating 10,000 rows holds bounded memory, blocks no writer, and an abandoned iterator frees its connection.",
    },
    "concurrency": {
        "CO01": "One store object serves many threads.",
        "CO02": 'Several processes on one database: no "database is locked", no serialization failure reaches the caller within the busy budget.',
        "CO03": "Readers go on during a long write, and see a consistent state.",
        "CO04": "Read-your-writes, also through a second store object on the same database.",
        "CO05": "Reads of a session never go back in version.",
        "CO06": "A save acknowledged before another starts has the lower version; a recorded history of racing operations linearizes per workflow.",
        "CO07": "Opposite-order batches do not deadlock the caller.",
        "CO08": "After fork() the child reconnects; parent and child both go on.",
        "CO09": "10,000 operations leak no connection, thread or file handle.",
        "CO10": "Any exception or KeyboardInterrupt inside a transaction rolls it back and leaves the store usable; a waiter interrupted while others commit its save gets OutcomeUnknownError.",
        "CO11": "Pool exhaustion gives a typed timeout in the declared time.",
        "CO12": "A peer that stops answering without closing the connection ends a call with a typed error in the declared time.",
    },
    "crash": {
        "CR01": "SIGKILL at any moment of save or batch: reopened, the store shows the old state or the new, never half.",
        "CR02": "Every acknowledged save is there after SIGKILL.",
        "CR03": "SIGKILL during a migration: the next open completes it.",
        "CR04": "A server restart gives BackendUnavailableError, then recovery without a new store object, nothing acknowledged lost.",
        "CR05": "Disk full, read-only file, vanished directory: a typed error, old data intact and readable.",
        "CR06": "One damaged record does not hide the others; verify() names it.",
    },
    "error and lifecycle": {
        "ER01": "Every error is a ContextCoreError with the engine's own as __cause__; no engine exception leaks.",
        "ER02": "The same misuse raises the same class on every driver.",
        "ER03": "Errors carry facts as attributes; messages say what to do next, and never hold a document or a password.",
        "ER04": "Bad arguments fail before any I/O.",
        "ER05": "After close every operation raises BackendClosedError; close is idempotent and leaves no thread, handle or ResourceWarning.",
        "ER06": "Reopen sees everything. Read-only mode writes and creates nothing.",
        "ER07": "A URL with a password full of metacharacters works; the password is in no repr, log or error.",
        "ER08": "A driver states its capabilities and limits; one declared passes, one not declared refuses.",
        "ER09": "Installing or importing the package changes nothing in anybody's test run, logging or warnings.",
    },
    "time": {
        "TI01": "Stored timestamps are aware UTC at microseconds, read from an injected clock.",
        "TI02": "A clock that goes back never reorders versions. The server's or session's time zone changes nothing.",
    },
    "migration": {
        "MI01": "A database of every earlier schema version, kept as a golden file, opens with equal content; the story's original single-table schema too.",
        "MI02": "Ten processes that open an old database at once all succeed, and it is migrated once.",
        "MI03": "A failing schema step leaves the version as it was, and runs again; each is one transaction. Re-encoding resumes after a kill, both formats readable meanwhile.",
        "MI04": "A newer database is refused with a clear error and is not touched.",
        "MI05": "Fresh and migrated schemas are identical.",
    },
    "retention": {
        "RE01": "prune deletes exactly what its dry run names: keep the last n, older than t, by status; never the head; a kill in the middle leaves no orphan.",
        "RE02": "Retention keys on last activity, in bounded batches, with writers running.",
    },
    "move": {
        "MO01": "Export and import to any driver keep versions, times, metadata and lineage; import of the same again changes nothing.",
        "MO02": "Export of a live store is one consistent snapshot. A backup under load opens and verifies.",
    },
    "hooks": {
        "HO01": "A wrapper that vetoes (raises before its yield) a save, batch, import or rollback leaves nothing written, and the caller sees its error.",
        "HO02": "Wrappers run in documented order and see every write; with none registered an operation costs no more than a direct call; a driver works the same with and without.",
        "HO04": "A document codec round trips through every verb, history, copy and retry; filters that need to look inside refuse.",
        "HO03": "A hostile stored document imports and executes nothing.",
    },
}
"""Group to id to sentence, in the order of the written list."""

KEPT_BY_FACADE: Final = frozenset(
    {
        *("RT01", "RT02", "RT03", "RT04", "RT05", "RT06", "RT07", "RT08", "RT10", "RT12", "RT14"),
        *("VE04", "VE09", "VE11", "BA07"),
        *("QU06", "QU08", "ER04"),
        *("MO01", "HO01", "HO02", "HO03", "HO04"),
    }
)
"""Kept by the core for every driver, as long as that gives back the bytes and columns it was given."""

CAPABILITIES: Final[dict[str, Capability]] = {
    **dict.fromkeys(("ID01", "ID02", "ID03", "ID04"), Capability.IDEMPOTENCY),
    "QU04": Capability.JSON_PATHS,
    "QU13": Capability.EXPLAIN,
    **dict.fromkeys(("CO02", "CO08"), Capability.MULTI_PROCESS),
    **dict.fromkeys(("CR01", "CR02", "CR03", "CR04", "CR05"), Capability.DURABLE),
    "CR06": Capability.VERIFY,
    **dict.fromkeys(("MI01", "MI02", "MI03", "MI04", "MI05"), Capability.DURABLE),
    **dict.fromkeys(("RE01", "RE02"), Capability.PRUNE),
    "MO02": Capability.SNAPSHOT,
}
"""Promises that hold only where the driver declares the capability; elsewhere it refuses."""

"""The promises by group, as sentences; who keeps them; and the capabilities that they need."""

from typing import Final

from context_core import Capability

SENTENCES: Final[dict[str, dict[str, str]]] = {
    "roundtrip": {
        "RT01": (
            "None, True, False and ints around 2^31, 2^53, 2^63 and 2^64 keep their value and type, or the save "
            "refuses them before any write."
        ),
        "RT02": "Floats are kept bit for bit: -0.0, denormals, the largest float, 0.1+0.2. nan and ±inf are refused.",
        "RT03": '1, 1.0, True and "1" are never converted into each other.',
        "RT04": (
            "Strings in free-form fields keep NUL, CRLF, trailing spaces, emoji and right-to-left marks. NFC and "
            "NFD stay different."
        ),
        "RT05": (
            "Lone surrogates are refused before any write, never dropped or replaced. Indexed strings also "
            "refuse NUL and more than 255 characters."
        ),
        "RT06": (
            "Inside free-form fields, bytes, tuples, sets, dates, UUIDs, Enums, Decimals, ints beyond 64 bits "
            "and arbitrary objects are kept exactly, or refused with the path (`$.decisions.a[3].b`) and the "
            "type."
        ),
        "RT07": "Dict keys that are not strings are refused, not converted to strings. The order of dict keys is kept.",
        "RT08": "Values nested 500 levels deep are saved, or raise a typed limit error. They never crash the process.",
        "RT09": (
            "Timestamps keep microseconds and are equal after a load, whatever offset they were given in. Naive "
            "timestamps are refused."
        ),
        "RT10": (
            "Subclasses of WorkflowContext with more attrs fields (optional, union, nested, alias) are equal "
            "after a load. A store of one type loads rows of another type."
        ),
        "RT11": (
            "Changing a loaded value, or the object after a save, never changes the store, not even the "
            "in-memory store."
        ),
        "RT12": "A save never changes its argument, not even if it fails.",
        "RT13": (
            "Ids with `/ % _ . ..`, spaces, unicode, case differences or common prefixes (`a`, `ab`) stay "
            "different. An empty id and an id over 255 characters are refused."
        ),
        "RT14": "Fields that a newer writer added to the document are kept through load and save.",
        "RT15": (
            "An empty context, and a context at the driver's declared size limit (at least 1 MB), are loaded as "
            "they were saved. One byte more is refused before any write."
        ),
        "RT16": "A story_num of None and values like 0 stay different. A query can select None.",
    },
    "version": {
        "VE01": (
            "Versions start at 1, and each acknowledged save of a workflow adds exactly 1. Adopted versions keep "
            "their number."
        ),
        "VE02": "An acknowledged version never changes: no later operation changes its content or its time.",
        "VE03": "load(id) returns the highest committed version. load(id, v) returns exactly version v.",
        "VE04": (
            "A missing workflow and a missing version raise two different typed errors, or return None where the "
            "API says so."
        ),
        "VE05": (
            "Version numbers are not reused after a delete: if the workflow is saved again, it gets the next number."
        ),
        "VE06": "Saving identical content creates a new version, on every driver.",
        "VE07": (
            "A version history has no gaps and no duplicates from its first retained version on, and is listed "
            "oldest first. This also holds for pages and for the reverse order."
        ),
        "VE08": (
            "A load as of a time returns the last version that was saved at or before that time, also with equal "
            "timestamps and a clock that goes back."
        ),
        "VE09": (
            "A rollback appends a version that is equal to its target, and removes nothing. A rollback to a "
            "missing version changes nothing."
        ),
        "VE10": (
            "A fork starts its own version history from a version of another workflow, records where it came "
            "from, and never affects the source. A fork onto an existing id is refused."
        ),
        "VE11": "diff(v, v) is empty, and applying diff(a, b) to a gives b.",
        "VE12": (
            "The history and the counts of a story include all workflows of the story. The epic level (story "
            "None) is a separate story."
        ),
    },
    "cas": {
        "CA01": (
            "If the expected version does not match, the call raises VersionConflictError with the id, the "
            "expected and the actual version, and writes nothing."
        ),
        "CA02": "A save with expected_version=0 only creates: it fails if the workflow exists.",
        "CA03": (
            "If N writers expect the same version at the same time, exactly one succeeds, across threads, "
            "connections and processes."
        ),
        "CA04": "N writers that each increment M times and retry after a conflict end at N x M.",
        "CA05": "Concurrent saves without an expected version all become different versions without gaps.",
        "CA06": "A delete and a re-creation between a read and a conditional save are detected.",
        "CA07": "Deletes, rollbacks and the items of a batch take an expected version too.",
        "CA08": (
            "The driver never retries a conflict itself and never reports it as transient. The store can be used "
            "immediately afterwards."
        ),
    },
    "idem": {
        "ID01": (
            "A save with the same idempotency key and the same content returns the first version and writes nothing."
        ),
        "ID02": "A save with the same key and other content raises an error.",
        "ID03": (
            "If a save was executed and its reply was lost (OutcomeUnknownError), a retry with the key leaves "
            "one version."
        ),
        "ID04": "Keys are kept when a store is opened again. Concurrent saves with one key write once.",
    },
    "delete": {
        "DE01": (
            "After a delete no row of any table contains content of the workflow; an inventory of the tables "
            "proves it. Only the tombstone remains: id, version and time."
        ),
        "DE02": (
            "A delete does not affect workflows with a common prefix. Queries, counts and histories no longer "
            "show the deleted workflow."
        ),
        "DE03": "Deleting a missing workflow returns False, also the second time.",
        "DE04": "A concurrent reader sees the whole workflow or nothing.",
        "DE05": "A delete with a wrong expected version deletes nothing.",
    },
    "batch": {
        "BA01": "If item k of a batch fails (bad value, conflict, constraint), no item becomes visible, for every k.",
        "BA02": (
            "The results are in the order of the input. Several saves of one workflow in a batch become "
            "consecutive versions."
        ),
        "BA03": "An empty batch succeeds and writes nothing.",
        "BA04": "Other connections and processes see the whole batch or none of it.",
        "BA05": (
            "Batches above the engine's limit for bind parameters stay atomic: 10,000 saves, 50,000 ids in one load."
        ),
        "BA06": "A batch of saves, deletes and conditional saves is one transaction.",
        "BA07": "The inputs may be generators that can be read only once.",
        "BA08": "A load of many ids keeps their order, repeats duplicates, and leaves out missing workflows.",
    },
    "query": {
        "QU01": "Every operator on every field gives the same result as the reference evaluator, on generated data.",
        "QU02": 'None means "is absent" and is equal to nothing else. A filter with an empty list finds nothing.',
        "QU03": (
            'True, 1, 1.0, "1", null and absent values compare by one written table, which is the same on every '
            "driver. Strings compare by code point, and None sorts first."
        ),
        "QU04": (
            "Paths into decisions and metadata address keys as segments. Keys with dots, quotes, brackets and `$` work."
        ),
        "QU05": '"equals a list" and "contains an item" are two operators.',
        "QU06": (
            "An unknown field or operator raises InvalidQueryError, which names it and the known ones. No filter "
            "is ever ignored."
        ),
        "QU07": "A prefix match escapes `%` and `_`. Injection strings are treated as data.",
        "QU08": "Time ranges are half-open. Naive datetimes are refused.",
        "QU09": "Counts, existence, ids and full results agree.",
        "QU10": (
            "The default order is newest first and total (with a unique tie-breaker), and is the same on every "
            "driver. Every sortable field sorts in both directions."
        ),
        "QU11": "limit 0 is empty, a negative limit or offset is refused, and an offset works without a limit.",
        "QU12": "Listing headers (id, version, status, times) reads no document.",
        "QU13": (
            "The cost of a query depends on its result, not on the size of the table: the engine's plan shows an "
            "index for every indexed field and for the newest-first order."
        ),
    },
    "page": {
        "PA01": "All pages together are the full list, for any page size, direction and filter.",
        "PA02": (
            "During concurrent writes, each row that exists the whole time appears exactly once, in every order "
            "by fields that never change."
        ),
        "PA03": "1,000 rows with equal timestamps are paged without a loss or a repetition.",
        "PA04": (
            "A cursor is bound to its filter and order: another query, or a forged cursor, raises InvalidQueryError."
        ),
        "PA05": "A cursor works after the store is opened again, and after its row was deleted.",
        "PA06": (
            "Iterating over 10,000 rows needs bounded memory and blocks no writer. An abandoned iterator frees "
            "its connection."
        ),
    },
    "concurrency": {
        "CO01": "Many threads can use one store object.",
        "CO02": (
            'With several processes on one database, no "database is locked" and no serialization failure '
            "reaches the caller within the busy timeout."
        ),
        "CO03": "Readers continue during a long write, and see a consistent state.",
        "CO04": "A reader sees its own writes, also through a second store object on the same database.",
        "CO05": "Within a session, the version that reads return never decreases.",
        "CO06": (
            "A save that was acknowledged before another one started has the lower version. A recorded history "
            "of concurrent operations is linearizable per workflow."
        ),
        "CO07": "Two batches with the same workflows in opposite order do not deadlock.",
        "CO08": "After fork() the child opens its own connections. Parent and child both continue.",
        "CO09": "10,000 operations leak no connection, thread or file handle.",
        "CO10": (
            "Any exception or KeyboardInterrupt inside a transaction rolls it back, and the store can be used "
            "afterwards. A waiter that is interrupted while others commit its save gets OutcomeUnknownError."
        ),
        "CO11": "If the connection pool is exhausted, a call raises a typed error within the declared time.",
        "CO12": (
            "If a peer stops answering without closing the connection, a call raises a typed error within the "
            "declared time."
        ),
        "CO13": "The memory that a store holds is bounded in bytes, for documents of any size.",
    },
    "crash": {
        "CR01": (
            "After a SIGKILL at any moment of a save or batch, the reopened store shows the old state or the new "
            "one, never a part."
        ),
        "CR02": "After a SIGKILL every acknowledged save is there.",
        "CR03": "After a SIGKILL during a migration, the next open completes the migration.",
        "CR04": (
            "A server restart raises BackendUnavailableError. Then the same store object works again, and no "
            "acknowledged save is lost."
        ),
        "CR05": (
            "A full disk, a read-only file and a missing directory raise a typed error. The old data stays "
            "intact and readable."
        ),
        "CR06": "One damaged record does not hide the others. verify() names it.",
        "CR07": (
            "A store can be changed from outside into a state that no driver creates: a head without history, a "
            "history without head, a missing delta base. verify names this state, and repair corrects it. No verb "
            "loops, hangs or returns a part."
        ),
        "CR08": (
            "After a power loss, writes without a sync may be lost, and every acknowledged version is still "
            "there (synchronous=full)."
        ),
    },
    "error and lifecycle": {
        "ER01": (
            "Every error is a ContextCoreError with the engine's error as __cause__. No exception of the engine "
            "reaches the caller."
        ),
        "ER02": "The same misuse raises the same error class on every driver.",
        "ER03": (
            "Errors carry the facts as attributes. Their messages say what to do next, and never contain a "
            "document or a password."
        ),
        "ER04": "Bad arguments fail before any I/O.",
        "ER05": (
            "After close every operation raises BackendClosedError. close can be called again, and leaves no "
            "thread, handle or ResourceWarning."
        ),
        "ER06": "A reopened store shows everything. In read-only mode nothing is written or created.",
        "ER07": "A URL with a password full of metacharacters works. The password appears in no repr, log or error.",
        "ER08": (
            "A driver declares its capabilities and limits. A declared capability works, and an undeclared one "
            "is refused."
        ),
        "ER09": "Installing or importing the package changes no other test run, logging or warnings.",
    },
    "time": {
        "TI01": "Stored timestamps are aware UTC times with microseconds, read from an injected clock.",
        "TI02": (
            "A clock that goes back never changes the order of versions. The time zone of the server or session "
            "changes nothing."
        ),
    },
    "migration": {
        "MI01": (
            "A database of every earlier schema version, kept as a golden file, opens with equal content. So "
            "does the original single-table schema."
        ),
        "MI02": "If ten processes open an old database at the same time, all succeed, and it is migrated once.",
        "MI03": (
            "Each schema step is one transaction. A failing step leaves the schema version unchanged, and can "
            "run again. Re-encoding continues after a kill, and both formats can be read until it is finished."
        ),
        "MI04": "A newer database is refused with a clear error and is not changed.",
        "MI05": "New and migrated schemas are identical.",
    },
    "retention": {
        "RE01": (
            "prune deletes exactly what its dry run lists: keep the last n, older than t, by status. It never "
            "deletes a head, and a kill during a prune leaves no orphan."
        ),
        "RE02": "prune selects by last activity and works in bounded batches, during concurrent writes.",
    },
    "move": {
        "MO01": (
            "An export and an import to any driver keep versions, times, metadata and lineage. Importing the "
            "same file again changes nothing."
        ),
        "MO02": (
            "An export of a store in use is one consistent snapshot. A backup during writes can be opened and verified."
        ),
    },
    "hooks": {
        "HO01": (
            "If a wrapper vetoes (raises before its yield) a save, batch, import or rollback, nothing is "
            "written, and the caller sees the wrapper's error."
        ),
        "HO02": (
            "Wrappers run in the documented order and see every write. Without wrappers an operation costs no "
            "more than a direct call. A driver works the same with and without wrappers."
        ),
        "HO04": (
            "A document codec works with every verb, history, copy and retry. Filters that need to read "
            "documents are refused."
        ),
        "HO03": "A hostile stored document imports and executes nothing.",
    },
}
"""By group and id, the sentence of each promise, in the order of the page."""

KEPT_BY_FACADE: Final = frozenset(
    {
        *("RT01", "RT02", "RT03", "RT04", "RT05", "RT06", "RT07", "RT08", "RT10", "RT12", "RT14"),
        *("VE04", "VE09", "VE11", "BA07"),
        *("QU06", "QU08", "ER04"),
        *("MO01", "HO01", "HO02", "HO03", "HO04"),
    }
)
"""The promises that the core keeps for every driver that returns the bytes and fields that it stored."""

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
"""By promise, the capability that a driver has to declare for it; without the capability the driver refuses."""

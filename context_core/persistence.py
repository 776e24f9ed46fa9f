"""`ContextPersistence`: the door of an engine's author. One object, the story's verbs, typed contexts."""

from context_core._facade.moves import Moves
from context_core._facade.opening import C
from context_core._facade.upkeep import Upkeep
from context_core._facade.writing import Writing


class ContextPersistence(Moves[C], Upkeep[C], Writing[C]):
    """Keeps the contexts of workflows: every save is a new version, and every version loads again.

    Safe for use by many threads. Close it, or use it in a ``with`` block.

    Args:
        store: A URL (`"sqlite:///engine.db"`, `"memory://"`), the path of a SQLite file, or a backend object, which
            is closed with the store.
        db_path: The path of a SQLite file, whatever characters it holds; instead of *store*.
        context_type: WorkflowContext, or a subclass whose further fields all have defaults. Rows saved by other types
            load too; their further fields are kept in `unknown_fields`.
        clock: Where `saved_at` times and the `created_at` of forks come from; by default the wall clock. A backend object
            has a clock of its own for `saved_at`.
        wrappers: Objects with ``@hookimpl(wrapper=True)`` methods that observe or veto calls, the first outermost.
        upcasters: Steps that read documents of the engine's own older schemas.
        document_codec: Transforms documents on their way to and from the store, encryption for one; the same one must
            be given whenever the store is opened.

    Raises:
        ConfigurationError: The address or an option of it cannot be used.
        PluginError: The backend cannot be brought in, or a wrapper does not fit.
        PersistenceError: The store cannot be opened.
    """

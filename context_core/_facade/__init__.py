"""The parts of ContextPersistence, a module for each kind of thing that it does."""

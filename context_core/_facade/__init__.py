"""The algorithms behind ContextPersistence: functions, one module for each kind of work."""

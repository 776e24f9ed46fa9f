"""The machinery of faults: processes that are killed, calls that are interrupted, replies that are lost."""

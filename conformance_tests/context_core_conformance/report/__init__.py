"""The report on one backend: what ran, what that says of each promise, and how it is shown."""

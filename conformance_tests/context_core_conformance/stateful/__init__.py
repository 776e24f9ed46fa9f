"""The stateful machine: a store and a slow reference model go through the same steps."""

"""What context-core costs, beside the best that can be written by hand and beside its peers."""

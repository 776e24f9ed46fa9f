"""Benchmarks of context-core: compared with hand-written code, and with other libraries."""

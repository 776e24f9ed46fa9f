"""`python -m context_core_conformance`, the same as `context-core conformance`."""

from context_core_conformance.command import conformance

if __name__ == "__main__":
    conformance(prog_name="python -m context_core_conformance")

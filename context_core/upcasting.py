"""The schema number of documents, and the steps that read documents of older schemas."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, TypeAlias

import attrs

from context_core.errors import ConfigurationError, shown
from context_core.zones import in_utc

SCHEMA: Final = 1
"""The schema number that this code writes into every document."""

SCHEMA_KEY: Final = "schema"


@attrs.frozen
class Upcaster:
    """Turns a document of schema *from_schema* into one of the next: a step of the chain that reads old documents."""

    from_schema: int
    upgrade: Callable[[dict[str, Any]], dict[str, Any]]
    """Gets the document's fields without the schema number, and may change and return them."""


Chain: TypeAlias = Mapping[int, Sequence[Upcaster]]
"""Steps by the schema they start from."""


def add_time_zones(fields: dict[str, Any], zone: tzinfo = UTC) -> dict[str, Any]:
    """Schema 0 is a document without a number, its times naive: they are read in *zone*."""
    for name in ("created_at", "updated_at"):
        fields[name] = _with_zone(fields.get(name), zone)
    for transition in fields.get("phase_history") or ():
        if isinstance(transition, dict):
            transition["timestamp"] = _with_zone(transition.get("timestamp"), zone)
    return fields


def _with_zone(text: Any, zone: tzinfo) -> Any:
    if not isinstance(text, str):
        return text
    moment = datetime.fromisoformat(text)
    return text if moment.tzinfo is not None else in_utc(moment, zone).isoformat()


_IN_UTC: Final = Upcaster(0, add_time_zones)


class UnknownSchemaError(Exception):
    """No chain of steps leads from this schema to that of this code; whoever reads the document says which one it is."""

    def __init__(self, schema: object) -> None:
        self.schema = schema
        super().__init__(schema)


def chained(upcasters: Iterable[Upcaster] = (), *, own: Upcaster = _IN_UTC) -> Chain:
    """Return the steps by the schema they start from, our *own* before those of the engine.

    Raises:
        ConfigurationError: One of them is no Upcaster, or starts from no older schema.
    """
    steps: dict[int, list[Upcaster]] = {}
    if not isinstance(upcasters, Iterable):
        raise ConfigurationError(f"upcasters must be a list of Upcaster, not {type(upcasters).__name__}")
    for step in (own, *upcasters):
        if not isinstance(step, Upcaster):
            raise ConfigurationError(f"upcasters must be a list of Upcaster; one of them is {type(step).__name__}")
        if type(step.from_schema) is not int or not 0 <= step.from_schema < SCHEMA:
            raise ConfigurationError(
                f"an upcaster starts from schema 0 to {SCHEMA - 1}, not {shown(step.from_schema)}: "
                f"documents are written with schema {SCHEMA}"
            )
        steps.setdefault(step.from_schema, []).append(step)
    return steps


def upcast(fields: dict[str, Any], schema: Any, steps: Chain) -> dict[str, Any]:
    """Return the fields of a document of any schema as those of `SCHEMA`.

    Raises:
        UnknownSchemaError: *schema* is no number, newer, or so old that no step reads it.
    """
    if type(schema) is not int or schema > SCHEMA:
        raise UnknownSchemaError(schema)
    for number in range(schema, SCHEMA):
        if number not in steps:
            raise UnknownSchemaError(schema)
        for step in steps[number]:
            fields = step.upgrade(fields)
    return fields

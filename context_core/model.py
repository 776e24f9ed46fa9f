"""The state of one running workflow, as a value."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self, cast

import attrs

from context_core._converter import IN_DOCUMENT, decode, document_fields, encode, time_of_field, typed_tree, utc_to_text
from context_core.errors import InvalidContextError, shown
from context_core.upcasting import SCHEMA, SCHEMA_KEY, UnknownSchemaError, Upcaster, chained, upcast

MAX_TEXT: Final = 255
"""Ids and every other indexed text end here, in characters."""

_MAX_INT: Final = 2**63 - 1
_read_time: Final = datetime.fromisoformat
_new: Final = object.__new__
_set: Final = object.__setattr__
"""Sets a field of a frozen object that nobody else holds yet."""
_ONLY_STR: Final = frozenset({str})
SECONDS_OR_NONE: Final = frozenset({int, float, type(None)})


class Status(StrEnum):
    """How a workflow stands. A context's `status` is one of these, and equals its text: `Status.FAILED == "failed"`."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    PAUSED = "paused"


STATUSES: Final = {status.value: status for status in Status}
"""The members by their text."""


def utc_now() -> datetime:
    """The wall clock, aware, in UTC."""
    return datetime.now(UTC)


def check_text(field: str, value: object, *, allow_empty: bool = True) -> None:
    """Refuse what an indexed column cannot hold exactly (RT05, RT13): non-text, NUL, lone surrogates, over 255."""
    if type(value) is not str:
        raise InvalidContextError(field=field, problem=f"must be str, not {type(value).__name__}")
    if not value and not allow_empty:
        raise InvalidContextError(field=field, problem="must not be empty")
    if len(value) > MAX_TEXT:
        raise InvalidContextError(field=field, problem=f"has {len(value):,} characters, the limit is {MAX_TEXT}")
    if "\0" in value:
        raise InvalidContextError(field=field, problem="must not contain NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidContextError(field=field, problem="contains a lone surrogate, which is not Unicode") from error


def _check_id(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    check_text(attribute.name, value, allow_empty=False)


def _check_text(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    check_text(attribute.name, value)


def check_positive(field: str, value: object) -> None:
    """Refuse what is no int from 1 to 2**63 - 1."""
    if type(value) is not int or not 0 < value <= _MAX_INT:
        raise InvalidContextError(field=field, problem=f"must be a positive 64-bit int, not {shown(value)}")


def _check_number(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    check_positive(attribute.name, value)


def _check_status(_: object, attribute: "attrs.Attribute[Status]", value: object) -> None:
    if type(value) is not Status:
        problem = f"must be one of {', '.join(Status)}, not {shown(value)}"
        raise InvalidContextError(field=attribute.name, problem=problem)


def _check_duration(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if type(value) not in SECONDS_OR_NONE:
        problem = f"must be seconds as a number, or None, not {type(value).__name__}"
        raise InvalidContextError(field=attribute.name, problem=problem)


def _check_container(kind: type) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    def check(_: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if type(value) is not kind:
            problem = f"must be a {kind.__name__}, not {type(value).__name__}"
            raise InvalidContextError(field=attribute.name, problem=problem)

    return check


def _check_tags(_: object, attribute: "attrs.Attribute[list[str]]", value: object) -> None:
    _check_list(_, attribute, value)
    if not set(map(type, cast("list[object]", value))) <= _ONLY_STR:
        raise InvalidContextError(field=attribute.name, problem="must be a list of str")


_check_list = _check_container(list)
_check_dict = _check_container(dict)


def _in_utc(field: str, value: object) -> datetime:
    if not isinstance(value, datetime):
        raise InvalidContextError(field=field, problem=f"must be a datetime, not {type(value).__name__}")
    if value.tzinfo is UTC:
        return value
    if value.utcoffset() is None:
        raise InvalidContextError(field=field, problem="is naive; give it a time zone, datetime.now(UTC) for one")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidContextError(field=field, problem="is outside the years 1 to 9999 in UTC") from error


# One function a field: an attrs converter is not told which it works for, and mypy reads only plain functions.


def _timestamp(value: object) -> datetime:
    return _in_utc("timestamp", value)


def _created_at(value: object) -> datetime:
    return _in_utc("created_at", value)


def _updated_at(value: object) -> datetime:
    return _in_utc("updated_at", value)


def _status(value: object) -> Any:
    """The member, of itself or of its text; whatever else is left to the validator."""
    return STATUSES.get(value, value) if type(value) is str else value


def _unknown_fields() -> Any:
    """The field that keeps what a newer writer added."""
    return attrs.field(factory=dict, kw_only=True, repr=False, validator=_check_dict, metadata={IN_DOCUMENT: False})


@attrs.frozen(kw_only=True, slots=False)
class PhaseTransition:
    """One finished phase of a workflow: its name, when it was left, and for how long it ran."""

    phase: str = attrs.field(validator=_check_text)
    timestamp: datetime = attrs.field(converter=_timestamp)
    duration: float | None = attrs.field(default=None, validator=_check_duration)
    """Seconds, or None where unknown."""
    unknown_fields: dict[str, Any] = _unknown_fields()

    def _as_tree(self) -> dict[str, Any]:
        """Return what cattrs would give, in half the time: each save does it for each phase that was ever left."""
        timestamp = self.timestamp
        text = utc_to_text(timestamp) if timestamp.tzinfo is UTC else time_of_field(timestamp)
        return {"phase": self.phase, "timestamp": text, "duration": self.duration}


_TRANSITION_FIELD_COUNT: Final = len(document_fields(PhaseTransition))


@attrs.frozen(kw_only=True, slots=False)
class IndexedFields:
    """The fields of a context that every backend keeps beside the document, in the order of its columns.

    This is the one declaration of them: records, headers, columns, conditions and checks are derived from it. The type of
    a field says how it is kept and compared (`context_core.conditions.FIELDS`).
    """

    workflow_id: str
    epic_num: int
    story_num: int | None
    feature: str
    workflow_name: str
    current_phase: str
    status: str
    created_at: datetime
    updated_at: datetime
    tags: tuple[str, ...] = ()


INDEXED_FIELDS: Final = tuple(attrs.fields_dict(IndexedFields))


@attrs.frozen(slots=False)  # attrs fills the __dict__ of a frozen class three times as fast as its slots
class WorkflowContext:
    """The state of one running workflow: where it stands, what was decided, what it made, how it got here.

    Frozen: the verbs below return a changed copy. The free-form fields (`decisions`, `artifacts`, `errors`,
    `metadata`) hold JSON values, which are checked at every save, since a frozen object may still hold a mutable dict.

    Raises:
        InvalidContextError: A field breaks its rule; the error names it.
    """

    workflow_id: str = attrs.field(validator=_check_id)
    epic_num: int = attrs.field(validator=_check_number)
    story_num: int | None = attrs.field(validator=attrs.validators.optional(_check_number))
    feature: str = attrs.field(validator=_check_text)
    workflow_name: str = attrs.field(validator=_check_text)
    current_phase: str = attrs.field(default="initialization", validator=_check_text)
    phase_history: list[PhaseTransition] = attrs.field(factory=list, validator=_check_list)
    decisions: dict[str, Any] = attrs.field(factory=dict, validator=_check_dict)
    artifacts: list[Any] = attrs.field(factory=list, validator=_check_list)
    errors: list[Any] = attrs.field(factory=list, validator=_check_list)
    status: Status = attrs.field(default=Status.RUNNING, converter=_status, validator=_check_status)
    created_at: datetime = attrs.field(factory=utc_now, converter=_created_at)
    updated_at: datetime = attrs.field(
        default=attrs.Factory(lambda self: self.created_at, takes_self=True),
        converter=_updated_at,
    )
    metadata: dict[str, Any] = attrs.field(factory=dict, validator=_check_dict)
    tags: list[str] = attrs.field(factory=list, validator=_check_tags)
    version: int = attrs.field(default=0, kw_only=True, eq=False, metadata={IN_DOCUMENT: False})
    """The stored version that this was loaded from; 0 before the first save. Saving ignores it."""
    unknown_fields: dict[str, Any] = _unknown_fields()
    """Fields of a newer writer or of another context type, kept through load and save."""

    @property
    def story_id(self) -> str:
        """`"3.7"` for story 7 of epic 3; `"3"` for the epic itself."""
        return f"{self.epic_num}" if self.story_num is None else f"{self.epic_num}.{self.story_num}"

    def copy_with(self, **changes: Any) -> Self:
        """Return a copy with *changes*; `updated_at` is now, unless given."""
        changes.setdefault("updated_at", utc_now())
        unknown = changes.keys() - {field.alias for field in attrs.fields(type(self)) if field.init}
        if unknown:
            problem = f"is no field of {type(self).__name__}"
            raise InvalidContextError(field=", ".join(sorted(unknown)), problem=problem)
        return attrs.evolve(self, **changes)

    def add_decision(self, name: str, value: Any) -> Self:
        """Return a copy with `decisions[name] = value`."""
        return self.copy_with(decisions={**self.decisions, name: value})

    def add_artifact(self, artifact: Any) -> Self:
        """Return a copy with *artifact* at the end of `artifacts`."""
        return self.copy_with(artifacts=[*self.artifacts, artifact])

    def add_error(self, error: Any) -> Self:
        """Return a copy with *error* at the end of `errors`."""
        return self.copy_with(errors=[*self.errors, error])

    def transition_phase(self, new_phase: str, *, at: datetime | None = None) -> Self:
        """Return a copy in *new_phase*, the phase being left recorded with the seconds it ran.

        A phase began when the one before it was left, or when the context was created. Where the clock went back in
        between, the duration is None.
        """
        left_at = _in_utc("at", at if at is not None else utc_now())
        began_at = self.phase_history[-1].timestamp if self.phase_history else self.created_at
        seconds = (left_at - began_at).total_seconds()
        left = PhaseTransition(phase=self.current_phase, timestamp=left_at, duration=seconds if seconds >= 0 else None)
        return self.copy_with(current_phase=new_phase, phase_history=[*self.phase_history, left], updated_at=left_at)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values, in field order; free-form values are shared, not copied."""
        return typed_tree(type(self)).to_tree(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any], *, version: int = 0) -> Self:
        """Build a context from what `to_dict` gave; fields that this class does not know go to `unknown_fields`.

        Raises:
            InvalidContextError: A field is missing or does not fit; the error names it.
        """
        if type(fields) is not dict:
            raise InvalidContextError(field="$", problem=f"must be a dict, not {type(fields).__name__}")
        context = typed_tree(cls).from_tree(fields)
        if version:
            _set(context, "version", version)
        return context

    def to_json(self) -> str:
        """Return the context as JSON text.

        Raises:
            UnserializableValueError: A free-form value would not come back exactly.
        """
        return encode(self.to_dict()).decode()

    @classmethod
    def from_json(cls, text: str | bytes, *, upcasters: Iterable[Upcaster] = ()) -> Self:
        """Build a context from JSON text: what `to_json` gave, or any document that a store reads.

        A text without a schema number is read as schema 0, whose times may be naive; *upcasters* are those of the store.

        Raises:
            InvalidContextError: It is no such text; the error names the field that is missing or does not fit.
        """
        try:
            fields = decode(text.encode() if isinstance(text, str) else text)
        except ValueError as error:
            raise InvalidContextError(field="$", problem="is not JSON") from error
        if type(fields) is dict:
            fields = _upcast(fields, upcasters)
        return cls.from_dict(fields)


def _upcast(fields: dict[str, Any], upcasters: Iterable[Upcaster]) -> dict[str, Any]:
    schema = fields.pop(SCHEMA_KEY, 0)
    try:
        return upcast(fields, schema, chained(upcasters))
    except UnknownSchemaError:
        problem = f"is {shown(schema)}, this code reads {SCHEMA} and older ones: upgrade context-core"
        raise InvalidContextError(field=SCHEMA_KEY, problem=problem) from None
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InvalidContextError(field="$", problem=f"cannot be read as a document of schema {schema}") from error


_FIELD_COUNT: Final = len(document_fields(WorkflowContext))


def rebuild(fields: dict[str, Any], version: int) -> WorkflowContext | None:
    """Build a context from a freshly parsed document in the very form that `to_dict` gives; None for any other.

    Loading is the hot path, and cattrs with the constructor's checks costs four times as much. The parsed dict becomes
    the context's own, so on success the caller must forget it. Whatever looks the least bit unusual is left to
    `from_dict`, untouched, so that there is one place that judges documents and words the errors.
    """
    try:
        if len(fields) != _FIELD_COUNT or not is_plain(fields):
            return None
        created_at, updated_at = _read_time(fields["created_at"]), _read_time(fields["updated_at"])
        history = []
        for transition in fields["phase_history"]:
            phase, timestamp, duration = (
                transition["phase"],
                _read_time(transition["timestamp"]),
                transition["duration"],
            )
            if (
                len(transition) != _TRANSITION_FIELD_COUNT
                or timestamp.tzinfo is not UTC
                or type(phase) is not str
                or len(phase) > MAX_TEXT
                or "\0" in phase
                or type(duration) not in SECONDS_OR_NONE
            ):
                return None
            left = _new(PhaseTransition)
            state = {"phase": phase, "timestamp": timestamp, "duration": duration, "unknown_fields": {}}
            _set(left, "__dict__", state)
            history.append(left)
    except (TypeError, ValueError, KeyError):
        return None
    if created_at.tzinfo is not UTC or updated_at.tzinfo is not UTC:
        return None
    fields["phase_history"] = history
    fields["status"] = STATUSES[fields["status"]]
    fields["created_at"] = created_at
    fields["updated_at"] = updated_at
    fields["version"] = version
    fields["unknown_fields"] = {}
    context = _new(WorkflowContext)
    _set(context, "__dict__", fields)
    return context


def is_plain(fields: dict[str, Any]) -> bool:
    """Tell whether every rule of the constructor holds for sure; False only sends the document there.

    That text is Unicode need not be asked: the parser refuses lone surrogates.
    """
    workflow_id, feature = fields["workflow_id"], fields["feature"]
    workflow_name, current_phase = fields["workflow_name"], fields["current_phase"]
    epic_num, story_num, tags = fields["epic_num"], fields["story_num"], fields["tags"]
    for tag in tags:
        if type(tag) is not str:
            return False
    return (
        type(workflow_id) is type(feature) is type(workflow_name) is type(current_phase) is str
        and workflow_id != ""
        # Together they are nearly always shorter than each may be; what is longer is counted by the constructor.
        and len(texts := f"{workflow_id}{feature}{workflow_name}{current_phase}") <= MAX_TEXT
        and "\0" not in texts
        and type(epic_num) is int
        and 0 < epic_num <= _MAX_INT
        and (story_num is None or (type(story_num) is int and 0 < story_num <= _MAX_INT))
        and fields["status"] in STATUSES
        and type(fields["decisions"]) is dict
        and type(fields["metadata"]) is dict
        and type(fields["artifacts"]) is list
        and type(fields["errors"]) is list
        and type(tags) is list
        and type(fields["phase_history"]) is list
    )

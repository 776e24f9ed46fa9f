"""Faults of searching: most are what an engine's own comparison would do."""

import re
from typing import Any

import attrs
import orjson

from context_core.conditions import Condition, Operator, OrderTerm
from context_core.query import evaluate, holds, matches
from context_core.records import QueryRequest, Selection, StoredDocument, VersionHeader, Want
from context_core_memory import MemoryBackend
from faulty_drivers.base_drivers import Querying, state_of
from faulty_drivers.fault import breaks


class _Judging(MemoryBackend):
    """A head is found if `admits` says so of every condition; `value` tells what a condition looks at."""

    def query(self, request: QueryRequest) -> Selection:
        if request.want is Want.TOMBSTONES:
            return super().query(request)
        found = super().query(QueryRequest(want=Want.RECORDS))
        heads = [
            head
            for head in zip(found.headers, found.documents, strict=True)
            if all(self.admits(condition, *head) for condition in request.conditions)
        ]
        return evaluate(attrs.evolve(request, conditions=()), heads)

    def admits(self, condition: Condition, header: VersionHeader, document: StoredDocument) -> bool:
        return matches([condition], header, document)


class _Indexed(_Judging):
    """Conditions on indexed fields are judged by `judge`."""

    def admits(self, condition: Condition, header: VersionHeader, document: StoredDocument) -> bool:
        if not condition.is_indexed:
            return super().admits(condition, header, document)
        return self.judge(condition, getattr(header, condition.field))

    def judge(self, condition: Condition, value: Any) -> bool:
        return holds(condition, value)


class _Rewriting(Querying):
    """Each condition passes through `condition`."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, conditions=[self.condition(each) for each in request.conditions])

    def condition(self, condition: Condition) -> Condition:
        return condition


@breaks("QU01", "QU06")
class FilterIsIgnored(Querying):
    """A condition on a field without an index is left out."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, conditions=[each for each in request.conditions if each.field != "updated_at"])


@breaks("QU01")
class AnyConditionIsEnough(_Judging):
    """Conditions are joined by OR."""

    def query(self, request: QueryRequest) -> Selection:
        if not request.conditions or request.want is Want.TOMBSTONES:
            return super().query(request)
        found = MemoryBackend.query(self, QueryRequest(want=Want.RECORDS))
        heads = [
            head
            for head in zip(found.headers, found.documents, strict=True)
            if any(self.admits(condition, *head) for condition in request.conditions)
        ]
        return evaluate(attrs.evolve(request, conditions=()), heads)


@breaks("QU01", "VE03")
class OldVersionsAreFound(MemoryBackend):
    """A search looks at every version, so that a workflow is found by what it once was."""

    def query(self, request: QueryRequest) -> Selection:
        if request.want is Want.TOMBSTONES:
            return super().query(request)
        histories = state_of(self).histories.values()
        return evaluate(
            request, [(version.header, version.document) for history in histories for version in history.versions]
        )


@breaks("QU01", "QU03")
class TrueEqualsOne(_Rewriting):
    """A search for true finds 1, as where booleans are numbers."""

    def condition(self, condition: Condition) -> Condition:
        if condition.operator is Operator.EQ and type(condition.value) is bool:
            values = (condition.value, int(condition.value))
            return attrs.evolve(condition, operator=Operator.IN, value=values)
        return condition


@breaks("QU01", "QU03")
class NumbersEqualTheirText(_Rewriting):
    """A search for 1 finds "1"."""

    def condition(self, condition: Condition) -> Condition:
        if condition.operator is Operator.EQ and type(condition.value) is int and not condition.is_indexed:
            values = (condition.value, str(condition.value))
            return attrs.evolve(condition, operator=Operator.IN, value=values)
        return condition


@breaks("QU03", "QU01")
class TextEqualsIgnoringCase(_Indexed):
    """A search for `Checkout` finds `checkout`, as with the usual collation of MySQL."""

    def judge(self, condition: Condition, value: Any) -> bool:
        if condition.operator is Operator.EQ and isinstance(value, str) and isinstance(condition.value, str):
            return value.lower() == condition.value.lower()
        return super().judge(condition, value)


@breaks("QU07", "QU01")
class PrefixIsLike(_Indexed):
    """The wildcards of LIKE mean something in a prefix."""

    def judge(self, condition: Condition, value: Any) -> bool:
        if condition.operator is not Operator.PREFIX:
            return super().judge(condition, value)
        pattern = re.escape(condition.value).replace("%", ".*").replace("_", ".")
        return re.match(pattern, value, re.DOTALL) is not None


@breaks("QU07", "QU01", "QU03")
class PrefixIgnoresCase(_Indexed):
    """LIKE does not tell letters from capitals."""

    def judge(self, condition: Condition, value: Any) -> bool:
        if condition.operator is not Operator.PREFIX:
            return super().judge(condition, value)
        return bool(value.lower().startswith(condition.value.lower()))


@breaks("QU08", "QU01")
class RangesHoldTheirEnd(_Rewriting):
    """BETWEEN holds both ends."""

    def condition(self, condition: Condition) -> Condition:
        if condition.operator is Operator.LT and condition.field == "created_at":
            return attrs.evolve(condition, operator=Operator.LTE)
        return condition


@breaks("QU08", "QU01", "TI01", "RT09")
class TimesCompareAsText(_Indexed):
    """A whole second is written without its fraction, and comes behind all others of it."""

    def judge(self, condition: Condition, value: Any) -> bool:
        if condition.field not in ("created_at", "updated_at") or condition.operator in (Operator.IN, Operator.ISNULL):
            return super().judge(condition, value)
        wanted = condition.value and condition.value.replace(tzinfo=None).isoformat() + "Z"
        return holds(attrs.evolve(condition, value=wanted), value.replace(tzinfo=None).isoformat() + "Z")


@breaks("QU02")
class NotEqualLeavesOutTheAbsent(_Indexed):
    """NULL <> 1 is not true."""

    def judge(self, condition: Condition, value: Any) -> bool:
        return super().judge(condition, value) and not (condition.operator is Operator.NE and value is None)


@breaks("QU02")
class InNeverFindsTheAbsent(_Indexed):
    """NULL IN (NULL) is not true."""

    def judge(self, condition: Condition, value: Any) -> bool:
        return super().judge(condition, value) and not (condition.operator is Operator.IN and value is None)


@breaks("QU02")
class InNothingIsNoCondition(Querying):
    """`in []` is left out, as a statement without it is easier to write."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        conditions = [each for each in request.conditions if each.operator is not Operator.IN or each.value]
        return attrs.evolve(request, conditions=conditions)


@breaks("BA05", "QU01")
class InIsCut(_Rewriting):
    """Only the first thousand values of a list are looked for."""

    def condition(self, condition: Condition) -> Condition:
        is_in = condition.operator is Operator.IN
        return attrs.evolve(condition, value=condition.value[:1_000]) if is_in else condition


@breaks("QU05", "QU01")
class ContainsIsEquals(_Rewriting):
    """A list contains a tag if it is the only one."""

    def condition(self, condition: Condition) -> Condition:
        if condition.operator is Operator.CONTAINS and condition.field == "tags":
            return attrs.evolve(condition, operator=Operator.EQ, value=(condition.value,))
        return condition


@breaks("QU05", "QU01")
class ContainsLooksIntoText(_Judging):
    """A list contains a tag if it stands anywhere in the text of the list."""

    def admits(self, condition: Condition, header: VersionHeader, document: StoredDocument) -> bool:
        if condition.operator is Operator.CONTAINS and condition.field == "tags":
            return str(condition.value) in " ".join(header.tags)
        return super().admits(condition, header, document)


@breaks("QU05", "QU01")
class TagsEqualInAnyOrder(_Indexed):
    """Lists of the same tags are equal."""

    def judge(self, condition: Condition, value: Any) -> bool:
        if condition.field == "tags" and condition.operator is Operator.EQ:
            return sorted(value) == sorted(condition.value)
        return super().judge(condition, value)


@breaks("QU04", "QU01")
class PathsAreJoinedByDots(_Rewriting):
    """A key that holds a dot is looked for as two."""

    def condition(self, condition: Condition) -> Condition:
        return attrs.evolve(condition, path=tuple(".".join(condition.path).split("."))) if condition.path else condition


@breaks("QU04", "QU01")
class PathsLoseTheirQuotes(_Rewriting):
    """A quote in a key ends it."""

    def condition(self, condition: Condition) -> Condition:
        return attrs.evolve(condition, path=tuple(key.partition('"')[0] for key in condition.path))


@breaks("QU09", "QU01")
class CountIgnoresPaths(Querying):
    """A count does not look into documents."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        if request.want is not Want.COUNT:
            return request
        return attrs.evolve(request, conditions=[each for each in request.conditions if each.is_indexed])


@breaks("QU09")
class CountIsOfVersions(MemoryBackend):
    """A count of workflows is one of their versions."""

    def query(self, request: QueryRequest) -> Selection:
        if request.want is not Want.COUNT:
            return super().query(request)
        headers = super().query(attrs.evolve(request, want=Want.HEADERS)).headers
        return Selection(count=sum(len(state_of(self).versions(header.workflow_id)) for header in headers))


@breaks("QU09", "QU10", "QU12")
class HeadersComeUnordered(Querying):
    """A list of headers does not follow the asked order, as contexts do."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        is_list = request.want is Want.HEADERS and request.after is None
        return attrs.evolve(request, order=()) if is_list else request


@breaks("QU11")
class LimitZeroIsNoLimit(Querying):
    """0 counts as nothing given."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, limit=request.limit or None)


@breaks("QU11")
class OffsetNeedsALimit(Querying):
    """An offset without a limit is left out."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, offset=0) if request.limit is None else request


@breaks("QU10")
class OldestComesFirst(Querying):
    """Without an order the oldest workflow is the first."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        if request.order or request.after is not None:
            return request
        return attrs.evolve(request, order=(OrderTerm(field="created_at"), OrderTerm(field="workflow_id")))


class _Sorting(MemoryBackend):
    """What was found is sorted by `key`, where the order is of one field."""

    def query(self, request: QueryRequest) -> Selection:
        if len(request.order) != 1 or request.want in (Want.TOMBSTONES, Want.COUNT) or request.after is not None:
            return super().query(request)
        (term,) = request.order
        found = super().query(attrs.evolve(request, order=(), limit=None, offset=0, want=Want.RECORDS))
        pairs = sorted(zip(found.headers, found.documents, strict=True), key=lambda pair: pair[0].workflow_id)
        pairs.sort(key=lambda pair: self.key(getattr(pair[0], term.field)), reverse=term.descending)
        page = pairs[request.offset :][: request.limit]
        return Selection(
            headers=() if request.want is Want.DOCUMENTS else [header for header, _ in page],
            documents=() if request.want is Want.HEADERS else [document for _, document in page],
            count=len(page),
        )

    def key(self, value: Any) -> Any:
        return value is not None, value or 0


@breaks("QU10", "QU03")
class NoneComesLast(_Sorting):
    """What has no story is behind all that have one, as in PostgreSQL."""

    def key(self, value: Any) -> Any:
        return value is None, value or 0


@breaks("QU10", "QU03")
class TextIsSortedWithoutCase(_Sorting):
    """`a` comes before `B`, as in the collation of a language."""

    def key(self, value: Any) -> Any:
        return value is not None, value.lower() if isinstance(value, str) else value or 0


@breaks("QU10", "QU03")
class TextIsSortedByCodeUnit(_Sorting):
    """An emoji comes before the last characters of the basic plane, as in UTF-16."""

    def key(self, value: Any) -> Any:
        return value is not None, value.encode("utf-16-be") if isinstance(value, str) else value or 0


@breaks("QU10")
class NumbersAreSortedAsText(_Sorting):
    """Version 10 comes before version 9."""

    def key(self, value: Any) -> Any:
        return value is not None, str(value) if isinstance(value, int) else value or 0


@breaks("QU10")
class TiesGoTheWayOfTheOrder(Querying):
    """Where an order goes down, rows that are equal in it go down by id too."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        if len(request.order) != 1 or request.after is not None:
            return request
        return attrs.evolve(request, order=(*request.order, attrs.evolve(request.order[0], field="workflow_id")))


@breaks("QU10")
class SecondTermIsIgnored(Querying):
    """Only the first field of an order counts."""

    def asked(self, request: QueryRequest) -> QueryRequest:
        return attrs.evolve(request, order=request.order[:1]) if request.after is None else request


@breaks("QU03", "QU01")
class ObjectsAreComparedAsText(_Judging):
    """Two objects are equal if their JSON is, the order of their keys included."""

    def admits(self, condition: Condition, header: VersionHeader, document: StoredDocument) -> bool:
        is_object = isinstance(condition.value, dict) and len(condition.value) > 1
        if condition.is_indexed or not is_object or condition.operator not in (Operator.EQ, Operator.NE):
            return super().admits(condition, header, document)
        value: Any = orjson.loads(document.document).get(condition.field)
        for key in condition.path:
            value = value.get(key) if isinstance(value, dict) else None
        return (orjson.dumps(value) == orjson.dumps(condition.value)) is (condition.operator is Operator.EQ)


@breaks("QU05", "QU01")
class TagsAreFoundByAPart(_Indexed):
    """A tag is looked for in the joined text of all of them."""

    def judge(self, condition: Condition, value: Any) -> bool:
        if condition.field == "tags" and condition.operator is Operator.CONTAINS:
            return f",{condition.value}," in f",{','.join(value)},"
        return super().judge(condition, value)

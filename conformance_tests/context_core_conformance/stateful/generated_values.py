"""Generated data for the laws: JSON values, and the settings that go with them."""

from datetime import timedelta, timezone
from typing import Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

GENERATED: Final = settings(
    max_examples=50,
    deadline=None,
    # Examples share one store, under ids of their own; one law runs for several backends in one process.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors, HealthCheck.too_slow],
    database=None,
)

texts: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any Unicode text: NUL and newlines too, no lone surrogates."""

scalars: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)

json_values: Final[st.SearchStrategy[Any]] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)

json_objects: Final[st.SearchStrategy[dict[str, Any]]] = st.dictionaries(texts, json_values, max_size=4)

aware_times: Final = st.datetimes(
    timezones=st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
).filter(lambda moment: 1 < moment.year < 9999)

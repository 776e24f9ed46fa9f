"""Mending the states that no driver makes: each step is a transaction of its own, and nothing that can be read goes."""

from typing import Any, Final

import attrs

from context_core.columns import RECORD_COLUMNS
from context_core.errors import CorruptDocumentError
from context_core.maintenance import RepairStep
from context_core_postgres import _history, _schema
from context_core_postgres._damage import NEWEST_OF_HEAD, ORPHANS
from context_core_postgres._session import Session
from context_core_postgres._write import BEGIN, COMMIT

_ADRIFT: Final = f"""
    SELECT workflow_id, version, newest FROM (
        SELECT workflow_id, version, {NEWEST_OF_HEAD} AS newest FROM our.workflow_context AS head) AS standing
    WHERE version IS DISTINCT FROM newest ORDER BY workflow_id"""
_SAYS_ELSE: Final = f"""
    SELECT head.workflow_id, head.version
    FROM our.workflow_context AS head JOIN our.workflow_context_versions AS stored USING (workflow_id, version)
    WHERE head.version = {NEWEST_OF_HEAD} AND ({
    " OR ".join(f"head.{each} IS DISTINCT FROM stored.{each}" for each in RECORD_COLUMNS if each != "created_at")
})
    ORDER BY workflow_id"""
_FOLLOWING: Final = [column for column in RECORD_COLUMNS if column != "created_at"]
_NEWEST: Final = _history.with_bases("""
    (SELECT workflow_id, version FROM our.workflow_context_versions
    WHERE workflow_id = %s ORDER BY version DESC LIMIT 1)""")
_REBUILD: Final = f"""
    INSERT INTO our.workflow_context (workflow_id, version, oldest_version, created_at, {", ".join(_FOLLOWING)},
        document, document_bytes)
    SELECT workflow_id, version, oldest.version_of, oldest.created, {", ".join(_FOLLOWING)},
        CASE WHEN %s::boolean THEN convert_from(%b::bytea, 'UTF8') END, CASE WHEN NOT %s::boolean THEN %b::bytea END
    FROM our.workflow_context_versions AS stored, LATERAL (
        SELECT first.version AS version_of, first.created_at AS created FROM our.workflow_context_versions AS first
        WHERE first.workflow_id = stored.workflow_id ORDER BY first.version LIMIT 1) AS oldest
    WHERE workflow_id = %s AND version = %s
    ON CONFLICT (workflow_id) DO UPDATE SET version = excluded.version, document = excluded.document,
        document_bytes = excluded.document_bytes, {", ".join(f"{each} = excluded.{each}" for each in _FOLLOWING)}"""
_APPEND: Final = f"""
    INSERT INTO our.workflow_context_versions (workflow_id, version, {", ".join(RECORD_COLUMNS)}, document)
    SELECT workflow_id, version, {", ".join(RECORD_COLUMNS)}, coalesce(convert_to(document, 'UTF8'), document_bytes)
    FROM our.workflow_context WHERE workflow_id = %s ON CONFLICT (workflow_id, version) DO NOTHING"""
_LOCK: Final = "SELECT version FROM our.workflow_context WHERE workflow_id = %s FOR UPDATE"


def plan(session: Session, _: None) -> list[RepairStep]:
    """Name what a repair does, in an order in which it can be done."""
    steps = [RepairStep(workflow_id=None, version=None, action=f"restore {name}") for name in _schema.missing(session)]
    steps += [_rebuilding(*orphan) for orphan in session.execute(ORPHANS).fetchall()]
    for workflow_id, version, newest in session.execute(_ADRIFT).fetchall():
        if newest is not None and newest > version:
            steps.append(_rebuilding(workflow_id, newest))
        else:
            action = "write this version from the current state"
            steps.append(RepairStep(workflow_id=workflow_id, version=version, action=action))
    steps += [_rebuilding(*else_) for else_ in session.execute(_SAYS_ELSE).fetchall()]
    return steps


def _rebuilding(workflow_id: str, version: int) -> RepairStep:
    action = "rebuild the current state from this version"
    return RepairStep(workflow_id=workflow_id, version=version, action=action)


def mend(session: Session, step: RepairStep) -> RepairStep:
    """Do one step, in a transaction, and return what was done, or why it could not be.

    What others have mended or deleted meanwhile is left as it is.
    """
    problem = None
    session.execute(BEGIN)
    session.execute(_LOCK, (step.workflow_id,))
    if step.workflow_id is None:
        problem = _schema.restore(session, step.action.removeprefix("restore "))
    elif step.action.startswith("rebuild"):
        _rebuild(session, step.workflow_id)
    else:
        session.execute(_APPEND, (step.workflow_id,))
    session.has_sent_commit = True
    session.execute(COMMIT)
    return step if problem is None else attrs.evolve(step, action=problem)


def _rebuild(session: Session, workflow_id: Any) -> None:
    rows = session.execute(_NEWEST, (workflow_id,)).fetchall()
    if not rows:
        return
    newest = max(rows, key=lambda row: row[1])
    try:
        document, save_id = _history.newest_of_each(rows)[0].document, newest[4]
    except CorruptDocumentError:
        document, save_id = newest[3], newest[4]  # no load reads it; earlier versions can be rolled back to again
    is_text = save_id is None and b"\0" not in document and _is_utf8(document)
    session.execute(_REBUILD, (is_text, document, is_text, document, workflow_id, newest[1]))


def _is_utf8(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True

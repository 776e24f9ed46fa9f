"""Tables of the user that refer to ours by foreign keys."""

import pytest

from context_core import ContextReferencedError, Delete, Save, WorkflowContext


def a_context(workflow_id):
    return WorkflowContext(workflow_id, 1, 1, "f", "w")


@pytest.mark.promise("ER01", "ER02", "BA01")
@pytest.mark.parametrize("action", ["RESTRICT", "NO ACTION", "NO ACTION DEFERRABLE INITIALLY DEFERRED"])
def test_a_deletion_that_a_foreign_key_refuses_changes_nothing(store, schema, postgres_server, action):
    """The error names the table that refers to the workflow; a batch is refused as a whole."""
    store.save_context(a_context("w"))
    postgres_server.sql(
        f'CREATE TABLE "{schema}".reviews (w text REFERENCES "{schema}".workflow_context(workflow_id) ON DELETE {action})'
    )
    postgres_server.sql(f"INSERT INTO \"{schema}\".reviews VALUES ('w')")
    for refused in (lambda: store.delete_context("w"), lambda: store.batch([Save(a_context("new")), Delete("w")])):
        with pytest.raises(ContextReferencedError, match="'reviews'") as caught:
            refused()
        assert caught.value.table == "reviews"
    assert store.context_exists("w")
    assert not store.context_exists("new")
    postgres_server.sql(f'DELETE FROM "{schema}".reviews')
    assert store.delete_context("w")


def test_a_deletion_cascades_to_the_users_rows(store, schema, postgres_server):
    """As the foreign key says."""
    store.save_context(a_context("w"))
    postgres_server.sql(
        f'CREATE TABLE "{schema}".reviews (w text REFERENCES "{schema}".workflow_context(workflow_id) ON DELETE CASCADE)'
    )
    postgres_server.sql(f"INSERT INTO \"{schema}\".reviews VALUES ('w')")
    assert store.delete_context("w")
    assert postgres_server.sql(f'SELECT count(*) FROM "{schema}".reviews') == [(0,)]

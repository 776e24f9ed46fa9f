"""Laws of what a driver must leave alone in the process that uses it."""

from context_core_conformance.promises import promise
from context_core_conformance.racing import in_processes
from context_core_conformance.subject import Subject
from context_core_conformance.workers.settings_snapshot import changed_by_a_store


class ProcessSettingsLaws:
    @promise("ER09")
    def test_a_store_changes_no_setting_of_its_process(self, subject: Subject) -> None:
        """In a new process: importing the driver, opening, using and closing a store leave every setting as it was.

        Logging, warning filters, signal handlers, hooks, locale, environment and the like belong to the program.
        """
        (changed,) = in_processes(1, changed_by_a_store, subject.url)
        assert changed == {}

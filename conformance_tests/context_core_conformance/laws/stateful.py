"""Laws of whole lives: any sequence of operations leaves a store as the model says.

The machine in `context_core_conformance.stateful.machine` invents 40 sequences of 40 steps. The environment variable
CONTEXT_CORE_TEST_EXAMPLES asks for more: ``CONTEXT_CORE_TEST_EXAMPLES=2000 pytest -k stateful --timeout 0`` is the deep
run. All other settings, a derandomized run for one, are those of the hypothesis profile in force. A failure prints the
shortest sequence that breaks the law, as a program.
"""

import os
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from context_core_conformance.promises import promise
from context_core_conformance.stateful.machine import StoreMachine
from context_core_conformance.subject import Subject

EXAMPLES_VARIABLE: Final = "CONTEXT_CORE_TEST_EXAMPLES"
STEPS: Final = 40


class StatefulLaws:
    @promise(
        *(
            "RT11",
            "RT12",
            "RT13",
            "VE01",
            "VE02",
            "VE03",
            "VE04",
            "VE05",
            "VE06",
            "VE07",
            "VE08",
            "VE09",
            "VE10",
            "VE12",
        ),
        *("CA01", "CA02", "CA06", "CA07", "CA08", "ID01", "ID02", "ID04", "DE02", "DE03", "DE05"),
        *("BA01", "BA02", "BA03", "BA06", "BA08", "QU01", "QU02", "QU09", "QU10", "PA01", "PA02", "PA05"),
        *("CO04", "ER02", "ER06", "TI02", "RE01", "RE02", "MO01"),
    )
    def test_stateful_lives_agree_with_the_model(self, subject: Subject) -> None:
        """Saves, updates, batches, rollbacks, forks, deletes, prunes, moves and reopenings, in any order."""
        run_state_machine_as_test(
            lambda: StoreMachine(subject),  # type: ignore[arg-type]  # its documentation takes any such callable
            settings=settings(
                max_examples=int(os.environ.get(EXAMPLES_VARIABLE, "40")),
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

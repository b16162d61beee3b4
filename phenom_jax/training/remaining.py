"""What is left of a sweep to train."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from phenom_jax.device.work import Work
from phenom_jax.sweep.plan import Program


class Remaining:
    """The run-steps still to train at the pace of the program under way: those of a slower one count for more."""

    def __init__(self, work: Work, program: Program, over: Callable[[str], bool]):
        """Counts the runs that are not `over` of this program and of those after it."""
        steps = work.experiment.steps
        self._steps = {run.id: steps(run.values) for run in program.runs}
        self._open = sum(self._steps[run.id] for run in program.runs if not over(run.id))
        self._later = sum(
            _cost(later) / (_cost(program) or 1.0) * sum(steps(run.values) for run in later.runs if not over(run.id))
            for later in work.plan.programs[work.plan.programs.index(program) + 1 :]
        )
        self._leave_early = work.experiment.done is not None
        self._taken = self._allowed = 0

    def end(self, run_ids: Sequence[str], taken: Sequence[int]) -> None:
        """Notes that runs have ended, after so many steps."""
        allowed = sum(self._steps[run_id] for run_id in run_ids)
        self._open, self._allowed, self._taken = self._open - allowed, self._allowed + allowed, self._taken + sum(taken)

    def run_steps(self, reached: int) -> tuple[float | None, float]:
        """Returns the least, if runs go on to end as early as those before (None if none has), and the most.

        Args:
          reached: steps that runs under way have taken.
        """
        most = self._open - reached + self._later
        if not self._leave_early:
            return most, most
        if not self._allowed:
            return None, most
        share = self._taken / self._allowed
        return max(0.0, share * self._open - reached) + share * self._later, most


def _cost(program: Program) -> float:
    """Returns the FLOPs of a run-step, its looks among them."""
    return program.flops / max(program.run_steps, 1)

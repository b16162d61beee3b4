"""The status of a run."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """What a run is; a lane without a run is waiting. Results and texts have the lower-case name, `str(status)`."""

    WAITING = 0
    RUNNING = 1
    FINISHED = 2
    DONE = 3
    DIVERGED = 4
    FAILED = 5

    def __str__(self) -> str:
        return self.name.lower()


MEANINGS = {
    "waiting": "not started",
    "running": "partial curves",
    "finished": "reached its last step",
    "done": "met the experiment's done predicate before its last step",
    "diverged": "a metric became NaN or infinite",
    "failed": "ended by an error, see reason",
}
STATUSES = tuple(map(str, Status))
ENDED = ("finished", "done")  # well
OVER = (*ENDED, "diverged", "failed")

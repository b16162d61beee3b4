"""How far a training is: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import collections
import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

WINDOW = 30.0  # seconds over which the rate is taken


class Terminal(Console):
    """A console whose reader may go away and whose disk may be full: printing never ends a training."""

    def print(self, *objects: Any, **style: Any) -> None:
        with contextlib.suppress(OSError):
            super().print(*objects, **style)

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python flushes at its end


class Progress:
    """Shows runs finished, live, waiting and diverged, run-steps per second and the time left.

    Args:
      total_runs: of the sweep, those finished before included.
      console: where to; standard output by default.
      every: seconds between plain lines where the console is no terminal.
      clock: in seconds.
    """

    def __init__(
        self,
        total_runs: int,
        console: Console | None = None,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total_runs = total_runs
        self.console = console or Console()
        self.every = every
        self.clock = clock
        self.text = ""
        self.printed = ""
        self.left: tuple[float | None, float] = (None, 0.0)
        self.finished = 0
        self.seen: collections.deque[tuple[float, int]] = collections.deque()
        self.program = (1, 1)
        self.printed_at = -float("inf")
        self.live = Live(get_renderable=self._line, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()
        if self.text != self.printed:
            self._print(self.text)

    def update(
        self,
        finished: int,
        live: int,
        waiting: int,
        diverged: int,
        steps_done: int,
        left: tuple[float | None, float],
        program: tuple[int, int] = (1, 1),
    ) -> None:
        """Takes the state at a chunk end.

        Args:
          finished: runs that are over, diverged ones among them.
          steps_done: run-steps trained.
          left: run-steps still to train, at this program's pace: the least, None where that is unknown, and the most.
          program: which of how many, from 1.
        """
        now = self.clock()
        if program != self.program:  # what was compiled and probed in between is no pace
            self.program = program
            self.seen.clear()
        self.left, self.finished = left, finished
        self.seen.append((now, steps_done))
        while len(self.seen) > 2 and self.seen[0][0] < now - WINDOW:
            self.seen.popleft()
        parts = [f"{finished} of {self.total_runs} runs done", f"{live} live", f"{waiting} waiting"]
        parts += [f"{diverged} diverged", *self._pace()]
        if program[1] > 1:
            parts.append(f"program {program[0]} of {program[1]}")
        self.text = ", ".join(parts)
        if not self.console.is_terminal and now - self.printed_at >= self.every:
            self.printed, self.printed_at = self.text, now
            self._print(self.text)

    def note(self, text: str) -> None:
        """Prints a line above the live one."""
        self._print(text)

    def _pace(self) -> list[str]:
        (start, steps_then), (now, steps_now) = self.seen[0], self.seen[-1]
        if now <= start or steps_now <= steps_then:
            return []
        rate = (steps_now - steps_then) / (now - start)
        least, most = self.left
        longest = _duration(most / rate)
        time_left = f"at most {longest}" if least is None else longest
        if least is not None and (shortest := _duration(least / rate)) != longest:
            time_left = f"{shortest} to {longest}"
        return [f"{rate:,.0f} run-steps/s", f"{time_left} left"]

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _line(self) -> Group:
        return Group(Text(self.text), ProgressBar(total=max(1, self.total_runs), completed=self.finished, width=60))


def _duration(seconds: float) -> str:
    """Returns 1:02:03, or 2:03 below an hour."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"

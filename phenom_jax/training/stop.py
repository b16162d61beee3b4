"""A request to stop, made by a signal or by the training itself: honoured at the next chunk end, elsewhere at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
STANDARD_OUTPUT = 1


class Stop:
    """While entered, the first signal sets `requested`; a second Ctrl-C raises KeyboardInterrupt at once.

    On another thread than the main one no signal comes, which alone gets them.

    Attributes:
      failure: whether going on by itself, as after a signal, is not what is wanted.
    """

    def __init__(self) -> None:
        self._why: str | None = None
        self.failure = False

    @property
    def requested(self) -> str | None:
        """The name of the signal that came or what else asked for it first, or None."""
        return self._why

    def __enter__(self) -> Stop:
        numbers = SIGNALS if threading.current_thread() is threading.main_thread() else ()
        self._before = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def request(self, why: str, failure: bool = False) -> None:
        """Asks to stop, unless that was asked before."""
        if not self._why:
            self._why, self.failure = why, failure

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)


def pass_on(name: str) -> None:
    """Gives a signal that a Stop took to those who would have had it, but for Ctrl-C."""
    if name != signal.SIGINT.name and name in signal.Signals.__members__:
        signal.raise_signal(signal.Signals[name])


@contextlib.contextmanager
def leaving_at_once(code: int, farewell: str) -> Iterator[None]:
    """While entered, a signal ends the process at once with this exit code and this last line.

    For where a kill loses nothing. An exception instead could be lost in a callback, or end in tracebacks of threads.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the reader is gone, or the signal came while printing
            sys.stdout.flush()
        with contextlib.suppress(OSError):
            os.write(STANDARD_OUTPUT, f"stopped by {signal.Signals(number).name}, {farewell}\n".encode())
        os._exit(code)

    before = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

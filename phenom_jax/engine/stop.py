"""A request to stop, made by a signal or by the training itself and honoured at the next chunk end."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stop:
    """While entered, the first signal sets `requested`; a second Ctrl-C raises KeyboardInterrupt at once.

    Attributes:
      requested: the name of the signal that came or what else asked for it first, or None.
      failure: whether going on by itself, as after a signal, is not what is wanted.
    """

    def __init__(self) -> None:
        self.requested: str | None = None
        self.failure = False

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def request(self, why: str, failure: bool = False) -> None:
        """Asks to stop, unless that was asked before."""
        if not self.requested:
            self.requested, self.failure = why, failure

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)

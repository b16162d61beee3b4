"""A request to stop, made by a signal and honoured at the next chunk end."""

from __future__ import annotations

import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


class Stop:
    """While entered, the first signal sets `requested`; a second Ctrl-C raises KeyboardInterrupt at once.

    Attributes:
      requested: the name of the signal that came, or None.
    """

    def __init__(self) -> None:
        self.requested: str | None = None

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = self.requested or signal.Signals(number).name

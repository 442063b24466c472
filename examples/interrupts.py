"""Ctrl-C that waits for the end of a batch, when all that a run is made of belongs together and can be saved."""

import signal


class Interrupts:
    """`with interrupts:` Ctrl-C and SIGTERM do not end the run: `asked` tells of them. A second Ctrl-C does not wait."""

    asked = False

    def __enter__(self):
        self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, number, frame):
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

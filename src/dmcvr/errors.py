"""The errors that a person is meant to read, and what a program exits with after each."""

import errno
import signal

#: The system's numbers for a place that takes no more: full, over a quota, read-only, a file too large.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence: what was expected, what came, what to do. The command line prints it
    and exits with `exit_status`.
    """

    exit_status = 2


class NoHeartError(InputError):
    """The pictures were read, and show no heart: nothing of them could be a result."""

    exit_status = 3


class OutputError(InputError):
    """What was asked for cannot be written there: no right to, no such place, or too little room."""

    exit_status = 4


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a batch system that ends a job, with a sentence that says what is left and how to go on.

    A program exits with 128 and the signal's number, as shells have it: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, told: str = "", number: int = signal.SIGINT) -> None:
        super().__init__(told or "interrupted, nothing was written.")
        self.told, self.number = told, int(number)

    @property
    def exit_status(self) -> int:
        """As a program ends."""
        return 128 + self.number

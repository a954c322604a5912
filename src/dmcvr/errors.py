"""The errors that a person is meant to read."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence: what was expected, what came, what to do. The command line prints it
    and exits with `exit_status`.
    """

    exit_status = 2


class NoHeartError(InputError):
    """The pictures were read, and show no heart: nothing of them could be a result."""

    exit_status = 3

"""The one error that a person is meant to read."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence: what was expected, what came, what to do. The command line prints it
    and exits with status 2.
    """

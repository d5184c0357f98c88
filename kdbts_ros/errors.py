"""The one exception a user is meant to read, and any other in one line."""


class UserError(ValueError):
    """One sentence that names what is wrong and what cures it.

    Commands print it and exit with code 2; the node counts a drop or fails ``configure`` with it.
    """


def in_one_line(error: Exception) -> str:
    """Kind and words of an error nobody foresaw, for the middle of a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

"""The one exception a user is meant to read."""


class UserError(ValueError):
    """One sentence that names what is wrong and what cures it.

    Commands print it and exit with code 2; the node counts a drop or fails ``configure`` with it.
    """

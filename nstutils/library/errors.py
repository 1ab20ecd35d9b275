"""What a reader can mend."""


class UserError(ValueError):
    """What came cannot be used: one sentence that says what came, what was wanted and what to do."""

"""What ends a run early or marks it as failed, each with one line for the user."""


class BadInput(Exception):
    """Data, tokenizer, preset or output that cannot be used: exit status 2."""


class OverBudget(Exception):
    """A limit of the challenge was not kept: exit status 1."""

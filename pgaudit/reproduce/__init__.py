"""Re-running a submission: what to run (``plan``), in the sandbox, watched from outside (``supervise``), weighed from
outside (``weigh``), written down as it goes (``ledger``), and what that says of the claims (``statistics``, ``outcome``).
"""

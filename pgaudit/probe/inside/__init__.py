"""Runs inside the sandbox, beside the submission: the host that stands in for eight GPUs, and the recorder."""

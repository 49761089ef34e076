"""Where submitted code runs, when it has to run: no network, nothing to write but one folder, bounded in all it can use.

``box`` says what a program may see and use, the backends turn that into a command line, ``finding`` picks one that works
on this machine. Nothing here starts a submission; ``pgaudit.reproduce.supervise`` does.
"""

from pgaudit.sandbox.box import Backend, Box, Limits, Mount
from pgaudit.sandbox.finding import SandboxUnavailable, find

__all__ = ["Backend", "Box", "Limits", "Mount", "SandboxUnavailable", "find"]

"""pgaudit: the referee for OpenAI's Parameter Golf.

One direction, no step reaches back::

    collect ──> Submission ──> Evidence ──> Findings ──> Verdict ──> output
    (folder,    (files of one  (scripts, runs,  (rules look   (per folder)  (terminal,
     git, URL)   record folder) logs, claims)    at evidence)                JSON, Markdown)
"""

__version__ = "0.1.0"

HOMEPAGE = "https://github.com/pgaudit/pgaudit"
"""Where the project is published: reports link to its rules."""

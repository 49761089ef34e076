"""A report as one review of a pull request on GitHub.

One direction: ``reading`` (JSON report -> Report) -> ``places`` (which lines of the diff can be commented on) -> ``compose``
(what the review says, in the words of ``text``) -> ``posting`` (what GitHub shows -> what it should show) through ``github``
(the only module that talks to the network).
"""

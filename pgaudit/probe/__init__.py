"""Measuring causality and normalisation by running a submission's own evaluation, shrunk, on a CPU.

``text`` makes the data, ``rewrite`` the script that records its scores, ``inside`` runs it in the sandbox (``runner``) on one
text after another (``experiment``); ``scores`` finds the vector behind the printed metric, ``judge`` says what the changes
between the texts prove.
"""

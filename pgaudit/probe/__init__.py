"""Measuring causality and normalisation by running a submission's own evaluation, shrunken, on a CPU. In the order of flow:

- before a run: ``text`` makes the data, ``experiment`` the texts that differ from it, ``shrink`` says what becomes of each size,
  ``rewrite`` (with ``fstrings``) makes the script that records what it sums;
- the run: ``runner`` starts ``inside`` in the sandbox, where the host stands in for eight GPUs beside the submission;
- after it: ``reading`` takes the ``record`` back, ``scores`` finds the vector behind the printed metric, ``judge`` says what
  the changes between texts prove, ``report`` puts it beside what reading found;
- ``probe`` does all of it for one submission, in as many rounds as it takes.
"""

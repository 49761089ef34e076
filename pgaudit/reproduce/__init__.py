"""Re-running a submission, and saying which of its claims hold. One direction of flow; in its order:

**What is asked and what is there.** ``reference`` writes the bundled trainer as a submission where no other is named.
``interpreter`` (the Python and what it lacks), ``hardware`` (free GPUs) and ``data`` (shards: counted, hashed; ``shards`` reads and
writes them, ``byte_total`` counts the bytes of their text) look at one machine, ``inputs`` at the other inputs that were asked for.

**The plan.** ``plan`` is all that will be run, and has a digest. ``machine`` makes it for this machine and finds a sandbox
(``pgaudit.sandbox``); ``stored`` turns it into JSON and back.

**One seed.** ``runner`` gives a seed its folder and runs it: ``supervise`` starts it, watches it on a clock of its own and ends it,
``stages`` follows its output, ``sampling`` its GPUs; ``reads`` tells which shipped files it read, ``weigh`` what it wrote. All of it is a
``result``, with the losses by step of ``curves``. ``ledger`` keeps it. ``calibration`` runs the reference trainer the same way.

**Many seeds.** ``jobs`` takes submissions through plan, place and judgement. Places: this machine (``jobs.Here``) or a Ray cluster
(``cluster`` knows its nodes, ``dispatch`` the seeds on them, ``node`` is what happens there). ``emit`` writes tasks for Slurm and
SkyPilot instead, ``gathering`` reads what they left.

**What it says.** A ``check`` is one claim beside what was measured. ``outcome`` makes those of every re-run (score, size, times),
``significance`` the step over the record, ``divisor`` the byte count, ``swaps`` those of other inputs; ``statistics`` has the tests, and
``curves`` lays losses over the submitted log. ``report`` makes it a report of the usual kind; ``pgaudit.output`` shows it.
"""

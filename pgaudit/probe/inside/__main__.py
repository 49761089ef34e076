"""``python -m pgaudit.probe.inside PLAN.json``: a process that has torch ready and forks for every run of the plan."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pgaudit.probe.inside import compilation
from pgaudit.probe.inside.host import Host
from pgaudit.probe.inside.recorder import Recorder
from pgaudit.probe.shrink import Shrinker

PAUSE = 0.02


class _Tee:
    """Standard output that the recorder reads along."""

    def __init__(self, stream: Any, recorder: Recorder) -> None:
        self.stream, self.recorder, self.rest = stream, recorder, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.recorder.says(line)
        return int(self.stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def main(plan: dict[str, Any]) -> None:
    """Run every folder of the plan, some at a time."""
    torch.set_num_threads(1)
    compilation.leave_out()
    torch.zeros(2, 2) @ torch.zeros(2, 2)
    waiting, running = list(plan["runs"]), dict[int, tuple[str, float]]()
    while waiting or running:
        while waiting and len(running) < plan["jobs"]:
            name = waiting.pop(0)
            pid = os.fork()
            if pid == 0:
                _child(Path(name), plan)
            running[pid] = name, time.monotonic()
        for pid, (_, began) in list(running.items()):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if ended:
                del running[pid]
            elif time.monotonic() - began > plan["seconds"]:
                os.killpg(pid, signal.SIGKILL)
        time.sleep(PAUSE)


def _child(folder: Path, plan: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(folder)
    here = Path.cwd()
    log = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    began, ending = time.monotonic(), "finished"
    recorder = Recorder(Shrinker(frozenset(plan["kept"])))
    sys.stdout = _Tee(os.fdopen(1, "w", buffering=1), recorder)
    host = Host(here, recorder, plan["environment"])
    try:
        host.run(here / plan["script"])
    except SystemExit as end:
        ending = "finished" if not end.code else f"exit status {end.code}"
    except BaseException as problem:  # noqa: BLE001 -- whatever it is, it is how the run ended
        traceback.print_exc()
        ending = f"{type(problem).__name__}: {problem}"[:500]
    recorder.save(
        here,
        ending=ending,
        seconds=time.monotonic() - began,
        processor_seconds=time.process_time(),
        changes=[asdict(change) for change in recorder.shrinker.changes.values()],
        substituted=sorted(host.substituted),
    )
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main(json.loads(Path(sys.argv[1]).read_text("utf-8")))

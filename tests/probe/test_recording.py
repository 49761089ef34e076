"""A recorded run prints what an unrecorded one prints, and leaves the score of every token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pgaudit import policy
from pgaudit.evidence.evidence import Evidence
from pgaudit.probe import runner, scores
from pgaudit.probe import text as texts
from pgaudit.probe.experiment import BASE, PLAIN
from pgaudit.probe.shrink import VALIDATION
from pgaudit.reproduce import interpreter
from tests.enclosed import sandbox_or_skip
from tests.support import submission

pytest.importorskip("torch")
pytest.importorskip("sentencepiece")

SCRIPT = """
import glob, math, os, time
import numpy as np
import torch, torch.nn.functional as F
from torch import nn

class Hyperparameters:
    dim = int(os.environ.get("MODEL_DIM", 512))
    steps = int(os.environ.get("ITERATIONS", "20000"))
    length = int(os.environ.get("TRAIN_SEQ_LEN", 2048))
    batch = int(os.environ.get("TRAIN_BATCH_TOKENS", 524_288))

def load(kind):
    files = sorted(glob.glob(os.path.join(os.environ["DATA_PATH"], f"fineweb_{kind}_*.bin")))
    parts = [np.fromfile(file, dtype="<u2", offset=1024).astype(np.int64) for file in files]
    return torch.from_numpy(np.concatenate(parts))

class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embedding = nn.Embedding(1024, width)
        self.head = nn.Linear(width, 1024)
    def forward(self, ids, targets):
        return F.cross_entropy(self.head(self.embedding(ids)).view(-1, 1024), targets.reshape(-1), reduction="mean")

args = Hyperparameters()
torch.manual_seed(1337)
model = torch.compile(Model(args.dim).to("cuda"))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
train, val = load("train"), load("val")
began = time.perf_counter()
for step in range(args.steps):
    part = train[step * args.batch : (step + 1) * args.batch + 1]
    loss = model(part[:-1], part[1:])
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
total = torch.zeros((), device="cuda", dtype=torch.float64)
count = 0
with torch.inference_mode():
    for start in range(0, len(val) - 1, args.length):
        targets = val[start + 1 : start + args.length + 1]
        total += model(val[start : start + len(targets)], targets).to(torch.float64) * len(targets)
        count += len(targets)
value = (total / count).item()
print(f"final_exact val_loss:{value:.8f} val_bpb:{value / math.log(2):.8f} eval_time:{1000 * (time.perf_counter() - began):.0f}ms")
"""


def test_recording_changes_no_digit(tmp_path: Path) -> None:
    backend = sandbox_or_skip()
    evidence = Evidence(submission(SCRIPT).submissions[0], policy.load().edition_at(None))
    text = texts.make(1024)
    python = interpreter.ask(None, evidence.submission, "")
    runs = {BASE: text.validation, PLAIN: text.validation}
    records = runner.run(evidence, text, runs, runner.Settings({}, seconds=60), backend, python, tmp_path / "runs")
    recorded, plain = records[BASE], records[PLAIN]
    assert recorded.ending == plain.ending == "finished"
    assert [line for _, line in recorded.printed] == [line for _, line in plain.printed]
    assert plain.calls == ()
    assert {("MODEL_DIM", 64), ("ITERATIONS", 8)} <= {(change["name"], change["new"]) for change in recorded.changes}

    found = scores.claimed_scores(recorded, "final_exact", text.bytes)
    assert found is not None
    assert found.complete
    assert len(found.values) == VALIDATION
    assert found.metric.val_loss is not None
    assert np.mean(found.values) == pytest.approx(found.metric.val_loss.value, rel=1e-6)

"""Numbers and texts that no honest file has: whatever is in a submission, no rule crashes."""

from __future__ import annotations

import pytest

from pgaudit import policy, rulebook
from pgaudit.audit import audit
from pgaudit.report import Outcome
from tests.support import submission

BOOK = rulebook.load()
SCRIPT = "import torch\nprint(torch.zeros(3))\n"

LOGS = {
    "infinite time": "step:1/2 train_loss:3.0 train_time:1e999ms\nfinal val_loss:2.0 val_bpb:1.2 eval_time:1e999ms\ntrain_time:5s\n",
    "huge scores": "final val_loss:1.0e308 val_bpb:1.7e308\n",
    "tiny ratio": "val_tokens: 62021632\nfinal val_loss:1.0e10 val_bpb:1.0e-305\n",
    "many digits": f"val_tokens: {'9' * 400}\nCode size: {'8' * 400} bytes\nfinal val_loss:2.0 val_bpb:1.2\n",
    "nothing": "",
    "one line": "x" * 100_000,
    "nul bytes": "final val_bpb:1.2\0\0\n",
    "brackets": "((((" * 5_000 + " val_bpb:1.2",
}
CLAIMS = {
    "infinite": '{"val_bpb": 1e999, "val_loss": -1e999}',
    "not a number": '{"val_bpb": NaN, "seed_results": {"1": {"val_bpb": NaN}}}',
    "other types": '{"val_bpb": [1.2], "name": {"a": 1}, "seeds": "42", "techniques": 7, "bytes_code": true}',
    "long name": '{"val_bpb": 1.2, "name": "' + "slot " * 20_000 + '"}',
    "many digits": '{"val_bpb": 1.2, "bytes_total": ' + "9" * 400 + "}",
}
READMES = {
    "open array": "```bash\nA=(\n" + " B=1\n" * 5_000 + "```\n",
    "blanks": "# 1.2345" + " " * 20_000 + "x\n",
    "table": "|" * 5_000 + "\n|-|\n|a|\n",
    "headings": "# a-b c\n" * 3_000,
}


def crashed(**files: str) -> list[str]:
    """The rules that crashed on a folder with these files."""
    content = {path.replace("__", "."): text.encode() for path, text in files.items()}
    (report,) = audit(submission(SCRIPT, content), BOOK, policy.load()).submissions
    return [rule for rule, outcome in report.outcomes.items() if outcome is Outcome.CRASHED]


@pytest.mark.parametrize("text", LOGS.values(), ids=LOGS)
def test_logs(text: str) -> None:
    assert crashed(train__log=text, submission__json='{"val_bpb": 1.2}') == []
    assert crashed(a__log=text, b__log=text.replace("1.7e308", "1.0e308")) == []


@pytest.mark.parametrize("text", CLAIMS.values(), ids=CLAIMS)
def test_claims(text: str) -> None:
    assert crashed(submission__json=text, train__log="seed:1\nfinal val_loss:2.0 val_bpb:1.2\n") == []


@pytest.mark.parametrize("text", READMES.values(), ids=READMES)
def test_readmes(text: str) -> None:
    assert crashed(README__md=text, submission__json='{"val_bpb": 1.2}', run__sh=text) == []

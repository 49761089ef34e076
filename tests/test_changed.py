"""The pre-commit hooks, in a repository, as pre-commit calls them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import CHECKOUT, FOLDER, run_pgaudit, write_complete

HOOKS = {
    hook["id"]: shlex.split(hook["entry"])[1:]
    for hook in yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())
}
OTHER = FOLDER.replace("Example", "Other")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clean record folder, and one whose submission.json is broken."""
    write_complete(tmp_path / FOLDER)
    (write_complete(tmp_path / OTHER) / "submission.json").write_text("{")
    return tmp_path


@pytest.mark.parametrize(
    "files, status",
    [
        ([f"{FOLDER}/train_gpt.py", f"{FOLDER}/README.md"], 0),
        ([f"{OTHER}/README.md"], 10),
        ([f"{FOLDER}/README.md", f"{OTHER}/README.md"], 10),
        (["README.md"], 0),
    ],
    ids=["clean", "broken", "both", "elsewhere"],
)
def test_the_folders_that_changed_are_scanned(repository: Path, files: list[str], status: int) -> None:
    done = run_pgaudit(*HOOKS["pgaudit-scan"], *files, cwd=repository)
    assert done.status == status
    assert done.out.count("record track") == len({Path(file).parent for file in files if "/" in file})


def test_a_hook_takes_arguments(repository: Path) -> None:
    done = run_pgaudit(*HOOKS["pgaudit-scan"], "--fail-on=never", f"{OTHER}/README.md", cwd=repository)
    assert done.status == 0


def test_what_a_submission_lacks_is_said(repository: Path) -> None:
    file = repository / FOLDER / "submission.json"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "bytes_code" not in line))
    done = run_pgaudit(*HOOKS["pgaudit-fix"], f"{FOLDER}/submission.json", cwd=repository)
    assert done.status == 10
    assert '+  "bytes_code"' in done.out


def test_a_folder_without_anything_to_repair_hides_no_other(repository: Path) -> None:
    (repository / OTHER / "submission.json").write_text("{}")
    data = f"{FOLDER.replace('Example', 'Data')}/data.bin"
    (repository / data).parent.mkdir()
    (repository / data).write_bytes(b"0")
    done = run_pgaudit(*HOOKS["pgaudit-fix"], data, f"{OTHER}/submission.json", cwd=repository)
    assert (done.status, f"+++ b/{OTHER}/submission.json" in done.out) == (10, True)


def test_pre_commit_takes_the_manifest() -> None:
    manifest = CHECKOUT / ".pre-commit-hooks.yaml"
    done = subprocess.run([sys.executable, "-m", "pre_commit", "validate-manifest", manifest], check=False)
    assert done.returncode == 0

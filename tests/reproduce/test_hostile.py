"""Submissions that lie, break or attack: each ends in the right result, with nothing left running and nothing written elsewhere."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import jsonschema
import pytest

from pgaudit import output
from pgaudit.reproduce.supervise import Bounds, Ending, supervise
from pgaudit.sandbox import Backend
from tests.reproduce.support import MARKER, SCORES, Done, commands, listing, reproduce, still_running, write_folder
from tests.support import CHECKOUT, run_pgaudit

Rerun = Callable[..., Done]


@pytest.fixture
def rerun(sandbox: Backend, tmp_path: Path) -> Rerun:
    """Write a submission and re-run it. Whatever it does, it leaves no process, and no file but below the runs."""
    runs, bystander = tmp_path / "runs", tmp_path / "bystander"
    bystander.mkdir()
    (bystander / "secret").write_text("hunter2")

    def run(*options: str, claimed: dict[int, float] | None = None, seeds: str = "42", **replaced: str) -> Done:
        folder = write_folder(tmp_path / "submission", claimed, **replaced)
        before = listing(folder)
        done = reproduce(folder, runs, *options, seeds=seeds)
        assert done.running == []
        assert listing(folder) == before
        assert listing(bystander) == {"secret": b"hunter2"}
        assert {path.name for path in tmp_path.iterdir()} == {"submission", "runs", "bystander"}
        return done

    return run


def test_an_honest_submission_holds(rerun: Rerun) -> None:
    done = rerun(seeds="42,1337,2024")
    assert done.status == 0, done.err
    assert done.run["result"] == "holds"
    assert done.folder["level"] == "re-run"
    assert done.statuses == {
        "val_bpb": "holds",
        "size": "holds",
        "training time": "not comparable",
        "evaluation time": "not comparable",
        "reported times": "holds",
    }
    assert done.run["equivalence"]["paired"]
    assert "bubblewrap" in done.run["sandbox"]
    assert done.run["enclosed"]


def test_the_document_follows_the_schema_of_the_scan(rerun: Rerun, tmp_path: Path) -> None:
    rerun()
    again = run_pgaudit("reproduce", tmp_path / "submission", "--runs", tmp_path / "runs", "--seeds", "42", "--gpus", "0", "--format", "json", "--again")  # fmt: skip
    schema = json.loads(resources.files(output).joinpath("report.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(again.out), schema, format_checker=jsonschema.FormatChecker())


def test_a_wrong_claim_fails(rerun: Rerun) -> None:
    done = rerun(seeds="42,1337,2024", claimed={seed: score - 0.02 for seed, score in SCORES.items()})
    assert done.status == 10
    assert done.statuses["val_bpb"] == "fails"
    assert done.folder["verdict"] == "defect"
    assert "reproduce/val-bpb" in {finding["rule"] for finding in done.folder["findings"]}


def test_a_wrong_claim_stops_early(rerun: Rerun) -> None:
    done = rerun("--stop-early", seeds="42,1337,2024", claimed={seed: score - 0.05 for seed, score in SCORES.items()})
    assert done.status == 10
    assert len(done.run["seeds"]) == 1
    assert done.run["stopped"].startswith("stopped early: val_bpb fails")


def test_an_oversized_artifact_fails_whatever_the_log_says(rerun: Rerun) -> None:
    done = rerun(begin='open("notes.txt", "wb").write(random.randbytes(16_100_000))')
    assert done.status == 10
    size = done.check("size")
    assert size["status"] == "fails"
    assert "notes.txt" in size["source"]
    assert any("were weighed" in remark for remark in done.run["remarks"])


def test_a_late_stop_is_ended_and_fails(rerun: Rerun) -> None:
    done = rerun("--train-limit", "0.5", begin="STEPS, PACE = 1000, 0.05")
    assert done.status == 10
    assert done.run["seeds"][0]["ending"] == "training over its time"
    assert done.statuses["training time"] == "fails"


def test_an_evaluation_without_end_is_ended(rerun: Rerun) -> None:
    done = rerun(
        "--eval-limit", "0.5", trained='print("Serialized model int8+zlib: 9 bytes", flush=True); time.sleep(600)'
    )
    assert done.status == 10
    assert done.statuses["evaluation time"] == "fails"


def test_a_crash_is_explained(rerun: Rerun) -> None:
    done = rerun(step='raise ValueError("shapes \\x1b[2J do not fit")')
    assert done.status == 4
    assert done.run["result"] == "incomplete"
    assert "ended with status 1" in done.run["seeds"][0]["explanation"]
    assert "ValueError: shapes" in done.run["seeds"][0]["explanation"]
    assert done.statuses["val_bpb"] == "not measured"


def test_a_death_by_signal_is_explained(rerun: Rerun) -> None:
    done = rerun(step="os.kill(os.getpid(), 9)")
    assert done.status == 4
    assert done.run["seeds"][0]["ending"] == "crashed"


def test_a_hang_that_ignores_being_asked_is_ended(rerun: Rerun) -> None:
    done = rerun(
        "--silence-limit", "1", step="import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(900)"
    )
    assert done.status == 4
    assert done.run["seeds"][0]["ending"] == "hang"
    assert "no output for 1 s" in done.run["seeds"][0]["explanation"]


def test_a_run_that_is_asked_to_end_may_tidy_up(rerun: Rerun) -> None:
    code = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: (print('tidied', flush=True), sys.exit(3)))\ntime.sleep(900)"
    done = rerun("--silence-limit", "1", step=code)
    assert "tidied" in done.output()
    assert done.run["seeds"][0]["ending"] == "hang"


def test_a_fork_bomb_is_ended(rerun: Rerun) -> None:
    code = "while True:\n    try:\n        os.fork()\n    except OSError:\n        pass"
    done = rerun("--max-processes", "48", step=code)
    assert done.status == 4
    seed = done.run["seeds"][0]
    assert seed["ending"] == "too many processes"
    assert seed["peak_processes"] < 60  # the kernel's limit, with the sandbox's own


def test_the_network_is_not_there(rerun: Rerun) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        port = server.getsockname()[1]
        done = rerun(begin=f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)")
        with pytest.raises(BlockingIOError):
            server.accept()
    assert done.status == 4
    assert "ConnectionRefusedError" in done.run["seeds"][0]["explanation"]


def test_names_are_not_resolved(rerun: Rerun) -> None:
    done = rerun(begin="import urllib.request; urllib.request.urlopen('http://example.com', timeout=5)")
    assert done.status == 4
    assert "URLError" in done.run["seeds"][0]["explanation"]


def test_writing_elsewhere_writes_nothing(rerun: Rerun, tmp_path: Path) -> None:
    places = [
        tmp_path / "submission/train_gpt.py",
        tmp_path / "bystander/x",
        tmp_path / "y",
        "/usr/z",
        "/etc/z",
        "/opt/z",
    ]
    code = (
        f"for place in {[str(place) for place in places]}:\n"
        "    try:\n        os.makedirs(os.path.dirname(place), exist_ok=True); open(place, 'w').write('x')\n    except OSError as e:\n        print(e)"
    )
    done = rerun(begin=code)
    # What lies below the sandbox's own /tmp could be written, there and nowhere else.
    assert done.run["result"] == "holds"
    assert not any(Path(place).exists() for place in ("/usr/z", "/etc/z", "/opt/z"))


def test_secrets_are_not_seen(rerun: Rerun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    code = (
        f"print(dict(os.environ), os.path.exists({str(tmp_path / 'bystander/secret')!r}), os.path.exists('/root/.ssh'))"
    )
    done = rerun(begin=code)
    assert "hunter2" not in done.output()
    assert "False False" in done.output()


def test_a_log_that_lies_about_its_time_fails(rerun: Rerun) -> None:
    done = rerun(begin="STEPS, PACE, CLOCK = 4, 0.6, 0.1")
    assert done.status == 10
    assert done.statuses["reported times"] == "fails"
    assert "leaves out" in done.check("reported times")["because"]


def test_a_process_that_is_left_behind_is_ended(rerun: Rerun) -> None:
    code = "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(900)\n    os._exit(0)"
    assert rerun(trained=code).run["result"] == "holds"


def test_what_is_left_is_counted_without_the_sandbox(tmp_path: Path) -> None:
    leave = """\
import os, time
ready, tell = os.pipe()
for name in ("bwrap", "left"):
    if os.fork() == 0:
        os.setsid()
        open("/proc/self/comm", "w").write(name)
        os.write(tell, b".")
        os.closerange(0, 9)
        time.sleep(900)
while len(told := os.read(ready, 2)) < 2:
    os.write(tell, told)
"""
    seen = supervise([sys.executable, "-c", leave], {}, tmp_path / "output", Bounds())
    assert (seen.ending, seen.left) == (Ending.FINISHED, 1)
    assert not any(leave in command for command in commands())


def test_a_run_that_changes_what_it_shipped_is_remarked(rerun: Rerun) -> None:
    hidden = "was = os.stat('README.md'); open('README.md', 'r+').write('#'); os.utime('README.md', ns=(was.st_atime_ns, was.st_mtime_ns))"
    done = rerun(trained=f"open('train_gpt.py', 'w').write('pass')\n{hidden}")
    assert any("changed files that were shipped: README.md, train_gpt.py" in remark for remark in done.run["remarks"])
    assert done.run["seeds"][0]["code_bytes"] > 500  # weighed as shipped


def test_links_and_pipes_are_not_followed(rerun: Rerun) -> None:
    code = "os.symlink('/dev/zero', 'zero.ptz'); os.mkfifo('pipe.ptz'); os.symlink('/', 'root')"
    done = rerun(trained=code)
    assert done.check("size")["source"].startswith("final_model.int8.ptz")


def test_no_score_is_no_reproduction(rerun: Rerun) -> None:
    done = rerun(begin="print('nothing to see'); sys.exit()")
    assert done.status == 4
    assert "without printing a val_bpb" in done.run["seeds"][0]["explanation"]


def test_bare_runs_are_asked_for_and_said(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission", trained="if os.fork() == 0:\n    os.setsid(); time.sleep(900)")
    done = reproduce(folder, tmp_path / "runs", "--no-sandbox-i-accept-the-risk")
    assert done.running == []
    assert not done.run["enclosed"]
    assert "this user's rights" in done.run["sandbox"]
    assert done.run["seeds"][0]["left_running"] >= 1


def test_a_container_is_ended_with_its_client(tmp_path: Path) -> None:
    running, tools = tmp_path / "running", tmp_path / "bin"
    running.mkdir()
    tools.mkdir()
    docker = f"""#!/bin/sh
case "$1" in
run)
    for word; do
        if [ "$before" = --name ]; then name=$word; fi
        before=$word
    done
    if [ "$word" = true ]; then exit 0; fi
    touch "{running}/$name" "{running}.$name"
    exec sleep 900;;
rm) rm "{running}/$3";;
esac
"""
    (tools / "docker").write_text(docker)
    (tools / "docker").chmod(0o755)
    folder, path = write_folder(tmp_path / "submission"), f"{tools}:{os.environ['PATH']}"
    options = ("--seeds", "42", "--gpus", "0", "--image", "image:1", "--silence-limit", "1", "--grace", "0.3")
    done = run_pgaudit("reproduce", folder, "--runs", tmp_path / "runs", *options, PATH=path)
    assert "no output for 1 s" in done.out, done.err
    assert list(tmp_path.glob("running.*"))
    assert not list(running.iterdir())


def test_a_scheduler_that_ends_pgaudit_ends_the_run(tmp_path: Path) -> None:
    folder, marker = write_folder(tmp_path / "submission", step="time.sleep(900)"), uuid.uuid4().hex
    command = [sys.executable, "-m", "pgaudit", "reproduce", str(folder), "--runs", str(tmp_path / "runs")]
    command += ["--gpus", "0", "--set", f"{MARKER}={marker}", "--no-sandbox-i-accept-the-risk"]
    with subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 60
            while not list(still_running(marker)) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            assert process.poll() is None
            process.terminate()
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert not list(still_running(marker))
    assert process.returncode == 130


def test_code_that_the_run_loads_is_weighed_whatever_the_script_names(rerun: Rerun, tmp_path: Path) -> None:
    folder = tmp_path / "submission"
    folder.mkdir()
    (folder / "tables.py").write_text(f"# {'x' * 3000}\n")
    (folder / "unused.py").write_text(f"# {'x' * 5000}\n")
    (folder / "counts.dat").write_bytes(b"0" * 7000)
    load = "__import__('tab' + 'les')\nopen('cou' + 'nts.dat').read()\nwords = 'unused.py'"
    done = rerun(begin=load)
    (seed,) = done.run["seeds"]
    assert seed["code_files"] == ["train_gpt.py", "tables.py"]
    assert seed["code_bytes"] == (folder / "train_gpt.py").stat().st_size + 3003
    assert seed["files_read"] == ["counts.dat"]
    assert any("counts.dat" in remark for remark in done.run["remarks"])


def test_gpus_are_sampled_while_it_runs(rerun: Rerun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "runs" / "bin"
    tools.mkdir(parents=True)
    tool = tools / "nvidia-smi"
    gpu = "0, NVIDIA H100 80GB HBM3, 4, 81559, 1980"
    loop = "while echo '4, 345, 0' && echo '70000, 1755, 99' && echo '[N/A], 1, 1' && echo '60000, 1410, 98'; do sleep 0.1; done"
    tool.write_text(f"#!/bin/sh\ncase \"$*\" in *loop*) {loop};; *) echo '{gpu}';; esac\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    done = rerun("--gpus", "1", "--launcher", "", begin="time.sleep(1.5)")
    use = done.run["seeds"][0]["gpu"]
    assert (use["peak_bytes"], use["lowest_clock_mhz"]) == (70_000 * 2**20, 1410)
    assert use["clock_mhz"] in (1410, 1582.5, 1755)
    assert done.run["hardware"] == "1 x NVIDIA H100 80GB HBM3"
    assert not any(str(tools) in command for command in commands())

"""A real Ray cluster of several nodes on this machine, with GPUs that are only counted: seeds are lost, crash and hang."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pgaudit.reproduce.ledger import NAME
from pgaudit.sandbox import Backend
from tests.reproduce.support import MARKER, SEEDS, still_running, write_folder
from tests.reproduce.test_plan import write_shard
from tests.support import CHECKOUT, Repository, Run, run_pgaudit

pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
RECORDS = "records/track_10min_16mb"
OBJECTS = 80 * 2**20
"""Ray's least object store, in bytes."""
WAIT = "while not os.path.exists(os.environ['DATA_PATH'] + '/go'): time.sleep(0.05)"


@pytest.fixture(scope="module")
def cluster(sandbox: Backend) -> Iterator[Any]:
    """A head without GPUs."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(CHECKOUT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found: Any = Cluster(initialize_head=True, head_node_args=_node(gpus=0))
        yield found
        found.shutdown()


@pytest.fixture
def nodes(cluster: Any) -> Iterator[Callable[..., list[Any]]]:
    """Adds nodes with eight GPUs each, for one test."""
    added: list[Any] = []

    def add(count: int, **more: Any) -> list[Any]:
        new = [cluster.add_node(**_node(gpus=8), **more) for _ in range(count)]
        added.extend(new)
        return new

    yield add
    for each in added:
        if each in cluster.list_all_nodes():
            cluster.remove_node(each)
    cluster.wait_for_nodes()


def _node(gpus: int) -> dict[str, Any]:
    return {"num_cpus": 2, "num_gpus": gpus, "object_store_memory": OBJECTS, "include_dashboard": False}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Shards; a file beside them is how a test speaks to what runs in the sandbox."""
    folder = tmp_path / "shards"
    folder.mkdir()
    write_shard(folder / "fineweb_train_000000.bin", 10)
    write_shard(folder / "fineweb_val_000000.bin", 7)
    return folder


def words(runs: Path, data: Path, marker: str, *options: str | Path) -> list[str]:
    """The command line; a seed takes the eight GPUs of a node and uses none."""
    base = ("reproduce", "--runs", runs, "--data", data, "--gpus", "0", "--format", "json", "--grace", "0.3")
    return [*map(str, base), "--set", f"{MARKER}={marker}", *map(str, options)]


def on(cluster: Any) -> tuple[str, ...]:
    return "--ray", cluster.address, "--ray-needs", "GPU=8"


def lines(done: Run) -> list[dict[str, Any]]:
    assert done.out, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def same(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what differs from run to run: times, memory, and where the output is."""
    (folder,) = report["submissions"]
    run = folder["reproduction"]
    for seed in run["seeds"]:
        printed = len(Path(seed["output"]).read_text().splitlines())
        for name in list(seed):
            if name not in (
                "seed",
                "ending",
                "status",
                "val_bpb",
                "val_loss",
                "code_bytes",
                "model_bytes",
                "code_files",
            ):
                del seed[name]
        seed["printed"] = printed
    for check in run["checks"]:
        if check["name"] not in ("val_bpb", "size"):
            check["claimed"] = check["measured"] = check["because"] = ""  # seconds
    run["plan"]["remarks"] = run["remarks"] = []
    return report


def ledger(runs: Path) -> list[tuple[int, int, bool]]:
    with contextlib.closing(sqlite3.connect(runs / NAME)) as connection:
        return connection.execute("SELECT run, seed, result IS NOT NULL FROM seed ORDER BY run, seed").fetchall()


def until(true: Callable[[], object]) -> None:
    while not true():
        time.sleep(0.05)


def started(err: str) -> dict[str, int]:
    """How often each seed was begun."""
    begun = [line.partition(":")[0] for line in err.splitlines() if ": started on " in line]
    return {name: begun.count(name) for name in begun}


def test_many_submissions_end_as_they_do_on_one_machine(
    cluster: Any, nodes: Callable[..., list[Any]], tmp_path: Path, data: Path
) -> None:
    nodes(2)
    clone = Repository(tmp_path / "clone")
    clone.pull_request(4, lambda path: write_folder(path / RECORDS / "2026-04-01_Good"))
    crash = "if SEED == 1337: raise ValueError('boom')"
    clone.pull_request(5, lambda path: write_folder(path / RECORDS / "2026-04-02_Crash", step=crash))
    clone.pull_request(7, lambda path: (path / "notes.txt").write_text("no record folder"))
    marker = uuid.uuid4().hex
    asked = ("--repo", clone.path, "--prs", "4,5,7,8")
    there = run_pgaudit(*words(tmp_path / "there", data, marker, *asked, *on(cluster)))
    here = run_pgaudit(*words(tmp_path / "here", data, marker, *asked))
    good, crashed, empty, absent = lines(there)
    assert (there.status, here.status) == (4, 4)
    assert [good["target"]["pr"], crashed["target"]["pr"], empty["target"]["pr"], absent["target"]["pr"]] == [
        4,
        5,
        7,
        8,
    ]
    assert good["submissions"][0]["reproduction"]["result"] == "holds"
    assert "boom" in crashed["submissions"][0]["gaps"][-1]["reason"]
    assert empty["submissions"][0]["gaps"][0]["reason"] == "refs/pull/7/head: no record folder"
    assert "no refs/pull/8/head" in absent["submissions"][0]["gaps"][0]["reason"]
    assert [same(report) for report in (good, crashed)] == [same(report) for report in lines(here)[:2]]
    # How a submission ends is its result: it is not begun again.
    assert started(there.err) == {f"pr{pr} seed {seed}": 1 for pr in (4, 5) for seed in SEEDS}
    assert ledger(tmp_path / "there") == [(run, seed, True) for run in (1, 2) for seed in sorted(SEEDS)]
    again = run_pgaudit(*words(tmp_path / "there", data, marker, *asked, *on(cluster), "--resume"))
    assert started(again.err) == {}
    assert again.out == there.out
    changed = run_pgaudit(*words(tmp_path / "there", data, "other", *asked, *on(cluster), "--resume"))
    assert changed.status == 2
    assert "no run of this plan" in changed.err


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(
        [sys.executable, "-m", "pgaudit", *command],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_seeds_of_a_node_that_dies_are_run_elsewhere(
    cluster: Any, nodes: Callable[..., list[Any]], tmp_path: Path, data: Path
) -> None:
    _, second = nodes(2)
    folder, runs, marker = write_folder(tmp_path / "submission", step=WAIT), tmp_path / "runs", uuid.uuid4().hex
    with running(words(runs, data, marker, folder, *on(cluster))) as process:
        until(lambda: len(list(runs.glob("run1/seed*/node-*/output.log"))) == 2 or process.poll() is not None)
        assert process.stderr is not None
        assert process.stdout is not None
        said: list[str] = []
        hearing = Thread(target=said.extend, args=(process.stderr,))
        hearing.start()
        cluster.remove_node(second, allow_graceful=False)
        # Not before its loss is seen: what runs there may go on for a while, and would come to its end.
        until(lambda: ": lost on " in "".join(said) or process.poll() is not None)
        (data / "go").touch()
        out = process.stdout.read()
        hearing.join()
        process.wait()
    err = "".join(said)
    there = same(json.loads(out))
    assert process.returncode == 0, err
    begun = started(err)
    assert sorted(begun.values()) == [1, 1, 2], err
    (lost,) = [name for name, count in begun.items() if count == 2]
    assert f"{lost}: lost on " in err
    assert ledger(runs) == [(1, seed, True) for seed in sorted(SEEDS)]
    here = run_pgaudit(*words(tmp_path / "here", data, marker, folder))
    assert same(json.loads(here.out)) == there
    until(lambda: not list(still_running(marker)))


def test_seeds_are_given_up_after_their_workers_died_three_times(
    cluster: Any, nodes: Callable[..., list[Any]], tmp_path: Path, data: Path
) -> None:
    nodes(1)
    folder, runs, marker = write_folder(tmp_path / "submission", step=WAIT), tmp_path / "runs", uuid.uuid4().hex
    with running([*words(runs, data, marker, folder, *on(cluster)), "--seeds", "42,1337"]) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if ": started on " in line:
                until(lambda: list(_workers(marker)))
                for worker in set(_workers(marker)):
                    os.kill(worker, signal.SIGKILL)
        out = process.stdout.read() if process.stdout else ""
    assert sum(": started on " in line for line in said) == 6
    run = json.loads(out)["submissions"][0]["reproduction"]
    assert process.returncode == 4
    assert run["result"] == "incomplete"
    assert re.fullmatch(r"(seed (42|1337) was not run: lost 3 times[^;]+(; )?){2}", run["stopped"])
    assert ledger(runs) == [(1, 42, False), (1, 1337, False)]
    until(lambda: not list(still_running(marker)))


def _workers(marker: str) -> Iterator[int]:
    """The Ray workers above the processes that have the marker."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.name.isdecimal() and marker.encode() in (entry / "environ").read_bytes():
                at = int(entry.name)
                while at > 1 and not Path(f"/proc/{at}/cmdline").read_bytes().startswith(b"ray::"):
                    at = int(Path(f"/proc/{at}/stat").read_text().rpartition(")")[2].split()[1])
                if at > 1:
                    yield at


def test_a_hang_is_ended_by_its_bounds_and_stops_the_others(
    cluster: Any, nodes: Callable[..., list[Any]], tmp_path: Path, data: Path
) -> None:
    nodes(2)
    hang = "while SEED != 42:\n    time.sleep(0.2)\n    print('.', flush=True)\ntime.sleep(900)"
    folder, marker = write_folder(tmp_path / "submission", step=hang), uuid.uuid4().hex
    command = words(tmp_path / "runs", data, marker, folder, *on(cluster), "--silence-limit", "2", "--stop-early")
    done = run_pgaudit(*command)
    run = json.loads(done.out)["submissions"][0]["reproduction"]
    assert done.status == 4
    assert [seed["ending"] for seed in run["seeds"]] == ["hang"]
    assert "did not finish: no output for 2 s" in run["stopped"]
    assert "submission seed 2024" not in started(done.err)  # there were but two nodes
    assert [seed for _, seed, finished in ledger(tmp_path / "runs") if finished] == [42]
    assert not list(still_running(marker))


def test_an_interrupt_ends_every_seed_and_a_resume_goes_on(
    cluster: Any, nodes: Callable[..., list[Any]], tmp_path: Path, data: Path
) -> None:
    nodes(2)
    wait = f"if SEED != 42:\n    {WAIT}"
    folder, runs, marker = write_folder(tmp_path / "submission", step=wait), tmp_path / "runs", uuid.uuid4().hex
    # Without a sandbox, for that would end with its worker, however rudely Ray ends that.
    command = words(runs, data, marker, folder, *on(cluster), "--no-sandbox-i-accept-the-risk")
    with running(command) as process:
        until(lambda: (_finished(runs) == 1 and list(still_running(marker))) or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        process.communicate()
        assert not list(still_running(marker))  # at once, not when Ray gets to it
    assert process.returncode not in (0, 4, 10)
    (data / "go").touch()
    again = run_pgaudit(*command, "--resume")
    assert again.status == 0, again.err
    assert started(again.err) == {"submission seed 1337": 1, "submission seed 2024": 1}
    assert ledger(runs) == [(1, seed, True) for seed in sorted(SEEDS)]


def _finished(runs: Path) -> int:
    return sum(done for _, _, done in ledger(runs)) if (runs / NAME).exists() else 0


def test_a_node_without_a_sandbox_is_named_and_not_used(
    cluster: Any, nodes: Callable[..., list[Any]], tmp_path: Path, data: Path
) -> None:
    nodes(1, env_vars={"PATH": str(tmp_path)})
    folder = write_folder(tmp_path / "submission")
    command = words(tmp_path / "runs", data, "", folder, *on(cluster))
    alone = run_pgaudit(*command)
    assert alone.status == 4
    assert "no node can run anything" in alone.err
    assert "no sandbox works here" in alone.err
    assert not (tmp_path / "runs" / NAME).exists()
    nodes(1)
    done = run_pgaudit(*command)
    assert done.status == 0
    assert "no sandbox works here" in done.err
    assert sum(started(done.err).values()) == len(SEEDS)


def test_a_cluster_without_the_gpus_is_refused(cluster: Any, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "submission")
    done = run_pgaudit("reproduce", folder, "--runs", tmp_path / "runs", "--ray", cluster.address)
    assert done.status == 4
    assert "no node of the cluster has GPU: 8" in done.err


@pytest.mark.parametrize(
    "options, said",
    [
        (("--ray", "127.0.0.1:1"), "--ray 127.0.0.1:1: Connection refused"),
        (("--ray", "nowhere"), "is no address"),
        (("--ray", "ray://127.0.0.1:10001"), "cannot stream"),
        (("--ray", "auto", "--ray-needs", "GPU"), "is not NAME=NUMBER"),
        (("--ray-needs", "GPU=8"), "is for a Ray cluster"),
        (("--ray", "auto", "--gather"), "exclude each other"),
        (("--prs", "4"), "--prs already says what to read"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    folder = write_folder(tmp_path / "submission")
    done = run_pgaudit("reproduce", folder, "--runs", tmp_path / "runs", "--gpus", "0", *options)
    assert done.status == 2
    assert said in done.err

"""A Ray cluster as a place to run seeds on: which of its nodes can, and by which plan. ``dispatch`` runs them.

Heavy: imported only for ``--ray``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pgaudit
from pgaudit.errors import ExitCode, PgauditError, TargetError
from pgaudit.reproduce import node
from pgaudit.reproduce.jobs import Done, Job, Task, problem_of
from pgaudit.reproduce.machine import Offer, Wants
from pgaudit.reproduce.node import Said, Survey
from pgaudit.reproduce.runner import RunFailed

try:
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    raise TargetError("--ray needs Ray", hint="pip install 'pgaudit[ray]', here and on every node") from None

SURVEY_SECONDS = 600.0
"""A node that has not answered by then is not used. Hashing the validation split off a network disk takes minutes."""
CONNECT_SECONDS = 10.0
ADDRESSES = "HOST:6379, auto for the cluster that this machine is part of, or local to start one here"
NODE_ID = "ray.io/node-id"
"""Ray's own label of every node."""


class NoNode(PgauditError):
    """No node of the cluster can run anything of what is asked."""

    exit_code = ExitCode.INCOMPLETE


class Cluster:
    """A Ray cluster, from connecting to it to leaving it. Ray's own messages go to ``ray.log`` in the folder of runs."""

    def __init__(
        self, address: str, needs: Mapping[str, float], wants: Wants, runs: Path, tell: Callable[[str], None]
    ) -> None:
        """``needs`` are Ray's resources for one seed; ``wants.gpus`` is how many GPUs its plan has."""
        assert wants.gpus is not None
        self.address, self.needs, self.wants, self.gpus = address, dict(needs), wants, wants.gpus
        self.runs, self.tell = runs.absolute(), tell
        self.unfit: dict[str, set[str]] = {}
        """By job: nodes that cannot run it."""
        self.parcels: dict[str, Any] = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Self:
        _refuse_silent(self.address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        try:
            self.runs.mkdir(parents=True, exist_ok=True)
            log = self._exit.enter_context((self.runs / "ray.log").open("a", encoding="utf-8"))
        except OSError as error:
            raise RunFailed(f"{self.runs}: cannot write: {error.strerror}", "name another folder with --runs") from None
        # Ray prints what its nodes report to standard output, where the report goes.
        self._exit.enter_context(contextlib.redirect_stdout(log))
        try:
            ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR)
        except (RuntimeError, ValueError, OSError) as error:
            self._exit.close()
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TargetError(f"--ray {self.address}: {said}", ADDRESSES) from None
        self._exit.callback(ray.shutdown)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def offers(self, jobs: Sequence[Job]) -> list[Offer | PgauditError]:
        """For each job the plan that most nodes would run it by. All nodes are asked, and no GPU is taken for it.

        Raises ``NoNode``.
        """
        self.parcels = {job.name: ray.put(node.parcel(job.evidence)) for job in jobs}
        surveys = self._surveys()
        for survey in surveys.values():
            able = [offer for offer in survey.offers if isinstance(offer, Offer)]
            self.tell(f"node {survey.host}: {survey.problem or (able[0].plan.hardware.name if able else 'no plan')}")
        if all(survey.problem for survey in surveys.values()):
            raise NoNode("no node can run anything", next(survey.problem for survey in surveys.values()))
        return [self._chosen(job.name, index, surveys) for index, job in enumerate(jobs)]

    def run(self, tasks: Sequence[Task]) -> list[Done]:
        """All seeds that are not done, as many at once as the cluster has room for."""
        from pgaudit.reproduce.dispatch import Dispatch

        return Dispatch(self, tasks).run()

    def nodes(self) -> dict[str, str]:
        """Nodes that are alive and have at all what a seed needs, and the names of their hosts."""
        return {
            each["NodeID"]: each["NodeManagerHostname"]
            for each in ray.nodes()  # type: ignore[no-untyped-call]
            if each["Alive"] and all(each["Resources"].get(name, 0) >= amount for name, amount in self.needs.items())
        }

    def submit(self, job: str, digest: str, seed: int, folder: Path) -> Any:
        """Ask for a seed of a job to be run. What it says comes as a stream of ``(node, Said)``."""
        needs = dict(self.needs)
        options: dict[str, Any] = {"num_cpus": needs.pop("CPU", 1), "num_gpus": needs.pop("GPU", 0), "resources": needs}
        if unfit := sorted(self.unfit[job]):
            options["label_selector"] = {NODE_ID: f"!in({','.join(unfit)})"}
        task = ray.remote(_run).options(max_retries=0, name=f"{job} seed {seed}", **options)
        return task.remote(self.parcels[job], self.wants, self.gpus, digest, seed, folder)

    def _surveys(self) -> dict[str, Survey]:
        nodes = self.nodes()
        if not nodes:
            wanted = ", ".join(f"{name}: {amount:g}" for name, amount in self.needs.items())
            raise NoNode(f"no node of the cluster has {wanted}", "--gpus says how many a seed needs, --ray-needs more")
        asked = {
            identity: ray.remote(node.survey)
            .options(
                num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(identity, soft=False)
            )
            .remote(self.wants, self.gpus, self.runs, *self.parcels.values())
            for identity in nodes
        }
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=SURVEY_SECONDS)
        return {identity: _answer(nodes[identity], reference) for identity, reference in asked.items()}

    def _chosen(self, job: str, index: int, surveys: Mapping[str, Survey]) -> Offer | PgauditError:
        answers = {identity: survey.offers[index] for identity, survey in surveys.items() if not survey.problem}
        able = {
            identity: answer
            for identity, answer in answers.items()
            if isinstance(answer, Offer) and answer.problem is None
        }
        if not able:
            return problem_of(next(iter(answers.values())))
        ((most, _),) = Counter(offer.plan.digest for offer in able.values()).most_common(1)
        fit = {identity: offer for identity, offer in able.items() if offer.plan.digest == most}
        self.unfit[job] = set(surveys) - set(fit)
        for identity in sorted(set(answers) - set(fit)):
            why = f"{problem_of(answers[identity])}" if identity not in able else "it differs from more of the others"
            self.tell(f"node {surveys[identity].host}: not used for {job}: {why}")
        return next(iter(fit.values()))


def _refuse_silent(address: str) -> None:
    """Raises ``TargetError`` where nothing listens: Ray itself goes on asking for many minutes."""
    if address in ("auto", "local"):
        return
    if address.startswith("ray://"):
        hint = "run pgaudit on a node of the cluster (--ray auto), or there by `ray job submit`"
        raise TargetError(f"--ray {address}: Ray's client cannot stream results", hint)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise TargetError(f"--ray {address} is no address", ADDRESSES)
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise TargetError(f"--ray {address}: {error.strerror or error}", ADDRESSES) from None


def _answer(host: str, reference: Any) -> Survey:
    try:
        survey: Survey = ray.get(reference, timeout=0)
    except RayError as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        return Survey(host, "", f"did not answer: {said}")
    if survey.version != pgaudit.__version__:
        return Survey(survey.host, survey.version, f"has pgaudit {survey.version}, not {pgaudit.__version__}")
    return survey


def _run(
    sent: node.Parcel, wants: Wants, gpus: int, digest: str, seed: int, folder: Path
) -> Iterator[tuple[str, Said]]:
    """What Ray runs on a node."""
    context = ray.get_runtime_context()
    here, handed = context.get_node_id(), context.get_accelerator_ids().get("GPU", [])
    indices = [int(index) for index in handed] if all(index.isdecimal() for index in handed) else None
    # The folder may be shared: a node that was given up on must not meet the one that took its seed over.
    for said in node.run(sent, wants, gpus, indices, digest, seed, folder / f"node-{here[:12]}"):
        yield here, said

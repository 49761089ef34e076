"""What is going to be run: interpreter, command, environment, data, limits. Made before anything runs, and shown."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pgaudit.errors import NothingToAudit, TargetError
from pgaudit.evidence.evidence import Evidence
from pgaudit.evidence.readme import Command
from pgaudit.reproduce.data import Data
from pgaudit.reproduce.hardware import Hardware
from pgaudit.reproduce.inputs import Swap
from pgaudit.reproduce.interpreter import Interpreter
from pgaudit.reproduce.stored import decode, encode
from pgaudit.reproduce.supervise import Bounds
from pgaudit.sandbox.box import PATH, WORK, Limits
from pgaudit.submission import UnreadableFile

SLOWER = 16.0
"""Times the challenge's limits until a run on other hardware is ended: one GPU for eight, and half its speed."""
_KEPT_BACK = re.compile(
    r"PATH|HOME|LD_.*|PYTHON.*|SHELL|BASH_ENV|ENV|.*_PROXY|CUDA_VISIBLE_DEVICES|RANK|LOCAL_RANK|WORLD_SIZE"
)
"""Variables of a README that belong to the machine and not to the run."""
_UNKNOWN = re.compile(r"\$[{(\w]")
_SEED_OPTION = re.compile(r"--?seed(?:=(.*))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Given:
    """A variable of the environment and who set it."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class Plan:
    """One submission and how it will be run."""

    folder: str
    main: str
    interpreter: Interpreter
    launcher: tuple[str, ...]
    arguments: tuple[str, ...]
    command_source: str
    """Where the arguments come from."""
    environment: tuple[Given, ...]
    seeds: tuple[int, ...]
    hardware: Hardware
    bounds: Bounds
    limits: Limits
    own_limits: bool
    """The caller set the times, so that they hold on any hardware."""
    data: Data | None
    files: str
    """Digest of the submission's files."""
    remarks: tuple[str, ...] = field(default=(), compare=False)
    swaps: tuple[Swap, ...] = field(default=(), compare=False)
    """What the first seed is run with once more, after all seeds."""

    def command(self, seed: int) -> tuple[str, ...]:
        """The command line of one seed."""
        return (str(self.interpreter.path), *self.launcher, self.main, *_with_seed(self.arguments, seed))

    def variables(self, seed: int) -> dict[str, str]:
        """The whole environment of one seed."""
        own = {"PATH": f"{self.interpreter.path.parent}:{PATH}", "HOME": WORK, "USER": "runner", "LOGNAME": "runner"}
        own |= {"TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}  # noqa: S108 -- inside the sandbox
        if self.hardware.gpus:
            own["CUDA_VISIBLE_DEVICES"] = ",".join(str(gpu.index) for gpu in self.hardware.gpus)
        return own | {given.name: given.value for given in self.environment} | {"SEED": str(seed)}

    @property
    def digest(self) -> str:
        """Identity of what is run; a run can be gone on with only by the same. Seeds and swaps may be added."""
        # Which of a machine's GPUs are free, and how many bytes of them, changes by the minute; their model does not.
        parts = asdict(replace(self, seeds=(), remarks=(), swaps=(), hardware=Hardware())) | {
            "hardware": self.hardware.name
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def document(self) -> dict[str, Any]:
        """All of the plan as JSON values."""
        found: dict[str, Any] = encode(self)
        return found

    @classmethod
    def read(cls, document: dict[str, Any]) -> Plan:
        """Back from JSON values. Raises ``KeyError`` or ``TypeError`` for those of another version."""
        plan: Plan = decode(cls, document)
        return plan

    def describe(self) -> dict[str, Any]:
        """The plan as JSON values, for readers."""
        return {
            "folder": self.folder,
            "interpreter": f"{self.interpreter.path} (Python {self.interpreter.version})",
            "commands": {str(seed): list(self.command(seed)) for seed in self.seeds},
            "command_source": self.command_source,
            "environment": [asdict(given) for given in self.environment],
            "missing": list(self.interpreter.missing),
            "hardware": self.hardware.name,
            "limits": asdict(self.bounds) | {f"process_{name}": value for name, value in asdict(self.limits).items()},
            "limits_of_the_caller": self.own_limits,
            "data": None if self.data is None else {name: _plain(value) for name, value in asdict(self.data).items()},
            "swaps": [{name: _plain(value) for name, value in asdict(swap).items()} for swap in self.swaps],
            "digest": self.digest,
            "remarks": list(self.remarks),
        }


@dataclass(frozen=True)
class Wishes:
    """What the caller sets."""

    seeds: tuple[int, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    training: float | None = None
    """Seconds; ``None`` for the policy's limit, on other hardware a multiple of it."""
    evaluation: float | None = None
    silence: float | None = None
    total: float | None = None
    grace: float | None = None
    processes: int | None = None
    memory_bytes: int | None = None
    launcher: tuple[str, ...] | None = None


def make(
    evidence: Evidence,
    interpreter: Interpreter,
    hardware: Hardware,
    data: Data | None,
    wishes: Wishes,
    remarks: Sequence[str] = (),
) -> Plan:
    """Plan the run of a submission. Raises ``NothingToAudit`` where no script is known to be the one that trains."""
    main = evidence.main_path
    if main is None:
        raise NothingToAudit(f"{evidence.submission.folder}: no script that is known to be the one that trains")
    remarks = list(remarks)
    command = _command(evidence.commands, main, remarks)
    environment = (*_environment(command, remarks), *_of_data(data))
    environment = (*environment, *(Given(name, value, "--set") for name, value in sorted(wishes.settings.items())))
    limit = bounds(evidence, hardware, wishes)
    memory = None if hardware.gpus else wishes.memory_bytes or Limits().memory_bytes
    limits = Limits(processes=limit.processes, memory_bytes=memory)
    submission = evidence.submission
    return Plan(
        submission.folder if submission.folder != "." else submission.origin.source,
        main,
        interpreter,
        _launcher(hardware) if wishes.launcher is None else wishes.launcher,
        command.arguments if command else (),
        str(command.location) if command else "no command is given; the script is started without arguments",
        tuple({given.name: given for given in environment}.values()),
        wishes.seeds,
        hardware,
        limit,
        limits,
        wishes.training is not None or wishes.evaluation is not None,
        data,
        digest_of(evidence),
        tuple(remarks),
    )


def what_is_missing(plan: Plan) -> TargetError | None:
    """Why no time is spent on a run that cannot start."""
    if not plan.interpreter.missing:
        return None
    return TargetError(
        f"{plan.interpreter.path} lacks what the submission needs: {', '.join(plan.interpreter.missing)}",
        hint="install it there, or name another Python with --python; --ignore-requirements runs all the same",
    )


def _command(commands: Sequence[Command], main: str, remarks: list[str]) -> Command | None:
    """The first command that starts the main script."""
    name = main.rpartition("/")[2]
    starting = [command for command in commands if command.script.rpartition("/")[2] == name]
    different = {(tuple(sorted(_without_seed(command))), _with_seed(command.arguments, 0)) for command in starting}
    if len(different) > 1:
        remarks.append(f"{len(different)} different commands start {name}; the first is taken, {starting[0].location}")
    return starting[0] if starting else None


def _without_seed(command: Command) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in command.environment.items() if name not in ("SEED", "RUN_ID"))


def _environment(command: Command | None, remarks: list[str]) -> Iterator[Given]:
    for name, value in _without_seed(command) if command else ():
        if _KEPT_BACK.fullmatch(name.upper()):
            remarks.append(f"{name} of the command is left out: it belongs to the machine")
        elif _UNKNOWN.search(value):
            remarks.append(f"{name}={value} of the command is left out: only a shell knows its value")
        else:
            assert command is not None
            yield Given(name, value, str(command.location))


def _of_data(data: Data | None) -> Iterator[Given]:
    if data is not None:
        yield Given("DATA_PATH", data.inside, "--data")
        yield Given("DATA_DIR", f"{WORK}/data", "--data")
        if data.tokenizer:
            yield Given("TOKENIZER_PATH", data.tokenizer_inside, "--tokenizer")


def _launcher(hardware: Hardware) -> tuple[str, ...]:
    count = len(hardware.gpus)
    return ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}") if count else ()


def bounds(evidence: Evidence, hardware: Hardware, wishes: Wishes) -> Bounds:
    """When a run is ended: by the policy, on other hardware than the challenge's later, and as the caller wishes."""
    slower = 1.0 if hardware.is_reference else SLOWER
    edition = evidence.edition
    usual = Bounds()
    training = edition["train_seconds"].applied * slower if wishes.training is None else wishes.training
    evaluation = edition["eval_seconds"].applied * slower if wishes.evaluation is None else wishes.evaluation
    return replace(
        usual,
        training=training,
        evaluation=evaluation,
        silence=usual.silence if wishes.silence is None else wishes.silence,
        total=max(usual.total, usual.start + 2 * training + evaluation) if wishes.total is None else wishes.total,
        grace=usual.grace if wishes.grace is None else wishes.grace,
        processes=wishes.processes or (8192 if hardware.gpus else usual.processes),
        memory_bytes=wishes.memory_bytes or (usual.memory_bytes if not hardware.gpus else 1024 * 2**30),
    )


def _with_seed(arguments: Sequence[str], seed: int) -> tuple[str, ...]:
    """The arguments with the seed that they name replaced."""
    words = list(arguments)
    for index, word in enumerate(words):
        if match := _SEED_OPTION.fullmatch(word):
            if match[1] is not None:
                words[index] = f"{word.partition('=')[0]}={seed}"
            elif index + 1 < len(words):
                words[index + 1] = str(seed)
    return tuple(words)


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def digest_of(evidence: Evidence) -> str:
    """Identity of the submission's files."""
    digest = hashlib.sha256()
    for path, file in sorted(evidence.submission.files.items()):
        try:
            content = hashlib.sha256(file.data).hexdigest()
        except UnreadableFile as problem:
            content = f"{file.size} bytes: {problem.reason}"
        digest.update(f"{path}\0{content}\n".encode())
    return digest.hexdigest()

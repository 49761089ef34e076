"""The effective configuration of the run that counts: who set what, weakest source first, strongest last.

Code defaults are in the code; over them come the wrapper's prefix, the run command or run script, and the
hyper-parameter dump of the log, which is what the process itself said it used. What else the submission says of its
run is added where none of these decide (``naming``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pgaudit.engine.machine import Setting
from pgaudit.engine.transfer.runtime import is_off
from pgaudit.evidence.logs import Log
from pgaudit.evidence.naming import Title, namer
from pgaudit.evidence.readme import Command
from pgaudit.source.script import Script

PROCESS_VARIABLES = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"}
"""Set by the launcher; the walk is one of 8 processes whatever a README says."""


@dataclass(frozen=True)
class Configuration:
    """What the script finds when it asks its environment and its command line."""

    environment: Mapping[str, Setting] = field(default_factory=dict)
    arguments: Mapping[str, Setting] = field(default_factory=dict)
    changes_defaults: bool = False
    """Something outside the code (README, run script, log) sets anything."""

    def with_settings(self, settings: Mapping[str, Setting]) -> Configuration:
        """The configuration with further settings; names that begin with dashes are options of the command line."""
        options = {name[2:]: setting for name, setting in settings.items() if name.startswith("--")}
        variables = {name: setting for name, setting in settings.items() if not name.startswith("--")}
        return Configuration({**self.environment, **variables}, {**self.arguments, **options}, True)


def candidates(
    script: Script, commands: Iterable[Command], log: Log | None, titles: Sequence[Title]
) -> Iterator[Configuration]:
    """The configurations that the run may have had, likeliest first: one for each command that starts the script.

    A command that switches on what the submission is named after goes before the one of its baseline.
    """
    seen: list[Configuration] = []
    starting: list[Command | None] = [*_commands_of(script, commands)]
    starting.sort(key=lambda command: -_switches_named(command, titles))
    for command in starting or [None]:
        configuration = effective(script, command, log)
        if configuration not in seen:
            seen.append(configuration)
            yield configuration


def effective(script: Script, command: Command | None, log: Log | None) -> Configuration:
    """The configuration of the run that ``log`` shows (``None``: no log), started by ``command``."""
    environment = {name: Setting(value, f"{script.path} (wrapper)") for name, value in script.environment.items()}
    arguments: dict[str, Setting] = {}
    if command is not None:
        source = str(command.location)
        environment |= {name: Setting(value, source) for name, value in command.environment.items() if "$" not in value}
        arguments = {name: Setting(value, source) for name, value in _options(command.arguments)}
    if log is not None:
        environment |= {
            name.upper(): Setting(_plain(reading.value), str(reading.location))
            for name, reading in log.settings.items()
            if _is_scalar(reading.value)
        }
    environment = {name: setting for name, setting in environment.items() if name not in PROCESS_VARIABLES}
    if log is not None and log.world_size is not None:
        environment["WORLD_SIZE"] = Setting(str(log.world_size.value), str(log.world_size.location))
    shipped = code_defaults(script).environment
    return Configuration(environment, arguments, bool(arguments) or environment != shipped)


def code_defaults(script: Script) -> Configuration:
    """What the script does when nothing but its own wrapper sets anything."""
    return Configuration(
        {name: Setting(value, f"{script.path} (wrapper)") for name, value in script.environment.items()}
    )


def _commands_of(script: Script, commands: Iterable[Command]) -> list[Command]:
    """The commands that start the script, in order: READMEs give the run that counts before ablations.

    Scripts are renamed when they are submitted: without such a command, those that start a training script of another name.
    """
    commands = list(commands)
    name = script.path.rpartition("/")[2]
    named = [command for command in commands if command.script.rpartition("/")[2] == name]
    renamed = [command for command in commands if "train" in command.script and not named]
    return named or renamed


def _switches_named(command: Command | None, titles: Sequence[Title]) -> int:
    """How many switches of what the titles name a command turns on."""
    environment = command.environment if command else {}
    return sum(not is_off(value) and namer(name, titles) is not None for name, value in environment.items())


def _options(words: tuple[str, ...]) -> Iterable[tuple[str, str]]:
    """``--name value`` and ``--name=value``; a flag without a value is ``true``."""
    for position, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        following = words[position + 1] if position + 1 < len(words) else "--"
        yield name, value if equals else "true" if following.startswith("--") else following


def _is_scalar(text: str) -> bool:
    """Dumps also hold lists, objects and paths with spaces; those are not what an environment variable held."""
    return not any(mark in text for mark in "[]{}()<> ") and text not in ("None", "")


def _plain(text: str) -> str:
    """A dump prints Python's ``True``; the environment that made it held ``1``."""
    return {"True": "1", "False": "0"}.get(text, text)

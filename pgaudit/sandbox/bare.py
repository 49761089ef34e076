"""No sandbox: only on the user's own risk, who has to ask for it by an ugly name. Limits hold, nothing else does."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pgaudit.sandbox import processes
from pgaudit.sandbox.box import TEMPORARY, WORK, Box, limited

WARNING = "none: the submission ran with this user's rights, the network and every file"


@dataclass(frozen=True)
class Bare:
    """Runs a program as it is. Paths inside the sandbox are those of this machine."""

    @property
    def name(self) -> str:
        return WARNING

    @property
    def encloses(self) -> bool:
        return False

    def prepare(self, box: Box) -> None:
        """Put what the program is to read where it looks for it: below its own folder."""
        targets = [mount.target for mount in box.readable]
        for mount in box.readable:
            if not mount.target.startswith(f"{WORK}/"):
                continue
            link = box.folder / mount.target.removeprefix(f"{WORK}/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if inside := {target for target in targets if target.startswith(f"{mount.target}/")}:
                link.mkdir()  # a link to it would put what is mounted inside into the folder itself
                for path in mount.source.iterdir():
                    if f"{mount.target}/{path.name}" not in inside:
                        (link / path.name).symlink_to(path)
            else:
                link.symlink_to(mount.source)

    def end(self, box: Box) -> None:
        """Nothing: all of it are processes of this machine."""

    def command(self, box: Box) -> list[str]:
        """The command under its limits, in its folder, with the paths of the sandbox replaced by those of this machine."""
        own = {name: _here(value, box) for name, value in box.environment.items()}
        # The kernel counts all of the user's processes, those of before too.
        most = box.limits.processes + processes.count()
        bounded = replace(box, environment=own, limits=replace(box.limits, processes=most))
        return ["env", f"--chdir={box.folder}", *limited(bounded)]


def _here(value: str, box: Box) -> str:
    for inside, folder in ((WORK, box.folder), (TEMPORARY, box.temporary)):
        if value == inside or value.startswith(f"{inside}/"):
            return f"{folder}{value.removeprefix(inside)}"
    return value

"""Optional packages that are not installed and that a run can do without."""

from __future__ import annotations

import importlib.util
import types
from pathlib import Path
from typing import Any

from pgaudit.probe.inside.inert import Inert


class Progress:
    """``tqdm``: what it is given, without a bar."""

    def __init__(self, items: Any = (), *_: Any, **__: Any) -> None:
        self.items = items

    def __iter__(self) -> Any:
        return iter(self.items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()


def modules(folder: Path) -> dict[str, types.ModuleType]:
    """Stand-ins by name, for those that are not installed."""

    def download(*words: Any, filename: str = "", **_: Any) -> str:
        """A file of the hub: the synthetic one of the same name."""
        name = Path(filename or str(words[1])).name
        found = next((folder / "data").rglob(name), None)
        if found is None:
            raise FileNotFoundError(f"there is no network in the probe, and no synthetic file {name}")
        return str(found)

    contents: dict[str, dict[str, Any]] = {
        "wandb": dict.fromkeys(
            ("init", "log", "finish", "config", "run", "watch", "Table", "Settings", "save"), Inert()
        ),
        "tqdm": {"tqdm": Progress, "trange": lambda *bounds, **_: range(*bounds)},
        "tqdm.auto": {"tqdm": Progress, "trange": lambda *bounds, **_: range(*bounds)},
        "numba": {"njit": Inert(), "jit": Inert(), "prange": range},
        "huggingface_hub": {"hf_hub_download": download, "snapshot_download": lambda *_, **__: str(folder / "data")},
        "python_minifier": {"minify": lambda source, **_: source},
        "dotenv": {"load_dotenv": Inert()},
        "setproctitle": {"setproctitle": Inert()},
    }
    found = dict[str, types.ModuleType]()
    for name, names in contents.items():
        top, _, rest = name.partition(".")
        if importlib.util.find_spec(top) is None:
            found[name] = types.ModuleType(name)
            vars(found[name]).update(names)
            if rest:
                setattr(found[top], rest, found[name])
    return found

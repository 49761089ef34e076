"""The environment that the submission reads: the published run's settings, with sizes made small."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pgaudit.probe.shrink import Shrinker, is_number

UNSET = frozenset({"none", "null", "unset"})
TRUTH = {"true": "1", "yes": "1", "on": "1", "enabled": "1", "false": "0", "no": "0", "off": "0", "disabled": "0"}


NOT_FROM_SCRATCH = re.compile(
    r"(?:\w+_)?(?:EVAL|QUANTI[SZ]E|TTT|EXPORT)_ONLY|SKIP_TRAIN\w*|(?:\w+_)?(?:CHECKPOINT|MODEL|RESUME|INIT|WEIGHTS)_PATH|RESUME\w*"
)
"""Settings by which a run goes on from weights that are not here."""
HERE = {"ENABLE_COMPILE": "0", "TORCH_COMPILE": "0", "USE_COMPILE": "0", "TORCHDYNAMO_DISABLE": "1"}
"""Nothing is compiled; some submissions refuse combinations of what they do with compilation."""


class Environment(dict[str, str]):
    """``os.environ``: sizes come out small, whether they are set or a default of the code.

    The settings come from logs and README files, where a value may be written in another form than the variable's, or belong
    to something else of the same name. The code's own default tells which form is right.
    """

    def __init__(self, values: Mapping[str, str], shrinker: Shrinker) -> None:
        usable = {
            name: value for name, value in values.items() if _is_usable(value) and not NOT_FROM_SCRATCH.fullmatch(name)
        }
        super().__init__({name: shrinker.text(name, value) for name, value in usable.items()} | HERE)
        self._shrinker = shrinker

    def get(self, name: str, default: Any = None) -> Any:
        """The value as text, or the default, which keeps its type."""
        value = super().get(name)
        if value is not None:
            value = _in_the_form_of(default, value)
        if value is not None:
            return value
        if isinstance(default, str):
            return self._shrinker.text(name, default)
        if isinstance(default, (int, float)) and not isinstance(default, bool):
            return self._shrinker.size(name, default)
        return default

    def setdefault(self, name: str, default: str = "") -> str:
        if name not in self:
            self[name] = self._shrinker.text(name, default)
        return self[name]


def _is_usable(value: str) -> bool:
    """Whether a value can hold here: a path of the machine that the run was made on cannot."""
    return value.lower() not in UNSET and ("/" not in value or Path(value).exists())


def _in_the_form_of(default: Any, value: str) -> str | None:
    """The value as the code expects it, judged by its default; ``None`` where it cannot be meant."""
    numeric = is_number(default) if isinstance(default, str) else isinstance(default, (int, float))
    if not numeric or is_number(value):
        return value
    return TRUTH.get(value.lower())

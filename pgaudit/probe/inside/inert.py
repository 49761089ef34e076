"""Objects that take every use and do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Inert:
    """Takes every call, attribute and index and gives itself back; as a decorator it gives back the function, as a number nothing."""

    def __call__(self, *args: Any, **_: Any) -> Any:
        return args[0] if args and callable(args[0]) else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __setattr__(self, _name: str, _value: Any) -> None:
        return None

    def __getitem__(self, _key: Any) -> Inert:
        return self

    def __setitem__(self, _key: Any, _value: Any) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    __int__ = __index__ = __len__

    def __lt__(self, _other: Any) -> bool:
        return False

    __gt__ = __le__ = __ge__ = __lt__

    def __enter__(self) -> Inert:
        return self

    def __exit__(self, *_: object) -> None:
        return None

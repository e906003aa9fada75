"""Headers of an HTTP message: a dictionary without case that keeps order and repetitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Protocol, Union

from .exceptions import InvalidHeaderValue

__all__ = ["Headers", "HeadersLike", "MultipleValuesError"]


class SupportsKeysAndGetItem(Protocol):
    """What dict() takes as a mapping."""

    def keys(self) -> Iterable[str]: ...
    def __getitem__(self, key: str, /) -> str: ...


HeadersLike = Union[
    "Headers", Mapping[str, str], Iterable[tuple[str, str]], SupportsKeysAndGetItem
]
"""What Headers can be made of."""


class MultipleValuesError(LookupError):
    """headers[name] of a header that came more than once; get_all(name) has all values."""

    def __str__(self) -> str:
        # A LookupError, unlike its child KeyError, prints its argument bare.
        return repr(self.args[0]) if len(self.args) == 1 else super().__str__()


class Headers(MutableMapping[str, str]):
    """Names and values of an HTTP message, in their order.

    Names are compared without case.  headers[name] = value *adds* a value, because some headers
    may be repeated; headers[name] is the only value, and raises KeyError when there is none,
    MultipleValuesError when there are several.  del headers[name] removes all of them.
    len() and iteration count each name once, in lower case; raw_items() has everything as it is.

    Values are text of ISO 8859-1, as HTTP has it.  One that holds CR, LF or NUL is refused with
    InvalidHeaderValue, so that nothing can be smuggled into a head.
    """

    # One list that is searched from the front: a head has a dozen lines, at most a hundred, and a
    # dictionary beside the list would weigh more than the list.
    __slots__ = ("_items",)

    def __init__(self, *args: HeadersLike, **kwargs: str) -> None:
        self._items: list[tuple[str, str]] = []
        if args or kwargs:
            self.update(*args, **kwargs)

    @classmethod
    def _of(cls, items: list[tuple[str, str]]) -> Headers:
        """Headers of what was checked already; takes the list over."""
        self = cls.__new__(cls)
        self._items = items
        return self

    def __str__(self) -> str:
        return "".join(f"{name}: {value}\r\n" for name, value in self._items) + "\r\n"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def copy(self) -> Headers:
        """Another one with the same content."""
        return Headers._of(self._items.copy())

    __copy__ = copy

    def serialize(self) -> bytes:
        """As it travels, with the empty line at the end."""
        return str(self).encode("iso-8859-1")

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        key = key.lower()
        return any(name.lower() == key for name, _ in self._items)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self._items))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._items})

    def __getitem__(self, key: str) -> str:
        values = self.get_all(key)
        if not values:
            raise KeyError(key)
        if len(values) > 1:
            raise MultipleValuesError(key)
        return values[0]

    def __setitem__(self, key: str, value: str) -> None:
        if any(c in value for c in "\r\n\0"):
            raise InvalidHeaderValue(key, value)
        self._items.append((key, value))

    def set_insecure(self, key: str, value: str) -> None:
        """headers[key] = value without the check; for tests of what refuses it."""
        self._items.append((key, value))

    def __delitem__(self, key: str) -> None:
        lower = key.lower()
        rest = [item for item in self._items if item[0].lower() != lower]
        if len(rest) == len(self._items):
            raise KeyError(key)
        self._items = rest

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._by_name() == other._by_name()

    def _by_name(self) -> dict[str, list[str]]:
        out: dict[str, list[str]] = {}
        for name, value in self._items:
            out.setdefault(name.lower(), []).append(value)
        return out

    def clear(self) -> None:
        """Remove everything."""
        self._items = []

    def update(self, *args: HeadersLike, **kwargs: str) -> None:
        """Add what the arguments hold; repeated headers of a Headers stay repeated."""
        plain = (arg.raw_items() if isinstance(arg, Headers) else arg for arg in args)
        super().update(*plain, **kwargs)

    def get_all(self, key: str) -> list[str]:
        """All values of a header, in their order; [] if there is none."""
        key = key.lower()
        return [value for name, value in self._items if name.lower() == key]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Names as they were written, and values, in their order."""
        return iter(self._items)

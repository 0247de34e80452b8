"""A reader of pickles that can call nothing but a short list of functions of our own.

Python's unpickler imports and calls what a file names. This one never imports: every name in a
file is looked up in a table of stand-ins (`Standin`), and what they return is plain data or an
unfinished value (`Unfinished`) that is checked and completed when the whole file was read. It
also bounds what a file may cost: its steps, its depth, and the bytes that are made from it.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

__all__ = ["Inert", "PickleError", "PickleMachine", "Standin", "Unfinished", "finished"]

_MAX_STEPS = 4_000_000
_MAX_DEPTH = 64
_MAX_INTEGER_BYTES = 32
_STEP_BYTES = 64
_SPARE_BYTES = 32 << 20
_MARK = object()


class PickleError(ValueError):
    """A pickle is damaged, or asks for more than plain data."""


@dataclass(frozen=True)
class Standin:
    """What a name in a pickle stands for.

    Attributes:
        name: the name, for example "torch._utils._rebuild_tensor_v2".
        make: our function that is called in its place; None for a name that is never called.
    """

    name: str
    make: Callable[..., Any] | None = None

    def __call__(self, *args: Any) -> Any:
        """Call our function.

        Raises:
            PickleError: there is none, or it does not take these arguments.
        """
        if self.make is None:
            raise PickleError(f"it calls {self.name}")
        try:
            return self.make(*args)
        except TypeError as error:
            raise PickleError(f"{self.name} with wrong arguments: {error}") from error


class Unfinished:
    """A value that is complete only when the whole pickle was read."""

    def build(self, state: Any) -> None:
        """Take the state that the pickle gives to the value.

        Raises:
            PickleError: it has no state.
        """
        raise PickleError(f"a state for {type(self).__name__.strip('_').lower()}")

    def finish(self) -> Any:
        """Return the value itself."""
        raise NotImplementedError


class Inert(Unfinished):
    """An object of a class that is not built: its name and its state, as plain data.

    Attributes:
        name: the class, for example "argparse.Namespace".
        state: its attributes, or None.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None

    def __repr__(self) -> str:
        return f"Inert({self.name!r})"

    def build(self, state: Any) -> None:
        """Keep the state."""
        self.state = state

    def finish(self) -> Inert:
        """Return the stand-in itself."""
        return self


class PickleMachine:
    """Reads one pickle after the other from bytes.

    Args:
        data: all bytes; a memory map keeps a large file out of memory.
        position: where the first pickle starts.
        names: the table of names that a pickle may use: stand-ins, or plain values. A function
            answers for names that a table cannot list; it raises `PickleError` for unknown ones.
        persistent: what a persistent id stands for; None where the format has none.
        file_size: bytes of the whole file, of which at most twice as many are made.
    """

    def __init__(
        self,
        data: Any,
        position: int = 0,
        *,
        names: Callable[[str], Any],
        persistent: Callable[[Any], Any] | None = None,
        file_size: int | None = None,
    ) -> None:
        self.data = data
        self.position = position
        self._names = names
        self._persistent = persistent
        self._left = _MAX_STEPS
        self._bytes = 2 * (file_size or len(data)) + _SPARE_BYTES

    def charge(self, count: int) -> None:
        """Count bytes that a file lets us make.

        Raises:
            PickleError: they are more than twice the file.
        """
        self._bytes -= count
        if self._bytes < 0:
            raise PickleError("it unfolds to more than twice its size")

    def load(self) -> Any:
        """Read one pickle and return its content, unfinished.

        Raises:
            PickleError: it is damaged, or asks for more than the table has.
        """
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        try:
            while True:
                self._left -= 1
                if self._left < 0:
                    raise PickleError(f"more than {_MAX_STEPS} steps")
                self.charge(_STEP_BYTES)  # of one byte of a file may come a whole list
                code = self._take(1)
                if code == b".":
                    return self._pop()
                step = _STEPS.get(code)
                if step is None:
                    raise PickleError(f"unsupported operand {code[0]:#04x}")
                step(self)
        except (IndexError, KeyError, UnicodeDecodeError) as error:
            raise PickleError(f"damaged near byte {self.position}") from error

    def _take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if self.position > len(self.data):
            raise PickleError(f"cut short: byte {self.position} of {len(self.data)}")
        return bytes(self.data[start : self.position])

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> str:
        end = self.data.find(b"\n", self.position, self.position + 1024)
        if end < 0:
            raise PickleError("a name without end")
        line = self._take(end - self.position)
        self.position += 1
        return line.decode()

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise PickleError("damaged: a mark in place of a value")
        return value

    def _pop_mark(self) -> list[Any]:
        items: list[Any] = []
        while (value := self._stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def _proto(self) -> None:
        if (version := self._number(1)) > 5:
            raise PickleError(f"pickle protocol {version}")

    def _text(self, size: int) -> None:
        data = self._take(self._number(size))
        text = data.decode()
        # One character beyond Latin makes Python keep a whole text in two or four bytes each.
        self.charge(max(0, getsizeof(text) - 2 * len(data) - 128))
        self._push(text)

    def _latin(self, size: int) -> None:
        """Python 2's `str`, which was bytes and names alike."""
        self._push(self._take(self._number(size)).decode("latin1"))

    def _int_line(self) -> None:
        line = self._line()
        if line in ("00", "01"):
            self._push(line == "01")
        elif len(line) <= _MAX_INTEGER_BYTES and line.lstrip("-").isdecimal():
            self._push(int(line))
        else:
            raise PickleError("damaged: no integer")

    def _long(self) -> None:
        size = self._number(1)
        if size > _MAX_INTEGER_BYTES:
            raise PickleError(f"an integer of {size} bytes")
        self._push(int.from_bytes(self._take(size), "little", signed=True))

    def _tuple(self, count: int) -> None:
        self._push(tuple([self._pop() for _ in range(count)][::-1]))

    def _list_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise PickleError(f"items for a {type(target).__name__}")
        target.extend(items)

    def _dict_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) not in (dict, OrderedDict):
            raise PickleError(f"entries for a {type(target).__name__}")
        if len(items) % 2:
            raise PickleError("damaged: a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Keys of other kinds could cost quadratic time (equal hashes) or any depth (tuples).
            if not (key is None or isinstance(key, str) or _is_short_integer(key)):
                raise PickleError(f"a {type(key).__name__} as key")
            target[key] = value

    def _list(self) -> None:
        self._push(self._pop_mark())

    def _dict(self) -> None:
        items = self._pop_mark()
        self._push({})
        self._dict_items(items)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._dict_items([key, value])

    def _look_up(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleError("damaged: a name that is no text")
        self._push(self._names(f"{module}.{name}"))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._look_up(module, name)

    def _call(self) -> None:
        args, function = self._pop(), self._pop()
        if not isinstance(function, Standin) or type(args) is not tuple:
            raise PickleError(f"a call of a {type(function).__name__}")
        self._push(function(*args))

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        if isinstance(target, Unfinished):
            target.build(state)
        elif type(target) is OrderedDict:
            # Of a state dict's attributes, torch itself reads only this one.
            metadata = state.get("_metadata") if isinstance(state, dict) else None
            if type(metadata) in (dict, OrderedDict):
                target._metadata = metadata  # type: ignore[attr-defined]
        else:
            raise PickleError(f"a state for a {type(target).__name__}")

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise PickleError("a persistent id")
        self._push(self._persistent(self._pop()))


def _is_short_integer(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() <= 64


_STEPS: Mapping[bytes, Callable[[PickleMachine], object]] = {
    b"\x80": PickleMachine._proto,
    b"\x95": lambda m: m._take(8),
    b"(": lambda m: m._push(_MARK),
    b"0": lambda m: m._pop(),
    b"1": lambda m: m._pop_mark(),
    b"N": lambda m: m._push(None),
    b"\x88": lambda m: m._push(True),
    b"\x89": lambda m: m._push(False),
    b"I": PickleMachine._int_line,
    b"J": lambda m: m._push(int.from_bytes(m._take(4), "little", signed=True)),
    b"K": lambda m: m._push(m._number(1)),
    b"M": lambda m: m._push(m._number(2)),
    b"\x8a": PickleMachine._long,
    b"G": lambda m: m._push(struct.unpack(">d", m._take(8))[0]),
    b"X": lambda m: m._text(4),
    b"\x8c": lambda m: m._text(1),
    b"\x8d": lambda m: m._text(8),
    b"T": lambda m: m._latin(4),
    b"U": lambda m: m._latin(1),
    b"B": lambda m: m._push(m._take(m._number(4))),
    b"C": lambda m: m._push(m._take(m._number(1))),
    b"\x8e": lambda m: m._push(m._take(m._number(8))),
    b"\x96": lambda m: m._push(m._take(m._number(8))),
    b"]": lambda m: m._push([]),
    b"a": lambda m: m._list_items([m._pop()]),
    b"e": lambda m: m._list_items(m._pop_mark()),
    b"l": PickleMachine._list,
    b")": lambda m: m._push(()),
    b"t": lambda m: m._push(tuple(m._pop_mark())),
    b"\x85": lambda m: m._tuple(1),
    b"\x86": lambda m: m._tuple(2),
    b"\x87": lambda m: m._tuple(3),
    b"}": lambda m: m._push({}),
    b"d": PickleMachine._dict,
    b"s": PickleMachine._set_item,
    b"u": lambda m: m._dict_items(m._pop_mark()),
    b"q": lambda m: m._memo.__setitem__(m._number(1), m._stack[-1]),
    b"r": lambda m: m._memo.__setitem__(m._number(4), m._stack[-1]),
    b"\x94": lambda m: m._memo.__setitem__(len(m._memo), m._stack[-1]),
    b"h": lambda m: m._push(m._memo[m._number(1)]),
    b"j": lambda m: m._push(m._memo[m._number(4)]),
    b"c": lambda m: m._look_up(m._line(), m._line()),
    b"\x93": PickleMachine._stack_global,
    b"R": PickleMachine._call,
    b"\x81": PickleMachine._call,
    b"b": PickleMachine._build,
    b"Q": PickleMachine._persistent_id,
}


def finished(content: Any) -> Any:
    """Complete every unfinished value inside what a machine has read; containers stay the same.

    Raises:
        PickleError: the content lies too deep, contains itself, or holds a name without a call.
    """
    return _Finisher().finish(content, 0)


class _Finisher:
    """Remembers what is done, so that shared values stay shared and are completed once."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}
        self._open: set[int] = set()

    def finish(self, value: Any, depth: int) -> Any:
        if isinstance(value, Standin):
            raise PickleError(f"it names {value.name} as a value")
        if not isinstance(value, (dict, list, tuple, Unfinished)):
            return value
        if depth > _MAX_DEPTH:
            raise PickleError(f"values inside values, more than {_MAX_DEPTH} deep")
        key = id(value)
        if key in self._done:
            return self._done[key][1]
        if key in self._open:
            raise PickleError("a value that contains itself")
        self._open.add(key)
        result = self._completed(value, depth + 1)
        self._open.remove(key)
        # The value itself is kept too: another one must not get its id.
        self._done[key] = value, result
        return result

    def _completed(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            for key in value:
                value[key] = self.finish(value[key], depth)
            return value
        if isinstance(value, list):
            value[:] = [self.finish(item, depth) for item in value]
            return value
        if isinstance(value, tuple):
            return tuple(self.finish(item, depth) for item in value)
        if isinstance(value, Inert):
            value.state = self.finish(value.state, depth)
        return value.finish()

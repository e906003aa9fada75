"""What `python -m libws connect` shows and reads: a terminal with a prompt, or lines for programs.

Two threads write, the one that receives and the main one; only the main one reads.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from types import ModuleType

PROMPT = "> "

# Of a binary message nobody asked to see, a terminal gets this much.
SHOWN_BYTES = 256

# Control characters, and those that change the direction of writing: what was received must not
# steer the terminal or look like something else.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Text for a terminal: unsafe characters as \\xNN or \\uNNNN, further lines indented."""
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    c = found.group()
    if c == "\n":
        return "\n  "
    if c == "\t":
        return "    "
    return f"\\x{ord(c):02x}" if ord(c) < 0x80 else f"\\u{ord(c):04x}"


class Terminal:
    """Standard input and output of a program that talks to a server."""

    def __init__(self, *, timestamps: bool) -> None:
        self.shows = _is_terminal(sys.stdout)
        self.interactive = self.shows and _is_terminal(sys.stdin)
        self._timestamps = timestamps
        self._lock = threading.Lock()
        self._prompting = False
        self._readline = _load_readline() if self.interactive else None

    def message(self, message: str | bytes, *, whole: bool, raw: bool) -> None:
        """Write a message that came; BrokenPipeError when nobody reads.

        `whole`: do not shorten binary ones on a terminal; `raw`: just the bytes if it is not one.
        """
        if self.shows:
            self._above(self._stamp() + self._shown(message, whole))
        elif raw:
            data = message.encode() if isinstance(message, str) else message
            self._write(data)
        else:
            line = message if isinstance(message, str) else message.hex()
            self._write(f"{self._stamp()}{line}\n".encode("utf-8", "replace"))

    def _shown(self, message: str | bytes, whole: bool) -> str:
        mark = "< " if self.interactive else ""
        if isinstance(message, str):
            return mark + printable(message)
        cut = message if whole else message[:SHOWN_BYTES]
        dots = "..." if len(cut) < len(message) else ""
        return f"{mark}(binary, {len(message)} bytes) {cut.hex()}{dots}"

    def note(self, line: str) -> None:
        """Tell a person something: above the prompt, or on standard error."""
        if self.interactive and _is_terminal(sys.stderr):
            self._above(printable(line))
            return
        try:
            print(printable(line), file=sys.stderr, flush=True)
        except OSError:
            pass  # nobody reads it

    def lines(self) -> Iterator[bytes]:
        """Lines of standard input without their ends, until it ends."""
        if not self.interactive:
            for line in sys.stdin.buffer:
                yield line[:-1] if line.endswith(b"\n") else line
            return
        while True:
            self._prompting = True
            try:
                text = input(PROMPT)
            except EOFError:
                self._write(b"\n")
                return
            finally:
                self._prompting = False
            yield text.encode("utf-8", "surrogateescape")

    def chunks(self) -> Iterator[bytes]:
        """What standard input has, as it comes."""
        while data := os.read(sys.stdin.fileno(), 65536):
            yield data

    def _above(self, text: str) -> None:
        """A line where the prompt is, which moves down with what was typed behind it."""
        with self._lock:
            if self._prompting:
                typed = self._readline.get_line_buffer() if self._readline else ""
                text = f"\r\x1b[K{text}\n{PROMPT}{typed}"
            else:
                text += "\n"
            self._put(text.encode("utf-8", "replace"))

    def _write(self, data: bytes) -> None:
        with self._lock:
            self._put(data)

    def _put(self, data: bytes) -> None:
        # Past Python's buffer, which would be written again at exit when the reader has gone.
        view = memoryview(data)
        while view:
            view = view[os.write(sys.stdout.fileno(), view) :]

    def _stamp(self) -> str:
        if not self._timestamps:
            return ""
        now = datetime.now(timezone.utc)
        return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z "


def _is_terminal(stream: object) -> bool:
    try:
        return stream is not None and stream.isatty()  # type: ignore[attr-defined]
    except ValueError:  # closed
        return False


def _load_readline() -> ModuleType | None:
    """Importing it is what makes input() edit lines."""
    try:
        import readline
    except ImportError:
        return None
    return readline

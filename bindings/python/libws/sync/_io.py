"""The thread behind the connections of libws.sync, and how other threads wait for it.

There is one such thread in a process, started by the first connection or server.  It drives one
loop of the extension module.  Whoever holds the GIL may call the connections directly, so the
thread is needed for what comes from outside: bytes, timers, room to send.

Locks are used to wait, never to exclude: what is looked at changes under the GIL.  So a child
of fork finds none that is held for ever.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from .. import _core

# How long the end of the program waits for a turn that does not end.
_STOP_SECONDS = 5.0

# How long pass_turn waits for a turn that does not end.
_TURN_SECONDS = 1.0

_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.INFO, 4: logging.DEBUG}
_WARNINGS = 2


class Deadline:
    """A time in the future, or never; seconds."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float | None) -> None:
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds until it, at least 0; None: never."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())


class Signal:
    """Wakes threads that wait for something to become true.

    wait_for is interrupted by signal handlers that raise, such as that of Ctrl-C.
    """

    __slots__ = ("_gates",)

    def __init__(self) -> None:
        self._gates: deque[threading.Lock] = deque()

    def notify(self) -> None:
        """Let all that wait look again.  Thread: any."""
        gates = self._gates
        while gates:
            try:
                gate = gates.popleft()
            except IndexError:  # another thread was faster
                return
            gate.release()

    def wait_for(self, ready: Callable[[], object], deadline: Deadline | None = None) -> bool:
        """Wait until `ready()` is true; False: the deadline came first."""
        while not ready():
            gate = threading.Lock()
            gate.acquire()
            self._gates.append(gate)
            try:
                # Asked again because a notification before the gate was there is lost.
                if ready():
                    return True
                left = None if deadline is None else deadline.left()
                if not gate.acquire(timeout=-1 if left is None else _bounded(left)):
                    return bool(ready())
            finally:
                self._forget(gate)
        return True

    def _forget(self, gate: threading.Lock) -> None:
        try:
            self._gates.remove(gate)
        except ValueError:
            pass  # it was notified


def _bounded(seconds: float) -> float:
    return min(seconds, threading.TIMEOUT_MAX)


class _Runner:
    """The thread with its loop."""

    def __init__(self) -> None:
        self.loop = _core.Loop(None, _log, _WARNINGS)
        self.turns = 0
        self.turned = Signal()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="libws", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        loop = self.loop
        try:
            while not self._stopping:
                loop.wait()
                loop.dispatch()
                self.turns += 1
                self.turned.notify()
        finally:
            # Whatever ended it: nobody may wait for ever for what cannot come any more.
            _forget_runner(self)
            loop.close()

    def alive(self) -> bool:
        return not self._stopping and self._thread.is_alive()

    def stop(self) -> None:
        self._stopping = True
        self.loop.wake()
        if self._thread is not threading.current_thread():
            self._thread.join(_STOP_SECONDS)


_runner: _Runner | None = None
_starting = threading.Lock()


def shared_loop() -> _core.Loop:
    """The loop of the process, with its thread running."""
    global _runner
    with _starting:
        if _runner is None or not _runner.alive():
            _runner = _Runner()
        return _runner.loop


def pass_turn(loop: _core.Loop) -> None:
    """Wait until a whole turn has passed, in which what was queued until now is written."""
    runner = _runner
    if runner is None or runner.loop is not loop:
        return
    end = Deadline(_TURN_SECONDS)
    for _ in range(2):  # one may be going on
        seen = runner.turns
        loop.wake()
        runner.turned.wait_for(lambda: runner.turns != seen or not runner.alive(), end)  # noqa: B023


def _forget_runner(runner: _Runner) -> None:
    global _runner
    if _runner is runner:
        _runner = None


def _log(level: int, line: str) -> None:
    logging.getLogger("libws").log(_LEVELS.get(level, logging.DEBUG), "%s", line)


def _at_exit() -> None:
    # A thread that comes back from waiting after the interpreter has gone would be ended inside
    # of the library.
    runner = _runner
    if runner is not None:
        runner.stop()


def _after_fork() -> None:
    """The child has the loop but not its thread; what was open is the parent's."""
    global _runner, _starting
    _core.after_fork()
    _runner = None
    _starting = threading.Lock()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

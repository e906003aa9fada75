"""The libws loop that belongs to an asyncio loop: made when it is first needed, ended with it.

Who owns what decides when descriptors are closed.  The asyncio loop owns the libws loop, through
the reader it was registered with, and so does each connection on it.  The table here owns neither.
An asyncio loop that is closed (by stock asyncio and by uvloop alike) drops its readers, and with
them the libws loop with all its descriptors, at once; one that is dropped without being closed is
a cycle for the garbage collector, which the extension module takes part in.

Connections that are still open would keep the libws loop beyond that, because it holds them and
they hold it.  So it is closed already when the asyncio loop shuts its asynchronous generators down
(asyncio.run and every Runner do that last): an endless generator of ours is one of them (PEP 525).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import warnings
import weakref
from collections.abc import AsyncGenerator
from typing import Protocol

from .. import _core

__all__ = ["current", "hold", "release"]

# By asyncio loop.  All sides are weak: a value that owned its libws loop would own its own key.
_keepers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[_Keeper]] = (
    weakref.WeakKeyDictionary()
)
# Loops of several threads are in one table.
_lock = threading.Lock()
_fork_is_handled = False

# ws_log_level, and what it is for logging.  INFO is for what the layers here tell, once.
_LEVELS = {1: logging.ERROR, 2: logging.WARNING, 3: logging.DEBUG, 4: logging.DEBUG}


class Held(Protocol):
    """A server, as far as it matters here."""

    def abort(self) -> None: ...


def current() -> _core.Loop:
    """The libws loop of the running asyncio loop.  Errors: RuntimeError (none is running)."""
    loop = asyncio.get_running_loop()
    keeper = _find(loop)
    core = None if keeper is None else keeper.core()
    if core is None or core.closed:
        core = _attach(loop)
    return core


def hold(server: Held) -> None:
    """Keep a server of the running loop alive until release(), or until the loop ends."""
    keeper = _find(asyncio.get_running_loop())
    assert keeper is not None, "current() comes before"
    keeper.held.add(server)


def release(server: Held) -> None:
    keeper = _find(asyncio.get_running_loop())
    if keeper is not None:
        keeper.held.discard(server)


def _find(loop: asyncio.AbstractEventLoop) -> _Keeper | None:
    known = _keepers.get(loop)
    return None if known is None else known()


def _attach(loop: asyncio.AbstractEventLoop) -> _core.Loop:
    keeper = _Keeper()
    core = _core.Loop(loop, keeper.log, _log_level())
    # The reader would run in, and keep alive, a copy of the context of whoever came first.
    contextvars.Context().run(loop.add_reader, core.fileno(), core.dispatch)
    keeper.watch(core)
    _handle_fork()
    with _lock:
        _keepers[loop] = weakref.ref(keeper)
    return core


class _Keeper:
    """What a libws loop owns of ours, through its log function."""

    __slots__ = ("__weakref__", "_generator", "core", "held")

    core: weakref.ref[_core.Loop]
    held: set[Held]
    _generator: AsyncGenerator[None, None]  # ends the libws loop

    def log(self, level: int, line: str) -> None:
        # The library tells of its connections and its listeners through one channel.
        side = "client" if line.startswith(("client", "dial")) else "server"
        logging.getLogger(f"libws.{side}").log(_LEVELS.get(level, logging.DEBUG), "%s", line)

    def watch(self, core: _core.Loop) -> None:
        self.core = weakref.ref(core)
        self.held = set()
        self._generator = _until_shutdown(weakref.ref(self))
        try:
            # Into the `try` of the generator; from here on the asyncio loop knows it.
            self._generator.__anext__().send(None)
        except StopIteration:
            pass

    def end(self) -> None:
        core = self.core()
        if core is None or core.closed:
            return
        loop = core.asyncio_loop
        if not loop.is_closed():
            loop.remove_reader(core.fileno())
        for server in self.held:
            _warn_unclosed(f"{server!r} was not closed", server)
        if core.connections > 0:
            _warn_unclosed(f"{core.connections} connections were not closed", core)
        for server in self.held:
            server.abort()
        self.held.clear()
        core.close()


def _warn_unclosed(text: str, source: object) -> None:
    warnings.warn(f"{text} before the event loop ended", ResourceWarning, 2, source)


async def _until_shutdown(known: weakref.ref[_Keeper]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        keeper = known()
        if keeper is not None:
            keeper.end()


def _log_level() -> int:
    """The level at which the library speaks, from those that logging has when the loop is made."""
    wanted = min(
        logging.getLogger(f"libws.{side}").getEffectiveLevel() for side in ("client", "server")
    )
    return max((own for own, level in _LEVELS.items() if level >= wanted), default=0)


def _handle_fork() -> None:
    global _fork_is_handled
    with _lock:
        if _fork_is_handled:
            return
        _fork_is_handled = True
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    global _lock
    # Another thread of the parent may have held it.
    _lock = threading.Lock()
    _core.after_fork()

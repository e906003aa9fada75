"""What is compared: programs in Python, each on one of the event loops, and what holds them up.

A name is LIBRARY-cb for callbacks, LIBRARY-co for a coroutine per connection, and @uv behind it for
uvloop instead of the event loop of asyncio.
"""

import dataclasses
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import servers  # noqa: E402

START_S = 60  # how long a program without a server may take


@dataclasses.dataclass
class Contestant:
    """A program of the folder `programs`, with the words in front of what it is to do."""

    words: list
    loop: str = "asyncio"


STYLES = {
    "libws-cb": ["libws_callbacks.py"],
    "libws-co": ["coroutines.py", "libws"],
    "picows-cb": ["picows_callbacks.py"],
    "picows-co": ["coroutines.py", "picows.websockets"],
    "websockets": ["coroutines.py", "websockets"],
    "aiohttp": ["aiohttp_handlers.py"],
}
LOOPS = {"": "asyncio", "@uv": "uvloop"}
CONTESTANTS = {
    style + suffix: Contestant(words, loop)
    for style, words in STYLES.items()
    for suffix, loop in LOOPS.items()
}

# In C and C++, by what is measured.
FLOOR = "floor"
C_LIBRARY = "libws-c"
C_SERVER = {
    "echo": servers.SERVERS["libws"],
    # Without listeners the message of the only connection goes nowhere.
    "receive": servers.Server(
        [word.replace("--echo", "--broadcast") for word in servers.LIBWS] + ["--deflate", "off"]
    ),
}
C_SERVER["broadcast"] = C_SERVER["receive"]
NAMES = [FLOOR, C_LIBRARY, *CONTESTANTS]


def command(python, name, what, text=False, size=None):
    """The program as a client, or, with a port behind it, as a server."""
    contestant = CONTESTANTS[name]
    words = [python, os.path.join(HERE, "programs", contestant.words[0]), *contestant.words[1:]]
    words += [what, "--loop", contestant.loop]
    words += ["--text"] if text else []
    return words + (["--size", str(size)] if size else [])


def server(python, name, what):
    if name == FLOOR:
        return servers.SERVERS["floor"]
    if name == C_LIBRARY:
        return C_SERVER[what]
    return servers.Server([*command(python, name, what), "--port", "{port}"])


def client(python, build, name, what, text, size):
    if name == C_LIBRARY:
        words = [os.path.join(build, "bench", "client"), what, "--size", str(size)]
        return words + (["--text"] if text else [])
    return command(python, name, what, text, size)


def output(words, cpu):
    """What the program prints; it may also say that something it needs is not there."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        timeout=START_S,
        cwd="/",  # `-c` looks for modules in the folder it is started in: not ours
        preexec_fn=servers.pin(cpu),
    )
    if done.returncode == 0:
        return done.stdout
    why = servers.reason_in(done.stderr) or servers.ending(done.returncode)
    missing = why.startswith(("ModuleNotFoundError", "ImportError", "AttributeError: module"))
    raise servers.NotRun(why) if missing else servers.Failed(f"{words[0]}: {why}")

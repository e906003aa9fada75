#!/usr/bin/env python3
"""Fails when an #include breaks the architecture: dependencies point down only.

    api -> server, client, pubsub -> conn -> net, protocol -> base

protocol and net do not know each other, nor do server, client and pubsub.  A public header
belongs to the layer that implements it, and may be included from where that layer may be.
What stands on the public API (cli, bindings, libws-redis, examples, bench, tests/api, tests/redis)
sees nothing else.

Fails too when two files define a class of one name: the linker would take one for the other.
"""

import argparse
import fnmatch
import pathlib
import re
import sys

# Each layer and those it may include, besides itself.
BELOW = {
    "base": set(),
    "protocol": {"base"},
    "net": {"base"},
    "conn": {"base", "protocol", "net"},
    "server": {"base", "protocol", "net", "conn"},
    "client": {"base", "protocol", "net", "conn"},
    "pubsub": {"base", "protocol", "net", "conn"},
    "api": {"base", "protocol", "net", "conn", "server", "client", "pubsub"},
}

# The layer of each public header.  ws.h includes them all and is for applications.
PUBLIC = {
    "base.h": "base",
    "message.h": "protocol",
    "config.h": "protocol",
    "request.h": "protocol",
    "engine.h": "protocol",
    "loop.h": "net",
    "tls.h": "net",
    "conn.h": "conn",
    "server.h": "server",
    "metrics.h": "server",
    "pool.h": "server",
    "handover.h": "server",
    "router.h": "server",
    "files.h": "server",
    "client.h": "client",
    "sync.h": "client",
    "hub.h": "pubsub",
    "redis.h": "api",
    "experimental.h": "api",
}
UMBRELLA = "ws.h"

# Where the public API is all there is.
APPLICATIONS = ["bindings", "cli", "examples", "bench", "libws-redis", "tests/api", "tests/redis"]
# Programs that time one internal function.
INTERNAL_PROGRAMS = ["bench/micro_*.cpp"]

# Headers with one door: (what, why, where it is allowed).
DOORS = [
    ("openssl/*.h", "OpenSSL", ["base/crypto.cpp", "net/tls_*.*", "net/transport*"]),
    ("zlib.h", "zlib", ["protocol/inflater.*", "protocol/deflater.cpp"]),
    ("isa-l.h isa-l/*.h", "ISA-L", ["protocol/isal_deflater.cpp"]),
    (
        r"sys/socket.h sys/epoll.h sys/event.h sys/eventfd.h sys/ioctl.h sys/select.h sys/stat.h "
        r"sys/timerfd.h sys/uio.h sys/un.h netinet/*.h arpa/inet.h netdb.h poll.h ifaddrs.h "
        r"net/if.h fcntl.h unistd.h",
        "the system",
        [
            "base/system.*",
            "net/*",
            # inet_pton() checks an address literal; it opens nothing.
            "protocol/origin.cpp:arpa/inet.h",
            "protocol/origin.cpp:netinet/in.h",
            # The same.
            "protocol/proxy_header.cpp:arpa/inet.h",
            "protocol/proxy_header.cpp:netinet/in.h",
            # fcntl(F_DUPFD_CLOEXEC): an inherited descriptor is duplicated, so the caller keeps his.
            "server/listen.cpp:fcntl.h",
        ],
    ),
    (
        "chrono ctime time.h sys/time.h",
        "a clock",
        [
            "base/system.*",
            "net/*",
            # The Date field of an HTTP answer is wall time, which the loop does not keep.
            "conn/conn_shared.cpp:ctime",
        ],
    ),
    (
        "thread mutex condition_variable future semaphore pthread.h",
        "threads",
        [
            "base/*",
            "net/*",
            "conn/*",
            "pubsub/*",
            "server/pool*",
            # pthread_atfork(), so that a child does not repeat its parent's masks.
            "protocol/random_pool.cpp:pthread.h",
        ],
    ),
    ("iostream fstream sstream iomanip filesystem regex locale", "streams", []),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
SOURCES = {".c", ".cpp", ".h", ".hpp"}


class Include:
    def __init__(self, path, line, quoted, name):
        self.path, self.line, self.quoted, self.name = path, line, quoted, name

    def complain(self, text):
        return f"{self.path}:{self.line}: {text}"


def includes(root, directory):
    for path in sorted((root / directory).rglob("*")):
        if path.suffix not in SOURCES or not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match:
                relative = path.relative_to(root).as_posix()
                yield Include(relative, number, match.group(1) is not None, match[1] or match[2])


def check_arrow(include, source, target, what):
    if target == source or target in BELOW[source]:
        return []
    return [include.complain(f"{source} may not include {what} (layer {target})")]


def check_public_use(include, layer):
    """A <libws/x.h> seen from `layer`."""
    header = include.name.split("/", 1)[1]
    if header == UMBRELLA:
        return [include.complain(f"<libws/{UMBRELLA}> is for applications: include what is used")]
    if header not in PUBLIC:
        return [include.complain(f"<{include.name}> has no layer in tools/check_layers.py")]
    return check_arrow(include, layer, PUBLIC[header], f"<{include.name}>")


def check_doors(include):
    inside = include.path.split("/", 1)[1]
    for patterns, what, allowed in DOORS:
        if not any(fnmatch.fnmatchcase(include.name, pattern) for pattern in patterns.split()):
            continue
        for place in allowed:
            file, _, only = place.partition(":")
            if fnmatch.fnmatchcase(inside, file) and only in ("", include.name):
                return []
        return [include.complain(f"<{include.name}> ({what}) is not for this file")]
    return []


def check_library(root):
    for include in includes(root, "libws"):
        parts = include.path.split("/")
        layer = parts[1] if len(parts) > 2 else None
        if layer not in BELOW:
            yield include.complain("not in a layer's directory")
        elif include.quoted:
            target = include.name.split("/")
            if target[0] != "libws" or len(target) != 3 or target[1] not in BELOW:
                yield include.complain(f'"{include.name}": write it as "libws/LAYER/FILE"')
            elif not (root / include.name).is_file():
                yield include.complain(f'"{include.name}" does not exist')
            else:
                yield from check_arrow(include, layer, target[1], f'"{include.name}"')
        elif include.name.startswith("libws/"):
            yield from check_public_use(include, layer)
        else:
            yield from check_doors(include)


def check_public_headers(root):
    for include in includes(root, "include/libws"):
        header = include.path.rsplit("/", 1)[1]
        if include.quoted:
            yield include.complain(f'"{include.name}": public headers use <libws/...>')
        elif not include.name.startswith("libws/"):
            if include.name not in {"stddef.h", "stdint.h", "string.h"}:
                yield include.complain(f"<{include.name}> is not for a public header")
        elif header in PUBLIC:
            yield from check_public_use(include, PUBLIC[header])
    for path in sorted((root / "include" / "libws").glob("*.h")):
        if path.name not in PUBLIC and path.name != UMBRELLA:
            yield f"include/libws/{path.name}: has no layer in tools/check_layers.py"


def check_applications(root):
    for directory in APPLICATIONS:
        for include in includes(root, directory):
            if any(fnmatch.fnmatchcase(include.path, pattern) for pattern in INTERNAL_PROGRAMS):
                continue
            if include.name.startswith("libws/"):
                header = root / "include" / include.name
                if include.quoted or not header.is_file():
                    yield include.complain(
                        f"{include.name} is internal: {directory} sees <libws/*.h> only"
                    )
            elif include.quoted:
                target = (root / include.path).parent.joinpath(include.name).resolve()
                if (root / "libws").resolve() in target.parents:
                    yield include.complain(f'"{include.name}" reaches into libws/')


def check_cycles(root):
    """A cycle inside a layer, which the arrows between layers do not forbid."""
    graph = {}
    for include in includes(root, "libws"):
        if include.quoted:
            graph.setdefault(include.path, []).append(include.name)
    done, path = set(), []

    def visit(file):
        if file in path:
            yield f"{file}: includes itself through {' -> '.join(path[path.index(file):])}"
        elif file not in done:
            path.append(file)
            for target in graph.get(file, []):
                yield from visit(target)
            path.pop()
            done.add(file)

    for file in sorted(graph):
        yield from visit(file)


ANONYMOUS = re.compile(r"^namespace \{.*?^\}  // namespace$", re.MULTILINE | re.DOTALL)
CLASS = re.compile(r"^(?:class|struct|union|enum(?: class)?) ([\w:]+)[^;{()]*\{", re.MULTILINE)


def check_class_names(root):
    """The layers share a namespace.  What is not indented is defined in it."""
    first = {}
    for path in sorted((root / "libws").rglob("*.[ch]pp")):
        relative = path.relative_to(root).as_posix()
        for name in CLASS.findall(ANONYMOUS.sub("", path.read_text(encoding="utf-8"))):
            if first.setdefault(name, relative) != relative:
                yield f"{relative}: {name} is the name of a class in {first[name]} already"


def complaints(root):
    for check in (
        check_library,
        check_public_headers,
        check_applications,
        check_cycles,
        check_class_names,
    ):
        yield from check(root)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parent.parent,
        help="the repository",
    )
    found = list(complaints(parser.parse_args().root))
    for complaint in found:
        print(complaint)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

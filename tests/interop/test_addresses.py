"""Hosts with several addresses: the library's client takes the one that answers.  Most checks need
a network namespace of their own, in which a name has the addresses that they want."""
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import client
from certs import Authority
from harness import Server, Skip, main, same, scratch

QUICK = ("--max-size", "65536")
# A link whose other end answers nobody: 2001:db8::2 and 10.99.0.2 are on it, but not there.
COMMANDS = """ip link set lo up
ip link add hole0 type veth peer name hole1
ip link set hole1 up
ip addr add 2001:db8::1/64 dev hole0 nodad
ip addr add 10.99.0.1/24 dev hole0
ip link set hole0 up
ip neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev hole0
ip neigh add 10.99.0.2 lladdr 02:00:00:00:00:02 dev hole0
mount --bind {hosts} /etc/hosts"""
HOSTS = """127.0.0.1 localhost
::1 localhost
2001:db8::2 hole6.test
10.99.0.1 hole6.test
10.99.0.2 hole.test
127.0.0.1 both.test
::1 both.test
"""
INSIDE = "INTEROP_NAMESPACE"


def namespace(test):
    """Run the check in a namespace, by starting this program again with its name."""
    def outside():
        if INSIDE in os.environ:
            test()
            return
        for tool in ("unshare", "ip"):
            if shutil.which(tool) is None:
                raise Skip(f"{tool} is not installed")
        with scratch() as directory:
            hosts = Path(directory, "hosts")
            hosts.write_text(HOSTS)
            script = COMMANDS.format(hosts=hosts) + '\nexec "$@"\n'
            argv = ["unshare", "-rnm", "sh", "-ec", script, "sh", sys.executable, __file__,
                    test.__name__]
            r = subprocess.run(argv, capture_output=True, text=True, timeout=30,
                               env={**os.environ, INSIDE: "1"})
        if "\npass " in "\n" + r.stdout:
            return
        if "\nfail " not in "\n" + r.stdout:
            raise Skip(f"no network namespace: {(r.stderr.strip() or 'no reason')[:200]}")
        raise AssertionError(r.stdout.strip())
    outside.__name__ = test.__name__
    return outside


def timed(url, *options):
    start = time.monotonic()
    report = client.works(url, *QUICK, *options)
    return report, time.monotonic() - start


@namespace
def test_localhost_with_both_families_and_a_server_on_one():
    for address in ("127.0.0.1", "[::1]"):
        with Server("--echo", listen=[f"{address}:0"]) as s:
            for name in ("localhost", "both.test"):
                _, took = timed(f"ws://{name}:{s.port}/")
                assert took < 1, f"{name}, server on {address}: {took:.2f} s"
                assert s.logged("^ws: open "), s.log


@namespace
def test_server_on_both_families_is_reached_on_one_of_them():
    with Server("--echo", listen=["127.0.0.1:0"]) as s:
        with Server("--echo", listen=[f"[::1]:{s.port}"]) as t:
            timed(f"ws://localhost:{s.port}/")
            same(len(s.logged("^ws: open ")) + len(t.logged("^ws: open ")), 1, "connections")


@namespace
def test_first_address_that_never_answers_costs_a_moment():
    first = socket.getaddrinfo("hole6.test", 80, type=socket.SOCK_STREAM)[0][4][0]
    same(first, "2001:db8::2", "the system's first choice")
    with Server("--echo", listen=["10.99.0.1:0"]) as s:
        report, took = timed(f"ws://hole6.test:{s.port}/")
        assert took < 1, f"{took:.2f} s"
        same(report["attempts"], 1, "attempts")
        assert s.wait_log("^ws: open ")["peer"].startswith("10.99.0.1:"), s.log


@namespace
def test_only_address_that_never_answers_is_given_up_in_time():
    start = time.monotonic()
    report = client.refused("ws://hole.test:9/", client.TIMEOUT, [], "--handshake-ms", 500)
    took = time.monotonic() - start
    assert 0.4 < took < 2 and report["detail"], f"{took:.2f} s, {client.told(report)}"


# bad: 252
@namespace
def test_name_without_an_address_is_told():
    report = client.refused("ws://nobody.invalid/", client.DNS, ["nobody.invalid"])
    same(report["attempts"], 1, "attempts")


def test_unix_sockets_are_reached_plain_and_over_tls():
    with scratch() as directory:
        authority = Authority(directory)
        cert, key = authority.issue()
        for options in ((), ("--tls-cert", cert, "--tls-key", key)):
            with Server("--echo", *options, listen=[f"unix:{directory}/s"]) as s:
                scheme = "wss+unix" if options else "ws+unix"
                report = client.works(f"{scheme}://{directory}/s:/a?b", *QUICK, "--cacert",
                                      authority.ca)
                same(bool(report["tls"]), bool(options), "TLS")
                assert s.wait_log("^ws: open ")["path"].startswith("/a"), s.log
        client.refused(f"ws+unix://{directory}/none", client.CONNECT, ["No such file"])


@namespace
def test_refusals_of_all_addresses_are_told():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as s:
        port = s.getsockname()[1]
    client.refused(f"ws://localhost:{port}/", client.CONNECT, ["refused"])


main(__name__)

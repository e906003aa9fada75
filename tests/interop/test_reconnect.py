"""The library's client while its server is killed and comes back, again and again."""
import signal
import time

import client
import peers
from certs import Authority
from harness import Server, main, same, scratch

QUICK = ("--retry-ms", "5:20", "--deadline-ms", "35000")


def run_rounds(rounds, url, server_options, client_options=()):
    """Kill the server after each round; the client queues messages while it is down, and a round
    ends when all of them came back in order.  Returns what the client weighed, early and late."""
    port = int(url.split(":")[2].strip("/"))
    listen = (f"127.0.0.1:{port}",)
    weights = []
    with client.Staying(url, "--rounds", rounds, "--queue", 5, *QUICK, *client_options) as c:
        for i in range(1, rounds + 1):
            with Server("--echo", *server_options, listen=listen) as s:
                c.wait_line(f"round {i} ")
                if i in (rounds // 5, rounds - 1):
                    weights.append((c.descriptors(), c.memory()))
                if i < rounds:
                    s.signal(signal.SIGKILL)
                else:
                    report = c.report()
    assert report["ok"], client.told(report)
    same((report["rounds"], report["messages"], report["opened"]), (rounds, 5 * rounds, rounds))
    same((report["code"], report["clean"]), (1000, True), "the last end")
    same(c.log.count("down"), rounds - 1, "times it was told that the connection was lost")
    return weights


def check_weights(weights):
    (early_fds, early_bytes), (late_fds, late_bytes) = weights
    same(late_fds, early_fds, "descriptors")
    grown = late_bytes - early_bytes
    assert grown < 512 << 10, f"grew by {grown >> 10} KiB"


# bad: 259
def test_client_returns_100_times_and_delivers_what_it_queued():
    url = f"ws://127.0.0.1:{peers.free_port()}/"
    check_weights(run_rounds(100, url, ()))


def test_client_returns_50_times_over_tls():
    with scratch() as directory:
        authority = Authority(directory)
        cert, key = authority.issue()
        url = f"wss://127.0.0.1:{peers.free_port()}/"
        check_weights(run_rounds(50, url, ("--tls-cert", cert, "--tls-key", key),
                                 ("--cacert", authority.ca)))


# bad: 259
def test_server_killed_at_any_moment_is_told_and_nothing_hangs():
    with scratch() as directory:
        authority = Authority(directory)
        cert, key = authority.issue()
        seen = set()
        for options in ((), ("--tls-cert", cert, "--tls-key", key)):
            for i in range(25):
                with Server("--echo", *options) as s, \
                        client.Staying(s.url, "--cacert", authority.ca) as c:
                    time.sleep(0.008 * i)            # the last ones have sent megabytes by then
                    s.signal(signal.SIGKILL)
                    report = c.report(5)
                seen.add(report["error"])
                assert report["ok"] or report["detail"], client.told(report)
                assert report["wrong"] == "", client.told(report)
        allowed = {0, client.EOF, client.IO, client.CONNECT}
        assert seen <= allowed and client.EOF in seen, f"errors {seen}"


def test_client_that_may_not_retry_tells_how_it_ended():
    port = peers.free_port()
    report = client.refused(f"ws://127.0.0.1:{port}/", client.CONNECT, ["refused"])
    same(report["attempts"], 1, "attempts")
    report = client.refused(f"ws://127.0.0.1:{port}/", client.CONNECT, ["refused"], "--retries",
                            3, "--retry-ms", "5:20")
    same(report["attempts"], 4, "attempts")


def test_refusals_that_will_not_change_are_not_retried():
    with Server("--echo") as s:
        report = client.refused(s.url, client.HTTP_STATUS, [], "-H", "Origin: https://evil.example",
                                "--retries", 3, "--retry-ms", "5:20")
        same((report["attempts"], report["http_status"]), (1, 403))


main(__name__)

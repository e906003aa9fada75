"""The program client_echo, and what it reports.  Standard library only."""
import contextlib
import json
import os
import subprocess
import threading
from pathlib import Path

from harness import Server, same

CLIENT = os.environ["INTEROP_BUILD"] + "/tests/interop/client_echo"
PROXY_VARIABLES = ("ws_proxy", "wss_proxy", "http_proxy", "https_proxy", "all_proxy", "no_proxy")

# enum ws_error
(TIMEOUT, IO, DNS, CONNECT, EOF, PROXY, TLS, TLS_CONFIG, TLS_VERIFY, HTTP, HTTP_STATUS) = (
    -9, -20, -21, -22, -23, -25, -40, -41, -42, -60, -61)


def environment(changes=None):
    """Without the proxies of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items()
            if name.lower() not in PROXY_VARIABLES}
    return {**kept, **(changes or {})}


def connect_all(url, *options, env=None, seconds=25):
    """Its reports, one for each connection.  The client never crashes, and never says nothing."""
    words = [CLIENT, *map(str, options), url]
    r = subprocess.run(words, capture_output=True, text=True, env=environment(env), timeout=seconds)
    assert r.returncode in (0, 1), f"client_echo: status {r.returncode}: {r.stderr[-2000:]}"
    reports = [json.loads(line) for line in r.stdout.splitlines() if line.startswith("{")]
    assert reports, f"client_echo: no report: {r.stderr[-2000:]}"
    same(r.returncode, 0 if reports[-1]["ok"] else 1, "exit status")
    return reports


def connect(url, *options, **kw):
    return connect_all(url, *options, **kw)[-1]


def works(url, *options, messages=None, **kw):
    """The report of a connection on which everything went well."""
    report = connect(url, *options, **kw)
    assert report["ok"], f"{url}: {told(report)}"
    same((report["error"], report["code"], report["sent_code"], report["clean"]),
         (0, 1000, 1000, True), "end")
    same((report["opened"], report["pongs"], report["status"]), (1, 1, 101), "opens, pongs, status")
    if messages is not None:
        same(report["messages"], messages, "messages")
    return report


def told(report):
    names = ("error", "error_text", "detail", "http_status", "wrong")
    return {name: report[name] for name in names}


def refused(url, error, words, *options, **kw):
    """The report of a connection that must not open: with this error, and a detail that has all
    of `words`."""
    report = connect(url, *options, **kw)
    same((report["opened"], report["error"]), (0, error), f"opened and error ({told(report)})")
    for word in words:
        assert word in report["detail"], f"{word!r} is not in the detail: {report['detail']!r}"
    return report


class Staying:
    """client_echo with --rounds, whose lines are read as they come."""

    def __init__(self, url, *options):
        self.argv = [CLIENT, *map(str, options), url]
        self.log = []
        self._changed = threading.Condition()

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env=environment())
        Server.running.append(self)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, kind, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        if kind is None:
            Server.running.remove(self)

    def _read(self):
        for line in self.process.stdout:
            with self._changed:
                self.log.append(line.rstrip("\n"))
                self._changed.notify_all()

    def wait_line(self, beginning, seconds=10):
        """The first line with this beginning."""
        def found():
            return next((line for line in list(self.log) if line.startswith(beginning)), None)
        with self._changed:
            came = self._changed.wait_for(
                lambda: found() or not self._reader.is_alive(), seconds)
        assert came and found(), f"no line {beginning!r}, the last are {self.log[-3:]}"
        return found()

    def report(self, seconds=10):
        self.process.wait(seconds)
        self._reader.join(5)
        return json.loads(self.log[-1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        """Resident bytes; always 0 under a sanitizer, which keeps what is freed."""
        if "libasan" in Path(f"/proc/{self.process.pid}/maps").read_text():
            return 0
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

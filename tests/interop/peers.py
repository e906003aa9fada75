"""Programs of others that the suites start: each on free ports of loopback, with its files in a
directory of the test's, stopped when the `with` ends.  Standard library only."""
import contextlib
import os
import socket
import subprocess
from pathlib import Path

from harness import Server, until

HERE = Path(__file__).resolve().parent


def free_ports(count):
    """Ports that nobody had a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def free_port():
    return free_ports(1)[0]


def takes_connections(port, host="127.0.0.1"):
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


class Program:
    """A process that is ready when it takes connections on all its `ports`.  What it prints is its
    log, which a failed check shows."""

    def __init__(self, argv, ports, directory, env=None):
        self.argv, self.ports = [str(word) for word in argv], list(ports)
        self.port = self.ports[0] if self.ports else None
        self.env = {**os.environ, **(env or {})}
        self.output = Path(directory) / f"{Path(argv[0]).name}-{self.port}.log"
        self.last_words = None                       # once it has ended

    def __enter__(self):
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, env=self.env)
        Server.running.append(self)
        try:
            for port in self.ports:
                until(lambda: self._is_ready(port), 10, f"{self.argv[0]} does not take connections")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind, *_):
        self._stop()
        if kind is None:
            Server.running.remove(self)

    def _is_ready(self, port):
        status = self.process.poll()
        assert status is None, f"{self.argv[0]} ended with status {status}: {self.log[-1:]}"
        return takes_connections(port)

    @property
    def log(self):
        if self.last_words is not None:
            return self.last_words
        return self.output.read_text(errors="replace").splitlines()

    def _stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(3)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.last_words = self.log

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def substituted(name, changes, tls_port):
    """The text of a configuration in proxy/, each key of `changes` replaced where it stands, which
    must be exactly once: so what the documentation quotes is what runs."""
    text = (HERE / "proxy" / name).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        text = text.replace(old, new.replace("TLS_PORT", str(tls_port)))
    return text


def nginx(directory, upstream, certificate, read_timeout="60s", changes=None):
    """Ports: plain, TLS."""
    plain, tls = free_ports(2)
    cert, key = certificate
    Path(directory, "site.conf").write_text(substituted("nginx.conf", {
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "127.0.0.1:9001": upstream,
        "/etc/ssl/example.com.pem": cert,
        "/etc/ssl/example.com.key": key,
        "proxy_read_timeout 60s": f"proxy_read_timeout {read_timeout}",
        **(changes or {})}, tls))
    temporary = "".join(f"  {kind}_temp_path {directory}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    Path(directory, "nginx.conf").write_text(
        ("user root;\n" if os.getuid() == 0 else "")
        + f"daemon off; pid {directory}/nginx.pid; error_log stderr; worker_processes 1;\n"
        + f"events {{ worker_connections 1024; }}\nhttp {{\n  access_log off;\n{temporary}"
        + f"  include {directory}/site.conf;\n}}\n")
    return Program(["nginx", "-p", directory, "-e", "stderr",
                    "-c", f"{directory}/nginx.conf"], [plain, tls], directory)


def haproxy(directory, upstream, certificate, read_timeout="60s", changes=None):
    """Ports: plain, TLS."""
    plain, tls = free_ports(2)
    path = Path(directory, "haproxy.cfg")
    path.write_text(substituted("haproxy.cfg", {
        "bind :80": f"bind 127.0.0.1:{plain}",
        "bind :443": f"bind 127.0.0.1:{tls}",
        "127.0.0.1:9001": upstream,
        "/etc/ssl/example.com.both.pem": joined(*certificate),
        "timeout tunnel       60s": f"timeout tunnel {read_timeout}",
        "inter 2s": "inter 200ms",
        **(changes or {})}, tls))
    return Program(["haproxy", "-db", "-f", path], [plain, tls], directory)


def joined(cert, key):
    """One file with both, as HAProxy takes them."""
    path = cert.removesuffix(".pem") + ".both.pem"
    Path(path).write_text(Path(cert).read_text() + Path(key).read_text())
    return path

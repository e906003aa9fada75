"""Restarting `ws serve --takeover` under clients that connect all the time; threads; sockets and
notes of systemd, played by the test."""
import contextlib
import os
import signal
import socket
import subprocess
import threading

from harness import WS, Server, main, same, scratch

CLIENTS = 200
RESTARTS = 20
REQUEST = (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def open_once(port):
    """Connects, and returns the socket once the answer to the upgrade is 101."""
    s = socket.create_connection(("127.0.0.1", port), 20)
    s.sendall(REQUEST)
    head = b""
    while b"\r\n\r\n" not in head:
        more = s.recv(1)
        if not more:
            raise AssertionError(f"ended after {head!r}")
        head += more
    assert head.startswith(b"HTTP/1.1 101 "), head
    return s


class Clients:
    """Threads that connect, stay until the server closes, and connect again."""

    def __init__(self, port):
        self.port, self.refused, self.opened, self.over = port, [], 0, False
        self._lock = threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]
        for t in self.threads:
            t.start()

    def _run(self):
        while not self.over:
            try:
                s = open_once(self.port)
            except (OSError, AssertionError) as e:
                if not self.over:
                    self.refused.append(repr(e))
                return
            with self._lock:
                self.opened += 1
            s.settimeout(0.2)
            while not self.over:
                try:
                    data = s.recv(100)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if not data:
                    break
                if data[0] == 0x88:                  # Close, answered as a browser would
                    with contextlib.suppress(OSError):
                        s.sendall(b"\x88\x82\0\0\0\0" + data[2:4])
            s.close()


def start(path, *options):
    argv = [WS, "serve", "--quiet", "--takeover", path, *options]
    p = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    assert " on ws://" in line, (line, p.poll(), p.stderr.read() if p.poll() is not None else "")
    return p, int(line.split(" on ", 1)[1].split(" ")[0].rsplit(":", 1)[1].rstrip("/\n"))


def test_twenty_restarts_refuse_none_of_200_clients():
    with scratch() as directory:
        path = os.path.join(directory, "takeover")
        old, port = start(path, "--listen", "127.0.0.1:0", "--threads", "2")
        clients = Clients(port)
        try:
            for _ in range(RESTARTS):
                new, new_port = start(path, "--listen", "127.0.0.1:0", "--threads", "2")
                same(new_port, port, "port")
                same(old.wait(10), 0, "exit status of the old process")
                old.stdout.close(), old.stderr.close()
                old = new
                same(clients.refused, [], "refused")
            same(clients.refused, [], "refused")
            assert clients.opened >= CLIENTS, clients.opened
        finally:
            clients.over = True
            old.send_signal(signal.SIGTERM)
            status = old.wait(10)
            old.stdout.close(), old.stderr.close()
            for t in clients.threads:
                t.join(10)
        same(status, 0, "exit status")
        assert not os.path.exists(path)


def test_takeover_that_is_killed_leaves_the_old_server():
    with scratch() as directory:
        path = os.path.join(directory, "takeover")
        old, port = start(path, "--listen", "127.0.0.1:0")
        with socket.socket(socket.AF_UNIX) as taker:
            taker.connect(path)
            assert taker.recv(100).startswith(b"ws-handover 1\n")
        open_once(port).close()
        assert old.poll() is None
        old.send_signal(signal.SIGTERM)
        same(old.wait(10), 0, "exit status")
        old.stdout.close(), old.stderr.close()


def test_threads_serve_files_and_echo_and_refuse_chat():
    with Server("--threads", "4") as s:
        for _ in range(8):
            with open_once(s.port) as c:
                c.sendall(b"\x81\x82\0\0\0\0hi")
                same(c.recv(10), b"\x81\x02hi", "echo")
        s.wait_log("^ws: close ", 8)
    with Server("--threads", "0"):
        pass
    for words in (("--chat", "--threads", "2"), ("--broadcast", "--threads", "0")):
        r = subprocess.run([WS, "serve", *words], capture_output=True, text=True, timeout=20)
        same(r.returncode, 2, "exit status")
        assert "one thread" in r.stderr, r.stderr
    for bad in ("1025", "-1", "x"):
        r = subprocess.run([WS, "serve", "--threads", bad], capture_output=True, timeout=20)
        same(r.returncode, 2, "exit status")


def test_sockets_of_systemd_are_served_and_notes_are_sent():
    with scratch() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notes, \
            socket.create_server(("127.0.0.1", 0)) as listening:
        where = os.path.join(directory, "notify")
        notes.bind(where)
        notes.settimeout(10)
        port = listening.getsockname()[1]
        script = ('exec 3<&"$1"; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=x NOTIFY_SOCKET="$2" '
                  'exec "$0" serve --quiet')
        p = subprocess.Popen(["bash", "-c", script, WS, str(listening.fileno()), where],
                             stdout=subprocess.PIPE, text=True, pass_fds=[listening.fileno()])
        try:
            assert f"127.0.0.1:{port}/" in p.stdout.readline()
            ready = notes.recv(200).decode()
            same(ready, f"READY=1\nMAINPID={p.pid}", "note")
            open_once(port).close()
        finally:
            p.send_signal(signal.SIGTERM)
            status = p.wait(10)
            p.stdout.close()
        same(notes.recv(200), b"STOPPING=1", "note")
        same(status, 0, "exit status")


main(__name__)

"""Chromium, headless, as a client of libws's servers: a page of the server's own opens WebSockets,
and tells what came of it over a last one."""

import os
import queue
import shutil
import signal
import subprocess

import pytest
from interop_support import DEADLINE_S, LAYERS, our_server
from libws.datastructures import Headers
from libws.http11 import Response

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_S = 60

# Nothing is done for its own sake: no GPU, no network but the loopback.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)

PAGE = """<!DOCTYPE html><meta charset="utf-8"><title>libws</title><script>
const to = (path) => `ws://${location.host}${path}`;

function open(path, protocols = []) {
  const socket = new WebSocket(to(path), protocols);
  socket.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error("no connection to " + path));
  });
}

const next = (socket) => new Promise((resolve) => (socket.onmessage = (e) => resolve(e.data)));

function ended(socket) {
  return new Promise((resolve) => {
    socket.onclose = (e) => resolve([e.code, e.reason, e.wasClean]);
  });
}

function same(got, wanted) {
  if (typeof wanted === "string") return got === wanted;
  const bytes = new Uint8Array(got);
  return bytes.length === wanted.length && bytes.every((b, i) => b === wanted[i]);
}

async function outcome() {
  const socket = await open("/", ["other", "chat"]);
  const result = { extensions: socket.extensions, protocol: socket.protocol };
  const binary = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * i);
  result.same = [];
  const texts = ["", "caf\\u00e9 \\u{1f600}", "a".repeat(1 << 20)];
  for (const message of [...texts, new Uint8Array(0), binary]) {
    const answer = next(socket);
    socket.send(message);
    result.same.push(same(await answer, message));
  }
  const end = ended(socket);
  socket.close(4002, "bye");
  result.closed = await end;
  result.refused = await ended(new WebSocket(to("/close/4001")));
  return result;
}

outcome()
  .catch((error) => ({ error: String(error) }))
  .then(async (result) => (await open("/outcome")).send(JSON.stringify(result)));
</script>
"""


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


def serve_page(connection, request):
    if "Upgrade" in request.headers:
        return None
    page = PAGE.encode()
    fields = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]
    return Response(200, "OK", Headers(fields), page)


def visit(browser, profile, url, tell):
    """Run the browser on the page until the page has told what it found."""
    log = profile / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [browser, *FLAGS, f"--user-data-dir={profile}", url],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": str(profile)},
            start_new_session=True,
        )
    try:
        return tell.get(timeout=START_S)
    except queue.Empty:
        raise AssertionError(f"{browser} told nothing: {log.read_text()[-2000:]}") from None
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session with all its processes
        process.wait(DEADLINE_S)


@pytest.mark.parametrize("compression", ["deflate", "dedicated", None])
@pytest.mark.parametrize("layer", LAYERS)
def test_browser_and_server_understand_each_other(layer, compression, browser, tmp_path):
    options = {"process_request": serve_page, "compression": compression}
    with our_server(layer, **options) as server:
        got = visit(browser, tmp_path, server.url().replace("ws:", "http:"), server.told)
        ends = [server.end(), server.end()]
    agreed = got.pop("extensions")
    assert agreed.startswith("permessage-deflate") if compression else agreed == ""
    assert got == {
        "protocol": "chat",
        "same": [True] * 5,
        "closed": [4002, "", True],  # the reason is not sent back
        "refused": [4001, "reason", True],
    }
    assert ends[0] == (4002, "bye")
    assert ends[1][0] == 4001

"""`ws serve --metrics`: its figures read by the strict parser of prometheus_client, by promtool and
by a running Prometheus."""
import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from harness import Server, main, same, scratch, until

TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Metered(Server):
    def __init__(self, *options):
        super().__init__("--metrics", "127.0.0.1:0", *options)
        self.count = 2                               # lines on standard output

    @property
    def metrics(self):
        return self.urls[1]


def get(url):
    with urllib.request.urlopen(url, timeout=5) as r:
        return r.headers["Content-Type"], r.read().decode()


def samples(url):
    """{name or (name, label value): value}"""
    found = {}
    for family in text_string_to_metric_families(get(url)[1]):
        for s in family.samples:
            found[(s.name, *s.labels.values()) if s.labels else s.name] = s.value
    return found


def test_metrics_are_openmetrics_and_tell_what_happened():
    async def talk(url):
        async with connect(url, compression=None) as ws:
            for _ in range(3):
                await ws.send("hello")
                same(await ws.recv(), "hello")
            return await asyncio.to_thread(samples, s.metrics)

    with Metered() as s:
        same(get(s.metrics)[0], TYPE)
        open_now = asyncio.run(talk(s.url))
        same([open_now[f"libws_{n}"] for n in ("connections", "messages_received_total",
                                               "messages_sent_total", "closed_clean_total")],
             [1, 3, 3, 0])
        s.wait_log("^ws: close ")
        after = samples(s.metrics)
        same([after[f"libws_{n}"] for n in ("connections", "messages_received_total",
                                            "messages_sent_total", "closed_clean_total")],
             [0, 3, 3, 1])
        same(after["libws_closed_total", "1000"], 1)
        assert after["libws_turn_seconds_count"] >= 1


def test_metrics_are_not_on_the_address_of_the_websockets():
    with Metered() as s:
        for url, status in ((s.http + "/metrics", 426), (s.metrics + "/x", 404)):
            try:
                get(url)
                raise AssertionError(url)
            except urllib.error.HTTPError as e:
                same(e.code, status, url)


def test_metrics_are_parsed_by_promtool():
    """Its linter reads the format of before OpenMetrics, in which the name of a counter in TYPE and
    HELP has `_total`, as it must not have here; nothing else may be wrong."""
    with Metered() as s:
        r = subprocess.run(["promtool", "check", "metrics"], input=get(s.metrics)[1], text=True,
                           capture_output=True, timeout=20)
    assert r.returncode in (0, 3), (r.returncode, r.stdout, r.stderr)   # 1: not parsed
    for line in (r.stdout + r.stderr).splitlines():
        assert re.fullmatch(r"libws_\w+_total no help text", line), line


@contextlib.contextmanager
def prometheus(target):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with scratch() as directory:
        config = Path(directory, "prometheus.yml")
        config.write_text("global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
                          "scrape_configs:\n  - job_name: ws\n    static_configs:\n"
                          f"      - targets: ['{target}']\n")
        process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield f"http://127.0.0.1:{port}/api/v1/query?query="
        finally:
            process.terminate()
            process.wait(20)


def ask(api, query):
    try:
        answer = json.loads(get(api + urllib.parse.quote(query))[1])
    except OSError:                                  # it has not begun to listen
        return None
    result = answer["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def test_metrics_are_scraped_by_prometheus():
    async def talk():
        async with connect(s.url), connect(s.url):
            await asyncio.to_thread(until, lambda: ask(api, "libws_connections") == 2, 20)
            same(await asyncio.to_thread(ask, api, "up"), 1.0)
            same(await asyncio.to_thread(ask, api, "libws_opened_total"), 2.0)

    assert shutil.which("prometheus")
    with Metered() as s, prometheus(s.metrics.split("/")[2]) as api:
        asyncio.run(talk())


main(__name__)

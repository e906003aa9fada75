"""Nothing is left of connections that were."""

import gc
import os

import pytest
import support
from libws.asyncio.client import connect

CYCLES = 2000
WARM = 200


def resident_kb():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4


@pytest.mark.skipif(not hasattr(gc, "freeze"), reason="CPython only")
def test_connections_opened_and_closed_leave_nothing_behind():
    async def cycle(url):
        async with connect(url, compression=None) as client:
            await client.send("x")
            assert await client.recv() == "x"

    async def main():
        async with support.serving() as (_, url):
            for _ in range(WARM):
                await cycle(url)
            gc.collect()
            objects, kilobytes = len(gc.get_objects()), resident_kb()
            for _ in range(CYCLES):
                await cycle(url)
            gc.collect()
            return len(gc.get_objects()) - objects, resident_kb() - kilobytes

    # Debug mode is slow, and keeps tracebacks.
    objects, kilobytes = support.run(main(), debug=False)
    assert objects < 50
    assert kilobytes < 2048 or "libasan" in os.environ.get("LD_PRELOAD", "")

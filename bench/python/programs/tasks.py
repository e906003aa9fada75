"""What asyncio itself takes for a task for each of N connections that wait: no sockets, no library.

Prints the memory this process grew by for each of them, as bench/idle does for a server.
"""

import argparse
import asyncio
import json

SETTLE_S = 1  # as bench/idle rests before a reading


def memory():
    """Pss and anonymous memory of this process, in bytes."""
    found = {}
    with open("/proc/self/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            name, value = line.split()[:2]
            if name in ("Pss:", "Anonymous:"):
                found[name] = int(value) * 1024
    return found["Pss:"], found["Anonymous:"]


async def handler(future):
    await future


async def start(count):
    loop = asyncio.get_running_loop()
    futures = [loop.create_future() for _ in range(count)]
    tasks = [asyncio.create_task(handler(future)) for future in futures]
    await asyncio.sleep(SETTLE_S)
    return futures, tasks


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    count = parser.parse_args().count
    kept = [await start(1)]
    before = memory()
    kept.append(await start(count))
    after = memory()
    each = [(late - early) / count for early, late in zip(before, after, strict=True)]
    print(json.dumps({"pss_per_connection": each[0], "anonymous_per_connection": each[1]}))
    for futures, tasks in kept:
        for future in futures:
            future.set_result(None)
        await asyncio.wait(tasks)


asyncio.run(main())

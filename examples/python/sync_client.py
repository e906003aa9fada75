"""Send each argument, then print all that arrives; no asyncio: sync_client.py URL MESSAGE..."""

import sys

from libws.sync.client import connect


def main(url, messages):
    with connect(url) as websocket:
        for message in messages:
            websocket.send(message)
        for message in websocket:
            print(message, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])

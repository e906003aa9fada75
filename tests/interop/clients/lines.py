"""What the Python clients share: cases in, reports out, a line of JSON for each.  `run(case,
messages)` gives the fields "answer", the server's header, and "sends", what the client thinks it
may do: takeover and window; or else "wrong"."""
import asyncio
import base64
import functools
import json

CASE_SECONDS = 20


@functools.lru_cache
def read_messages(path):
    """Lists of str or bytes, of which each is a message."""
    with open(path) as file:
        return [m["text"] if "text" in m else [base64.b64decode(piece) for piece in m["binary"]]
                for m in json.load(file)]


async def serve_lines(run, lines):
    for line in lines:
        case = json.loads(line)
        report = {"answer": None, "sends": None, "wrong": None}
        try:
            messages = read_messages(case["messages"])
            report.update(await asyncio.wait_for(run(case, messages), CASE_SECONDS))
        except Exception as e:
            report["wrong"] = f"{type(e).__name__}: {e}"
        print(json.dumps(report), flush=True)

#!/usr/bin/env python3
"""Ties what the RFCs require to the tests that prove it.

tests/requirements.json states the requirements, tests/hostile.json the hostile inputs.  A test
says which of them it proves, on lines of their own directly above the test function or the
table entry:

    // req: 31, 32          /* req: 31, 32 */          # req: 31, 32
    // bad: 5               /* bad: 5 */               # bad: 5

requirements.py              write docs/requirements.md
requirements.py --check      fail if that file is stale, a tag is wrong or a requirement that
                             is built has no test
requirements.py --missing    list what has no test yet
"""

import argparse
import json
import pathlib
import re
import sys

TAG = re.compile(r"^\s*(?://|/\*|#)\s*(req|bad)\b(:?)\s*(.*?)\s*(?:\*/)?\s*$")
NUMBERS = re.compile(r"^\d+(?:\s*,\s*\d+)*$")
SUFFIXES = {".c", ".cpp", ".h", ".hpp", ".py", ".sh", ".js", ".mjs", ".cjs", ".ts", ""}
SKIPPED_DIRECTORIES = {"node_modules", "__pycache__"}

# What may stand between a tag and its test: nothing but comments and decorators.
BETWEEN = re.compile(r"^\s*(?://|/\*|\*|#|@)")
FUNCTIONS = {
    "c": re.compile(r"^\s*(?:static\s+)?(?:inline\s+)?(?:void|int|bool)\s+(\w+)\s*\("),
    "python": re.compile(r"^\s*(?:async\s+)?def\s+(\w+)\s*\("),
    "script": re.compile(r"^\s*(?:export\s+)?(?:async\s+)?(?:function\s+)?([\w-]+)\s*\([^)]*\)\s*\{"),
}
# A table entry, and the words in it that can name it.
ENTRY = re.compile(r"^\s*[{(\[\"']")
NAME = re.compile(r"""["'`]([\w .,:/=+-]{3,60})["'`]""")


class Tree:
    """The repository: where the lists, the tests and the table are."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.tests = self.root / "tests"
        self.table = self.root / "docs" / "requirements.md"

    def load(self, name):
        path = self.tests / name
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def language(path):
    if path.suffix in {".c", ".cpp", ".h", ".hpp"}:
        return "c"
    return "python" if path.suffix == ".py" else "script"


def source_files(tests):
    for path in sorted(tests.rglob("*")):
        parts = path.relative_to(tests).parts
        hidden = any(part.startswith(".") or part in SKIPPED_DIRECTORIES for part in parts)
        if path.is_file() and path.suffix in SUFFIXES and not hidden:
            yield path


def function_at(line, kinds):
    matches = (FUNCTIONS[kind].match(line) for kind in kinds)
    return next((match.group(1) for match in matches if match), None)


def tagged(lines, index, kinds):
    """(test function, name of the table entry or None) for a tag just above lines[index].

    A tag inside a function belongs to that function."""
    while index < len(lines) and BETWEEN.match(lines[index]):
        index += 1
    if index == len(lines) or not lines[index].strip():
        return None, None
    function = function_at(lines[index], kinds)
    if function:
        return function, None
    entry = None
    if ENTRY.match(lines[index]):
        # An entry may begin with a brace on a line of its own.
        match = NAME.search(" ".join(lines[index : index + 2]))
        entry = match.group(1) if match else None
    above = (function_at(line, kinds) for line in reversed(lines[:index]))
    return next((name for name in above if name), None), entry


def collect(tree):
    """({"req": {id: [test]}, "bad": {id: [test]}}, [complaint]) from the tags in tests/."""
    proofs = {"req": {}, "bad": {}}
    complaints = []
    for path in source_files(tree.tests):
        text = path.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()
        kinds = ["python", "script"] if path.suffix == "" else [language(path)]
        name = path.relative_to(tree.root).as_posix()
        for index, line in enumerate(lines):
            tag = TAG.match(line)
            if not tag:
                continue
            kind, colon, numbers = tag.groups()
            where = f"{name}:{index + 1}"
            if not colon or not NUMBERS.match(numbers):
                # Prose may begin with these words; with a number after them it is a tag.
                if colon or re.match(r"\d", numbers):
                    complaints.append(f"{where}: not a tag: {line.strip()}")
                continue
            test, entry = tagged(lines, index + 1, kinds)
            if test is None and entry is None:
                complaints.append(f"{where}: no test directly below this tag")
                continue
            if test and kinds == ["c"] and len(re.findall(rf"\b{test}\b", text)) < 2:
                complaints.append(f"{where}: {test} is tagged but never run")
            proof = f"{name[len('tests/'):]}:{entry or test}"
            for number in map(int, numbers.split(",")):
                tests = proofs[kind].setdefault(number, [])
                if proof not in tests:
                    tests.append(proof)
    return proofs, complaints


def unknown_numbers(proofs, requirements, hostile):
    for kind, known in (("req", requirements), ("bad", hostile)):
        ids = {entry["id"] for entry in known}
        for number in sorted(set(proofs[kind]) - ids) if ids else []:
            yield f"{', '.join(proofs[kind][number])}: there is no {kind}: {number}"


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def tests_cell(tests):
    return "<br>".join(f"`{test}`" for test in tests)


def render(requirements, hostile, proofs):
    built = [entry for entry in requirements if entry["status"] == "built"]
    later = [entry for entry in requirements if entry["status"] != "built"]
    out = [
        "# What the RFCs require, and the tests that prove it",
        "",
        "Written by `tools/requirements.py` from `tests/requirements.json`, `tests/hostile.json`",
        "and the tags in the tests: do not edit.  `tools/test` fails when this file is stale or",
        "when a line of the first table has no test.  Tests are below `tests/`.",
        "",
        "A section is of RFC 6455 (WebSocket), 9110 and 9112 (HTTP), 3629 (UTF-8), 7692",
        "(permessage-deflate) or 8441 (HTTP/2).",
        "",
        "## Built",
        "",
        "| # | role | section | requirement | tests |",
        "| --- | --- | --- | --- | --- |",
    ]
    for entry in built:
        out.append(
            f"| {entry['id']} | {entry['role']} | {entry['section']} | {cell(entry['statement'])} "
            f"| {tests_cell(proofs['req'].get(entry['id'], []))} |"
        )
    out += [
        "",
        "## Later",
        "",
        "What these belong to is not built yet.  Tests that are named here prove a part.",
        "",
        "| # | role | section | requirement | belongs to | tests |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in later:
        out.append(
            f"| {entry['id']} | {entry['role']} | {entry['section']} | {cell(entry['statement'])} "
            f"| {entry['part']} | {tests_cell(proofs['req'].get(entry['id'], []))} |"
        )
    tested = [entry for entry in hostile if entry["id"] in proofs["bad"]]
    if tested:
        out += [
            "",
            "## Hostile input",
            "",
            "The numbers of the `bad:` tags.  What each gets as its answer stands in the tests, and",
            "the limits in [limits.md](limits.md).",
            "",
            "| # | input or situation | tests |",
            "| --- | --- | --- |",
        ]
        for entry in tested:
            out.append(
                f"| {entry['id']} | {cell(entry['input'])} "
                f"| {tests_cell(proofs['bad'][entry['id']])} |"
            )
    return "\n".join(out) + "\n"


def untested(entries, proofs):
    return [e for e in entries if e.get("status") == "built" and not proofs.get(e["id"])]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="check instead of writing")
    parser.add_argument("--missing", action="store_true", help="list what has no test yet")
    parser.add_argument(
        "--root", default=pathlib.Path(__file__).resolve().parent.parent, help="the repository"
    )
    arguments = parser.parse_args()

    tree = Tree(arguments.root)
    requirements = tree.load("requirements.json")
    hostile = tree.load("hostile.json")
    proofs, complaints = collect(tree)
    complaints += unknown_numbers(proofs, requirements, hostile)
    table = render(requirements, hostile, proofs)
    missing = untested(requirements, proofs["req"])

    if arguments.missing:
        for entry in missing:
            print(f"req {entry['id']} ({entry['role']}, {entry['section']}): {entry['statement']}")
        for entry in untested(hostile, proofs["bad"]):
            print(f"bad {entry['id']}: {entry['input']}")
        return 0
    if arguments.check:
        for entry in missing:
            complaints.append(f"requirement {entry['id']} has no test: {entry['statement']}")
        current = tree.table.read_text(encoding="utf-8") if tree.table.exists() else ""
        if current != table:
            complaints.append("docs/requirements.md is stale: run tools/requirements.py")
    else:
        tree.table.parent.mkdir(exist_ok=True)
        tree.table.write_text(table, encoding="utf-8")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    if arguments.check and not complaints:
        built = sum(entry["status"] == "built" for entry in requirements)
        print(f"{built} of {len(requirements)} requirements are built, and each has a test")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())

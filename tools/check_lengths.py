#!/usr/bin/env python3
"""Fails when a C or C++ file is longer than 600 lines or a function longer than 70.

What outgrows that is split along what changes together.  The exceptions are few, each with its
reason, and each with a bound of its own.
"""

import argparse
import pathlib
import re
import sys

MAX_FILE = 600
MAX_FUNCTION = 70
DIRECTORIES = ["libws", "libws-redis", "include", "cli", "examples", "bench", "tests", "bindings"]

# A main() that only lists tests is a table, and its length says nothing.
TEST_LISTS = re.compile(r"^int main\(")

# path or path:function -> (bound, reason)
EXCEPTIONS = {
    "tests/unit/test_utf8.cpp": (800, "one reference validator and the vectors held against it"),
}

TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'
    # A quote between digits separates them.
    r"(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:\\\n|[^\n])*",
    re.DOTALL | re.MULTILINE,
)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum)\b|^\s*extern\s*$")


def blank(match):
    """Comments, literals and directives become spaces: the lines stay where they are."""
    return re.sub(r"[^\n]", " ", match.group(0))


def name_of(head):
    match = re.search(r"([\w:~]+)\s*\(", head)
    return match.group(1) if match else "?"


def is_scope(head):
    """Whether `head {` opens a namespace or a type, in which functions may be."""
    return "(" not in head and SCOPE.search(head) is not None


def functions(text):
    """(name, first line, last line) of each function body that is not inside another one."""
    text = TOKENS.sub(blank, text)
    depth = 0  # braces open inside the function we are in
    current = None  # (name, first line) of that function
    closed = False  # its braces are closed, but an initializer list may go on with a body
    last = 0
    start = 0  # where the head of the next brace begins
    for match in re.finditer(r"[{};]", text):
        mark, at = match.group(0), match.start()
        if current and not closed:
            depth += {"{": 1, "}": -1, ";": 0}[mark]
            if depth == 0:
                closed, last = True, text.count("\n", 0, at) + 1
                start = at + 1
            continue
        head = text[start:at]
        # `Name(int a) : a_{a}, b_{} {`: the braces of the initializers belong to the function.
        if current and mark == "{" and (not head.strip() or head.lstrip().startswith(",")):
            closed, depth = False, 1
            continue
        if current:
            yield (*current, last)
            current = None
        start = at + 1
        if mark == "{" and "(" in head and not is_scope(head):
            first = text.count("\n", 0, at - len(head.lstrip())) + 1
            current, closed, depth = (name_of(head), first), False, 1
    if current:
        yield (*current, last)


def check(path, name):
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = text.count("\n")
    bound = EXCEPTIONS.get(name, (MAX_FILE,))[0]
    if lines > bound:
        yield f"{name}: {lines} lines, more than {bound}"
    source = text.splitlines()
    for function, first, last in functions(text):
        bound = EXCEPTIONS.get(f"{name}:{function}", (MAX_FUNCTION,))[0]
        length = last - first + 1
        is_list = name.startswith("tests/") and TEST_LISTS.match(source[first - 1])
        if length > bound and not is_list:
            yield f"{name}:{first}: {function} has {length} lines, more than {bound}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root",
        type=pathlib.Path,
        default=pathlib.Path(__file__).resolve().parent.parent,
        help="the repository",
    )
    root = parser.parse_args().root
    found = []
    for directory in DIRECTORIES:
        for path in sorted((root / directory).rglob("*")):
            if path.suffix in {".c", ".cpp", ".h", ".hpp"} and "node_modules" not in path.parts:
                found += check(path, path.relative_to(root).as_posix())
    for name in EXCEPTIONS:
        if not (root / name.partition(":")[0]).exists():
            found.append(f"{name}: is excepted, but is not there")
    for complaint in found:
        print(complaint)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

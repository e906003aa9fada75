import contextlib
import io
import json
import sys
import unittest
from unittest import mock

import requirements
from tree import TreeTest

BUILT = {"role": "both", "section": "1", "statement": "It holds", "status": "built"}
LATER = {**BUILT, "status": "later", "part": "tls"}


class Requirements(TreeTest):
    def setUp(self):
        super().setUp()
        entries = [{"id": 1, **BUILT}, {"id": 2, **BUILT}, {"id": 3, **LATER}]
        self.write("tests/requirements.json", json.dumps(entries))
        self.write("tests/hostile.json", json.dumps([{"id": 7, "input": "noise | <x>"}]))

    def collect(self, name, text):
        path = self.write(name, text)
        proofs, complaints = requirements.collect(requirements.Tree(self.root))
        path.unlink()
        return proofs["req"], complaints

    def run_tool(self, *arguments):
        output = io.StringIO()
        with mock.patch.object(sys, "argv", ["x", "--root", str(self.root), *arguments]):
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                return requirements.main(), output.getvalue()

    def test_a_tag_belongs_to_the_function_below_in_each_language(self):
        for name, text in {
            "t.cpp": "// req: 1\n// Why.\nvoid test_x(void**) {}\nmain() { test_x; }\n",
            "t.c": "/* req: 1 */\nstatic void test_x(void **state) {}\nmain() { test_x; }\n",
            "t.py": "# req: 1\n@decorated\nasync def test_x(self):\n",
            "t.sh": "# req: 1\ntest_x() {\n",
            "t.mjs": "// req: 1\nasync function test_x(page) {\n",
            "run": "# req: 1\ndef test_x():\n",
        }.items():
            proofs, complaints = self.collect(f"tests/a/{name}", text)
            self.assertEqual((proofs, complaints), ({1: [f"a/{name}:test_x"]}, []), name)

    def test_a_tag_belongs_to_the_table_entry_below(self):
        text = 'void f() {\n  {"first", 1},\n  // req: 1, 2\n  {"second", 2},\n}\nf;\n'
        proofs, complaints = self.collect("tests/t.cpp", text)
        self.assertEqual(proofs, {1: ["t.cpp:second"], 2: ["t.cpp:second"]})
        self.assertEqual(complaints, [])

    def test_a_tag_inside_a_function_belongs_to_it(self):
        proofs, _ = self.collect("tests/t.cpp", "void f() {\n  // req: 1\n  g();\n}\nf;\n")
        self.assertEqual(proofs, {1: ["t.cpp:f"]})

    def test_wrong_tags_are_told(self):
        for text in (
            "// req: one\nvoid f() {}\nf;\n",
            "// req: 1;2\nvoid f() {}\nf;\n",
            "// req 1\nvoid f() {}\nf;\n",
            "// req: 1\n\nvoid f() {}\nf;\n",
            "// req: 1\n",
            "// req: 1\nvoid f() {}\n",
        ):
            _, complaints = self.collect("tests/t.cpp", text)
            self.assertEqual(len(complaints), 1, text)

    def test_prose_that_begins_like_a_tag_is_none(self):
        _, complaints = self.collect("tests/t.cpp", "// bad bytes are refused\nvoid f() {}\n")
        self.assertEqual(complaints, [])

    def test_check_wants_a_test_for_each_built_line_and_a_fresh_table(self):
        source = "// req: 1\nvoid test_a() {}\n// req: 2\n// bad: 7\nvoid test_b() {}\n"
        source += "main() { test_a, test_b; }\n"
        self.write("tests/t.cpp", source)
        self.assertEqual(self.run_tool("--check")[0], 1)  # no table yet
        self.assertEqual(self.run_tool()[0], 0)
        self.assertEqual(self.run_tool("--check")[0], 0)
        table = (self.root / "docs" / "requirements.md").read_text()
        self.assertIn("| 1 | both | 1 | It holds | `t.cpp:test_a` |", table)
        self.assertIn("| 3 | both | 1 | It holds | tls |  |", table)
        self.assertIn("| 7 | noise \\| &lt;x> | `t.cpp:test_b` |", table)
        self.write("tests/t.cpp", source.replace("// req: 1\n", ""))
        self.run_tool()
        status, output = self.run_tool("--check")
        self.assertEqual(status, 1)
        self.assertIn("requirement 1 has no test", output)

    def test_numbers_that_do_not_exist_are_told(self):
        self.write("tests/t.cpp", "// req: 1, 2, 4\n// bad: 8\nvoid f() {}\nf;\n")
        output = self.run_tool()[1]
        self.assertIn("no req: 4", output)
        self.assertIn("no bad: 8", output)


if __name__ == "__main__":
    unittest.main()

import unittest

import check_lengths
from tree import TreeTest


def found(text):
    return list(check_lengths.functions(text))


class Functions(unittest.TestCase):
    def test_functions_in_any_scope_with_their_lines(self):
        text = """namespace libws {
namespace {
int one(int a) { return a; }
}  // namespace
class Thing : public Base {
  void two() const noexcept override {
    if (x) { y(); }
  }
  int member_ = 0;
};
extern "C" {
static int
three(void)
{
  return 0;
}
}
}
"""
        self.assertEqual(found(text), [("one", 3, 3), ("two", 6, 8), ("three", 12, 16)])

    def test_initializers_in_braces_belong_to_their_constructor(self):
        text = """Thing::Thing(int a) : a_{a},
    b_{}, c_{f({1})} {
  go();
}
int next() { return 1; }
"""
        self.assertEqual(found(text), [("Thing::Thing", 1, 4), ("next", 5, 5)])

    def test_braces_in_literals_comments_and_directives_do_not_count(self):
        text = """#define OPEN {
/* { */ // {
void f() {
  g("{", '{', R"x({{)x", '\\'', "\\"{", 1'000'000);
}
void h() {}
"""
        self.assertEqual(found(text), [("f", 3, 5), ("h", 6, 6)])

    def test_tables_and_declarations_are_no_functions(self):
        text = """const int table[] = {1, 2, 3};
struct row { int a; } rows[] = {{1}, {2}};
void declared(int);
enum colour { RED, GREEN };
"""
        self.assertEqual(found(text), [])

    def test_lambdas_and_blocks_belong_to_the_function_around_them(self):
        text = """void f() {
  auto g = [&](int a) { return a; };
  for (;;) { g(1); }
}
"""
        self.assertEqual(found(text), [("f", 1, 4)])


class Check(TreeTest):
    def complaints(self, name, text):
        return list(check_lengths.check(self.write(name, text), name))

    def test_the_bounds_hold_to_the_line(self):
        for lines in (check_lengths.MAX_FILE, check_lengths.MAX_FILE + 1):
            too_long = len(self.complaints("libws/a.cpp", "\n" * lines))
            self.assertEqual(too_long, lines - check_lengths.MAX_FILE)
        for lines in (check_lengths.MAX_FUNCTION, check_lengths.MAX_FUNCTION + 1):
            text = "void f() {\n" + "g();\n" * (lines - 2) + "}\n"
            too_long = len(self.complaints("libws/a.cpp", text))
            self.assertEqual(too_long, lines - check_lengths.MAX_FUNCTION)

    def test_the_main_of_a_test_may_list_any_number(self):
        text = "int main(void) {\n" + "cmocka_unit_test(x);\n" * 100 + "}\n"
        self.assertEqual(self.complaints("tests/unit/test_a.cpp", text), [])
        self.assertEqual(len(self.complaints("cli/a.c", text)), 1)


if __name__ == "__main__":
    unittest.main()

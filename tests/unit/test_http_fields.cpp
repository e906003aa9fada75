// Lists in field values, body framing, and repeated fields as one string.

#include "http_support.hpp"

using namespace http_test;
using libws::Framing;

namespace {

string members(string_view list) {
  string out;
  string_view rest = list, member;
  while (libws::next_member(&rest, &member)) out += "[" + string(member) + "]";
  return out;
}

// req: 36
void test_list_members_are_trimmed_and_may_be_empty(void**) {
  const struct {
    string_view list, expected;
  } rows[] = {
      {"", "[]"},
      {"a", "[a]"},
      {" \t a b\t ", "[a b]"},
      {"a,b", "[a][b]"},
      {" a , b ", "[a][b]"},
      {"a,,b", "[a][][b]"},
      {",", "[][]"},
      {"a, ", "[a][]"},
      {"\"a,b\"", "[\"a][b\"]"},  // no list that is read with it has quoted strings
  };
  for (const auto& row : rows) expect_text(row.list, members(row.list), row.expected);
  string_view none, member;
  assert_false(libws::next_member(&none, &member));
}

// bad: 15
void test_list_is_read_in_linear_time(void**) {
  for (const string& list : {"b" + string(8000, ' ') + "x", string(8000, ','), string(8000, ' '),
                             string(4000, ' ') + "," + string(4000, ' ')}) {
    libws::scan_steps = 0;
    members(list);
    assert_true(libws::scan_steps <= list.size());
  }
}

// req: 35, 36, 119
// bad: 8, 9
void test_list_has_whole_members_on_any_line(void**) {
  const auto has = [](const string& lines) {
    const Head head = head_of(Kind::kRequest, "GET / HTTP/1.1\r\n" + lines + "\r\n");
    return libws::list_has(head, "connection", "upgrade");
  };
  for (const char* yes :
       {"Connection: upgrade\r\n", "CONNECTION: keep-alive , UPGRADE\r\n",
        "Connection: a\r\nX: y\r\nConnection: b,Upgrade,c\r\n", "Connection: ,,upgrade\t\r\n"}) {
    if (!has(yes)) fail_msg("%s", yes);
  }
  for (const char* no :
       {"", "Connection:\r\n", "Connection: up\r\n", "Connection: upgrades\r\n",
        "Connection: notupgrade\r\n", "Connection: upgrade-insecure\r\n",
        "Connection: \"upgrade\"\r\n", "Connection: upgrade;q=1\r\n", "Connection: up,grade\r\n",
        "Connection: upgrade x\r\n", "Connections: upgrade\r\n"}) {
    if (has(no)) fail_msg("%s", no);
  }
}

// req: 135, 136, 137
// bad: 34, 35
void test_body_framing_is_certain_or_invalid(void**) {
  const struct {
    string fields;
    Framing expected;
  } rows[] = {
      {"", Framing::kNone},
      {"Content-Length: 0\r\n", Framing::kNone},
      {"Content-Length:  000 \r\n", Framing::kNone},
      {"Content-Length: 1\r\n", Framing::kLength},
      {"Content-Length: 010\r\n", Framing::kLength},
      // Larger than any integer is still a length.
      {"Content-Length: 9223372036854775808\r\n", Framing::kLength},
      {"Content-Length: 18446744073709551616\r\n", Framing::kLength},
      {"Content-Length: 1" + string(40, '0') + "\r\n", Framing::kLength},
      {"Content-Length:\r\n", Framing::kInvalid},
      {"Content-Length: -1\r\n", Framing::kInvalid},
      {"Content-Length: +5\r\n", Framing::kInvalid},
      {"Content-Length: 1_0\r\n", Framing::kInvalid},
      {"Content-Length: 5, 6\r\n", Framing::kInvalid},
      {"Content-Length: 5, 5\r\n", Framing::kInvalid},
      {"Content-Length: 5 5\r\n", Framing::kInvalid},
      {"Content-Length: 0x5\r\n", Framing::kInvalid},
      {"Content-Length: \xd9\xa5\r\n", Framing::kInvalid},
      {"Content-Length: 5\r\nContent-Length: 6\r\n", Framing::kInvalid},
      {"Content-Length: 0\r\ncontent-length: 0\r\n", Framing::kInvalid},
      {"Transfer-Encoding: chunked\r\n", Framing::kChunked},
      {"Transfer-Encoding: gzip, Chunked ,\r\n", Framing::kChunked},
      {"Transfer-Encoding: gzip\r\nX: y\r\nTransfer-Encoding: chunked\r\n", Framing::kChunked},
      {"Transfer-Encoding:\r\n", Framing::kInvalid},
      {"Transfer-Encoding: xchunked\r\n", Framing::kInvalid},
      {"Transfer-Encoding: identity\r\n", Framing::kInvalid},
      {"Transfer-Encoding: chunked, identity\r\n", Framing::kInvalid},
      {"Transfer-Encoding: chunked;q=1\r\n", Framing::kInvalid},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", Framing::kInvalid},
      {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Framing::kInvalid},
      {"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", Framing::kInvalid},
  };
  for (const auto& row : rows) {
    const Head head = head_of(Kind::kRequest, "GET / HTTP/1.1\r\n" + row.fields + "\r\n");
    const char* why = nullptr;
    if (libws::body_framing(head, &why) != row.expected) fail_msg("%s", row.fields.c_str());
    assert_int_equal(why != nullptr, row.expected == Framing::kInvalid);
  }
}

const char kRepeated[] =
    "GET / HTTP/1.1\r\nA: 1\r\nB: x\r\na: 2\r\nC:\r\nA:\r\nc: 3\r\nA: 4\r\n\r\n";

// req: 41
void test_repeated_fields_are_joined_once(void**) {
  const Head head = head_of(Kind::kRequest, kRepeated);
  libws::JoinedFields joined;
  size_t len = 99;
  assert_null(joined.get(head, "D", &len));
  assert_int_equal(len, 99);
  const char* a = joined.get(head, "a", &len);
  assert_string_equal(a, "1, 2, , 4");
  assert_int_equal(len, 9);
  assert_string_equal(joined.get(head, "C", nullptr), ", 3");
  assert_string_equal(joined.get(head, "b", &len), "x");
  assert_int_equal(len, 1);
  // A pointer stays good, and the text is not made again.
  assert_ptr_equal(joined.get(head, "A", nullptr), a);
  assert_string_equal(a, "1, 2, , 4");
  // A single field needs no copy.
  assert_ptr_equal(joined.get(head, "B", nullptr), head.value(1).data());
  // Moving it moves what it kept.
  libws::JoinedFields moved(std::move(joined));
  assert_ptr_equal(moved.get(head, "A", nullptr), a);
}

void test_joined_fields_out_of_memory_throws_and_leaks_nothing(void**) {
  const Head head = head_of(Kind::kRequest, kRepeated);
  const string name(100, 'n');
  const string line = name + ": " + string(100, 'v') + "\r\n";
  const Head large = head_of(Kind::kRequest, "GET / HTTP/1.1\r\n" + line + line + "\r\n");
  const int allocations = FailingAllocator::run([&] {
    libws::JoinedFields joined, others;
    joined.get(head, "A", nullptr);
    joined.get(head, "C", nullptr);
    others.get(large, name, nullptr);
  });
  assert_true(allocations >= 4);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_list_members_are_trimmed_and_may_be_empty),
      cmocka_unit_test(test_list_is_read_in_linear_time),
      cmocka_unit_test(test_list_has_whole_members_on_any_line),
      cmocka_unit_test(test_body_framing_is_certain_or_invalid),
      cmocka_unit_test(test_repeated_fields_are_joined_once),
      cmocka_unit_test(test_joined_fields_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

// protocol/http_body: where a refusal's body ends, and what of it is kept.
#include "http_support.hpp"

#include "libws/protocol/http_body.hpp"

#include <string>

using namespace libws;

namespace {

struct Body {
  std::string text;
  bool done;
};

Head head_of(const std::string& fields, const char* status) {
  const std::string text = "HTTP/1.1 " + std::string(status) + " X\r\n" + fields + "\r\n";
  HeadParser parser(HeadParser::Kind::kResponse, HeadLimits());
  size_t used = 0;
  assert_true(parser.feed(bytes(text), &used) == HeadParser::Result::kDone);
  return parser.take();
}

// Fed `step` bytes at a time, as long as more is wanted.
Body read_body(const std::string& fields, const std::string& wire, size_t step, size_t max = 1000,
               const char* status = "401") {
  BodyReader reader;
  reader.begin(head_of(fields, status));
  Vector<uint8_t> out;
  bool done = reader.complete();
  for (size_t at = 0; at < wire.size() && !done; at += step) {
    done = reader.feed(bytes(std::string_view(wire).substr(at, step)), max, &out);
  }
  return {std::string(out.begin(), out.end()), done};
}

void expect_body(const std::string& fields, const std::string& wire, const char* text, bool done) {
  for (size_t step = 1; step <= wire.size() + 1; ++step) {
    const Body b = read_body(fields, wire, step);
    assert_string_equal(b.text.c_str(), text);
    assert_int_equal(b.done, done);
  }
}

void test_body_with_length_ends_there(void**) {
  expect_body("Content-Length: 5\r\n", "hello", "hello", true);
  expect_body("Content-Length: 5\r\n", "hello world", "hello", true);
  expect_body("Content-Length: 5\r\n", "hell", "hell", false);
}

void test_body_of_length_zero_is_complete_at_once(void**) {
  expect_body("Content-Length: 0\r\n", "x", "", true);
}

void test_body_without_length_goes_on_to_the_end(void**) {
  expect_body("", "all of it", "all of it", false);
  expect_body("Content-Length: 5, 5\r\n", "all of it", "all of it", false);
  expect_body("Content-Length: 99999999999999999999999\r\n", "x", "x", false);
}

void test_body_of_statuses_that_have_none_is_complete(void**) {
  for (const char* status : {"204", "304", "199"}) {
    assert_true(read_body("Content-Length: 5\r\n", "hello", 5, 1000, status).done);
    assert_string_equal(read_body("", "hello", 5, 1000, status).text.c_str(), "");
  }
}

void test_body_in_chunks_is_put_together(void**) {
  const char* chunked = "Transfer-Encoding: Chunked\r\n";
  expect_body(chunked, "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n", "hello world", true);
  expect_body(chunked, "A\r\n0123456789\r\n00\r\n\r\n", "0123456789", true);
  expect_body(chunked, "0\r\n\r\n", "", true);
  expect_body(chunked, "5\r\nhel", "hel", false);
  // RFC 9112 6.3-3: the coding overrides a length.
  expect_body("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n", "abc",
              true);
}

void test_body_in_bad_chunks_ends_where_they_go_wrong(void**) {
  const char* chunked = "Transfer-Encoding: chunked\r\n";
  expect_body(chunked, "g\r\nhello", "", true);
  expect_body(chunked, "\r\nhello", "", true);
  expect_body(chunked, "5\r\nhelloX", "hello", true);
  expect_body(chunked, "3\r\nabc\r\n-1\r\n", "abc", true);
  expect_body(chunked, "fffffffffffffffff\r\nabc", "", true);  // 17 digits
}

void test_body_between_its_chunks_is_bounded(void**) {
  constexpr size_t kMost = 4096;  // with the size, its extension and the line ends
  const char* chunked = "Transfer-Encoding: chunked\r\n";
  for (int over = -1; over <= 1; ++over) {
    const size_t fill = kMost - 4 + static_cast<size_t>(over + 1) - 1;  // beside "1", "\r\n", ";"
    for (const std::string& line :
         {"1;" + std::string(fill, 'e') + "\r\n", std::string(fill + 1, '0') + "1\r\n"}) {
      const Body b = read_body(chunked, line + "x", 7);
      assert_string_equal(b.text.c_str(), over <= 0 ? "x" : "");
      assert_int_equal(b.done, over > 0);
    }
  }
  // An endless line end, too.
  assert_true(read_body(chunked, "1\r\nx" + std::string(kMost + 1, '\r'), 7).done);
}

void test_body_in_an_unknown_coding_is_given_as_it_is(void**) {
  expect_body("Transfer-Encoding: gzip\r\n", "xyz", "xyz", false);
  expect_body("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "1\r\n", "1\r\n", false);
}

void test_body_is_kept_up_to_its_limit(void**) {
  for (size_t size : {9u, 10u, 11u}) {
    const std::string text(size, 'x');
    const std::string length = "Content-Length: " + std::to_string(size) + "\r\n";
    const Body b = read_body(length, text, 3, 10);
    assert_int_equal(b.text.size(), size < 10 ? size : 10);
    assert_true(b.done);
    const Body endless = read_body("", text, 3, 10);
    assert_int_equal(endless.text.size(), size < 10 ? size : 10);
    assert_int_equal(endless.done, size >= 10);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_body_with_length_ends_there),
      cmocka_unit_test(test_body_of_length_zero_is_complete_at_once),
      cmocka_unit_test(test_body_without_length_goes_on_to_the_end),
      cmocka_unit_test(test_body_of_statuses_that_have_none_is_complete),
      cmocka_unit_test(test_body_in_chunks_is_put_together),
      cmocka_unit_test(test_body_in_bad_chunks_ends_where_they_go_wrong),
      cmocka_unit_test(test_body_between_its_chunks_is_bounded),
      cmocka_unit_test(test_body_in_an_unknown_coding_is_given_as_it_is),
      cmocka_unit_test(test_body_is_kept_up_to_its_limit),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

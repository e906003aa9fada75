// Files: which names are served, their types, their dates, and when a copy is still good.

#include "libws/protocol/content_type.hpp"
#include "libws/protocol/path.hpp"
#include "libws/protocol/validator.hpp"
#include "libws/server/files.hpp"

#include "http_support.hpp"  // last: it has cmocka's fail()

using namespace http_test;

namespace {

string name_of(string_view path) {
  libws::String out;
  return libws::find_file_name(path, "index.html", &out) ? string(out) : "none";
}

void test_file_name_is_public_names_and_the_index(void**) {
  const struct {
    string path, name;
  } rows[] = {
      {"", "index.html"},
      {"a", "a"},
      {"a/", "a/index.html"},
      {"a/b.txt", "a/b.txt"},
      {"a b", "a b"},
      {".well-known/x", ".well-known/x"},
      {"a/.well-known", "a/.well-known"},
      {"a..b", "a..b"},
      {"a.", "a."},
      {"/", "none"},
      {"//a", "none"},
      {"a//b", "none"},
      {"a//", "none"},
      {".", "none"},
      {"..", "none"},
      {"../a", "none"},
      {"a/..", "none"},
      {"a/../b", "none"},
      {"...", "none"},
      {".git", "none"},
      {"a/.git/b", "none"},
      {".well-knownx", "none"},
      {"a\\b", "none"},
      {"..\\b", "none"},
      {"a\0b"s, "none"},
      {"a\0"s, "none"},
      {string(1023, 'x'), string(1023, 'x')},
      {string(1024, 'x'), string(1024, 'x')},
      {string(1025, 'x'), "none"},
  };
  for (const auto& row : rows) expect_text(row.path, name_of(row.path), row.name);
}

void test_percent_is_decoded_once_and_strictly(void**) {
  const struct {
    string_view text, expected;
  } rows[] = {
      {"", ""},       {"a", "a"},       {"%41", "A"},    {"%4a%4A", "JJ"},
      {"%25", "%"},   {"%2541", "%41"}, {"%00", "\0"sv}, {"%ff%FF", "\xff\xff"},
      {"%", "bad"},   {"%4", "bad"},    {"a%4", "bad"},  {"%4g", "bad"},
      {"%g4", "bad"}, {"%%41", "bad"},  {"% 1", "bad"},  {"%+1", "bad"},
  };
  for (const auto& row : rows) {
    libws::Vector<char> out;
    const bool good = libws::percent_decode(row.text, out);
    expect_text(row.text, good ? string(out.begin(), out.end()) : "bad", row.expected);
  }
}

void test_content_type_follows_from_the_ending(void**) {
  const struct {
    string_view path, type;
  } rows[] = {
      {"index.html", "text/html; charset=utf-8"},
      {"A.HTML", "text/html; charset=utf-8"},
      {"a/b.min.js", "text/javascript; charset=utf-8"},
      {"a.css", "text/css; charset=utf-8"},
      {"a.txt", "text/plain; charset=utf-8"},
      {"a.svg", "image/svg+xml"},
      {"a.wasm", "application/wasm"},
      {"a.json", "application/json"},
      {"a", "application/octet-stream"},
      {"", "application/octet-stream"},
      {"a.", "application/octet-stream"},
      {"html", "application/octet-stream"},
      {"a.html/b", "application/octet-stream"},
      {"a.htmlx", "application/octet-stream"},
  };
  for (const auto& row : rows) expect_text(row.path, libws::content_type_of(row.path), row.type);
}

// Seconds, or -1.
int64_t date(string_view text, int64_t around = 0) {
  int64_t out = -1;
  return libws::parse_http_date(text, around, &out) ? out : -1;
}

void test_date_is_read_in_the_three_forms_of_rfc9110(void**) {
  assert_int_equal(date("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
  assert_int_equal(date("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
  assert_int_equal(date("Sun Nov  6 08:49:37 1994"), 784111777);
  assert_int_equal(date("Wed Nov 16 08:49:37 1994"), 784975777);
  assert_int_equal(date("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
  assert_int_equal(date("Tue, 29 Feb 2000 23:59:60 GMT"), 951868800);
  assert_int_equal(date("Tue, 01 Mar 2024 00:00:00 GMT"), 1709251200);
  // Two digits mean the year nearest to the time they are compared with.
  assert_int_equal(date("Sunday, 06-Nov-94 08:49:37 GMT", 1'700'000'000), 784111777);
  assert_int_equal(date("Friday, 01-Mar-24 00:00:00 GMT", 1'700'000'000), 1709251200);
  for (const char* bad :
       {"", "0", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 1900 08:49:37 GMT", "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT", "Sun Nov 06 8:49:37 1994", "Sun Nov 6 08:49:37 1994"}) {
    if (date(bad) != -1) fail_msg("%s", bad);
  }
}

void test_date_comes_back_as_it_was_written(void**) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) {
    const auto seconds = static_cast<int64_t>(random() % 250'000'000'000) - 60'000'000'000;
    libws::String text;
    libws::append_http_date(text, seconds);
    int64_t back = 0;
    assert_true(libws::parse_http_date(text, 0, &back));
    assert_true(back == seconds);
  }
}

bool not_modified(const string& fields, int64_t modified = 784111777) {
  const Head head = head_of(Kind::kRequest, "GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n");
  return libws::is_not_modified(head, "\"e\"", modified);
}

void test_copy_is_good_by_its_tag_or_else_by_its_date(void**) {
  const string since = "If-Modified-Since: Sun, 06 Nov 1994 08:49:";
  for (const string& yes :
       {"If-None-Match: \"e\"\r\n"s, "If-None-Match: W/\"e\"\r\n"s, "If-None-Match: *\r\n"s,
        "If-None-Match: \"a\", W/\"b,c\" , \"e\"\r\n"s,
        "If-None-Match: \"a\"\r\nif-none-match: \"e\"\r\n"s, since + "37 GMT\r\n",
        since + "38 GMT\r\n", "If-None-Match: \"e\"\r\n" + since + "36 GMT\r\n"}) {
    if (!not_modified(yes)) fail_msg("%s", yes.c_str());
  }
  for (const string& no :
       {""s, "If-None-Match: \"E\"\r\n"s, "If-None-Match: e\r\n"s, "If-None-Match: \"e\r\n"s,
        "If-None-Match: \"a,\"e\"\r\n"s, "If-None-Match: x, \"e\"\r\n"s, "If-None-Match:\r\n"s,
        since + "36 GMT\r\n", since + "37\r\n", "If-Modified-Since: *\r\n"s,
        since + "37 GMT\r\n" + since + "37 GMT\r\n",
        "If-None-Match: \"a\"\r\n" + since + "38 GMT\r\n"}) {
    if (not_modified(no)) fail_msg("%s", no.c_str());
  }
  assert_false(not_modified(since + "37 GMT\r\n", libws::kNoTime));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_file_name_is_public_names_and_the_index),
      cmocka_unit_test(test_percent_is_decoded_once_and_strictly),
      cmocka_unit_test(test_content_type_follows_from_the_ending),
      cmocka_unit_test(test_date_is_read_in_the_three_forms_of_rfc9110),
      cmocka_unit_test(test_date_comes_back_as_it_was_written),
      cmocka_unit_test(test_copy_is_good_by_its_tag_or_else_by_its_date),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

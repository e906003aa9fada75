// Building responses: nothing of the caller's can add a line, and each status has its fields.

#include "http_support.hpp"

#include <clocale>

using namespace http_test;
using libws::String;

namespace {

using Fields = std::vector<ws_header>;

// "" when the fields pass, else the detail.
string checked(const Fields& fields) {
  const libws::Error e = libws::check_caller_fields("accept", fields);
  if (!e) return "";
  assert_int_equal(e.code(), WS_ERR_INVALID);
  return libws::last_detail();
}

// req: 13, 15, 122, 138
// bad: 53, 73, 74
void test_caller_fields_that_break_or_forge_a_head_are_refused(void**) {
  const struct {
    ws_header field;
    const char* detail;
  } rows[] = {
      {{"X-Y", "z"}, ""},
      {{"X", ""}, ""},
      {{"X", "\t a \x80\xff"}, ""},
      {{"Date", "x"}, ""},
      {{"Server", "x"}, ""},
      {{"Set-Cookie", "a=b"}, ""},
      {{"Sec-WebSocke", "x"}, ""},
      {{"Hosts", "x"}, ""},
      {{"X y", "z"}, "accept: header 'X y' is not a token"},
      {{"", "z"}, "accept: header '' is not a token"},
      {{"X:", "z"}, "accept: header 'X:' is not a token"},
      {{"X\r\nY", "z"}, "accept: header 'X\\x0d\\x0aY' is not a token"},
      {{"X\x80", "z"}, "accept: header 'X\\x80' is not a token"},
      {{"X", "a\r\nY: b"}, "accept: header 'X' has a control character in its value"},
      {{"X", "a\n"}, "accept: header 'X' has a control character in its value"},
      {{"X", "\r"}, "accept: header 'X' has a control character in its value"},
      {{"X", "\x01"}, "accept: header 'X' has a control character in its value"},
      {{"X", "\x7f"}, "accept: header 'X' has a control character in its value"},
      {{nullptr, "z"}, "accept: a header name or value is NULL"},
      {{"X", nullptr}, "accept: a header name or value is NULL"},
      {{"Upgrade", "x"}, "accept: header 'Upgrade' is written by the library"},
      {{"connection", "x"}, "accept: header 'connection' is written by the library"},
      {{"CONTENT-LENGTH", "0"}, "accept: header 'CONTENT-LENGTH' is written by the library"},
      {{"Transfer-Encoding", "x"}, "accept: header 'Transfer-Encoding' is written by the library"},
      {{"Host", "x"}, "accept: header 'Host' is written by the library"},
      {{"Keep-Alive", "x"}, "accept: header 'Keep-Alive' is written by the library"},
      {{"sec-websocket-accept", "x"},
       "accept: header 'sec-websocket-accept' is written by the library"},
      {{"Sec-WebSocket-Key", "x"}, "accept: header 'Sec-WebSocket-Key' is written by the library"},
      {{"Sec-WebSocket-Version", "x"},
       "accept: header 'Sec-WebSocket-Version' is written by the library"},
      {{"Sec-WebSocket-Protocol", "x"},
       "accept: header 'Sec-WebSocket-Protocol' is written by the library"},
      {{"Sec-WebSocket-Extensions", "x"},
       "accept: header 'Sec-WebSocket-Extensions' is written by the library"},
      {{"Sec-WebSocket-", "x"}, "accept: header 'Sec-WebSocket-' is written by the library"},
  };
  for (const auto& row : rows) {
    expect_text("alone", checked({row.field}), row.detail);
    expect_text("second", checked({{"A", "b"}, row.field}), row.detail);
  }
  assert_int_equal(libws::check_caller_fields("x", {}).code(), WS_OK);
  const std::span<const ws_header> null(static_cast<const ws_header*>(nullptr), 1);
  assert_int_equal(libws::check_caller_fields("x", null).code(), WS_ERR_INVALID);
}

string date_of(int64_t seconds) {
  String out;
  libws::append_date(out, seconds);
  return string(out);
}

void test_date_is_imf_fixdate_whatever_the_locale(void**) {
  const struct {
    int64_t seconds;
    const char* expected;
  } rows[] = {
      {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
      {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},  // RFC 9110 5.6.7
      {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
      {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
      {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},
      {1709164800, "Thu, 29 Feb 2024 00:00:00 GMT"},
      {1767225599, "Wed, 31 Dec 2025 23:59:59 GMT"},
      {1767225600, "Thu, 01 Jan 2026 00:00:00 GMT"},
      {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},  // no leap year
      {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
      {-1, "Wed, 31 Dec 1969 23:59:59 GMT"},
      {-62135596800, "Mon, 01 Jan 0001 00:00:00 GMT"},
  };
  for (const char* locale : {"C", "", "de_DE.UTF-8"}) {
    std::setlocale(LC_ALL, locale);
    for (const auto& row : rows) {
      expect_text(row.expected, date_of(row.seconds), "Date: " + string(row.expected) + "\r\n");
    }
  }
  std::setlocale(LC_ALL, "C");
}

string response_of(const libws::ResponseParts& parts) {
  String out;
  libws::append_response(out, parts);
  // What we write, we can read; a response to HEAD and a body differ behind the head.
  const Parsed p = parse_response(string_view(out));
  assert_int_equal(p.result, Result::kDone);
  assert_int_equal(p.head.status(), parts.status);
  return string(out);
}

// req: 140
void test_response_has_length_close_and_the_callers_fields(void**) {
  const Fields extra = {{"X-A", "1"}, {"X-B", ""}};
  libws::ResponseParts parts;
  parts.status = 200;
  parts.extra = extra;
  parts.content_type = "text/html";
  parts.body = "hello";
  parts.date = 784111777;
  parts.server = "libws";
  const string head =
      "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: libws\r\n"
      "Connection: close\r\nContent-Type: text/html\r\nContent-Length: 5\r\n"
      "X-A: 1\r\nX-B: \r\n\r\n";
  expect_text("GET", response_of(parts), head + "hello");
  parts.head_only = true;
  expect_text("HEAD", response_of(parts), head);
}

void test_response_of_little_has_no_optional_fields(void**) {
  libws::ResponseParts parts;
  parts.status = 299;
  expect_text("299", response_of(parts),
              "HTTP/1.1 299 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
}

void test_response_date_and_server_of_the_caller_win(void**) {
  const Fields extra = {{"date", "then"}, {"SERVER", "mine"}};
  libws::ResponseParts parts;
  parts.status = 200;
  parts.extra = extra;
  parts.date = 1;
  parts.server = "libws";
  expect_text("own", response_of(parts),
              "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n"
              "date: then\r\nSERVER: mine\r\n\r\n");
}

void test_response_without_content_has_no_body(void**) {
  for (int status : {204, 205, 304}) {
    libws::ResponseParts parts;
    parts.status = status;
    parts.body = "x";
    expect_text("no content", response_of(parts),
                "HTTP/1.1 " + std::to_string(status) + " " + libws::status_phrase(status) +
                    "\r\nConnection: close\r\n" + (status == 205 ? "Content-Length: 0\r\n" : "") +
                    "\r\n");
    assert_false(libws::status_has_body(status));
  }
  assert_false(libws::status_has_body(100));
  assert_false(libws::status_has_body(101));
  for (int status : {200, 206, 303, 305, 400, 599}) assert_true(libws::status_has_body(status));
}

string refusal_of(int status, const char* why, bool head_only) {
  String out;
  libws::append_refusal(out, status, why, 0, nullptr, head_only);
  return string(out);
}

// req: 39, 114, 116, 124, 140
// bad: 5, 7, 8, 10
void test_refusal_has_the_fields_its_status_demands(void**) {
  expect_text("400", refusal_of(400, "bad Host", false),
              "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n"
              "Content-Length: 9\r\nSec-WebSocket-Version: 13\r\n\r\nbad Host\n");
  expect_text("405", refusal_of(405, "x", true),
              "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
              "Content-Type: text/plain\r\nContent-Length: 2\r\nAllow: GET\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n");
  const string upgrade =
      "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: close, Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\n";
  expect_text("426", refusal_of(426, "", false),
              upgrade + "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\n\n");
  // An application's own 426 too.
  libws::ResponseParts parts;
  parts.status = 426;
  expect_text("426", response_of(parts), upgrade + "Content-Length: 0\r\n\r\n");
  String dated;
  libws::append_refusal(dated, 403, "x", 784111777, "s", false);
  assert_true(string_view(dated).find("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: s\r\n") !=
              string_view::npos);
}

void test_status_phrases_of_known_codes(void**) {
  assert_string_equal(libws::status_phrase(101), "Switching Protocols");
  assert_string_equal(libws::status_phrase(426), "Upgrade Required");
  assert_string_equal(libws::status_phrase(431), "Request Header Fields Too Large");
  assert_string_equal(libws::status_phrase(505), "HTTP Version Not Supported");
  assert_string_equal(libws::status_phrase(599), "");
  for (int status : {400, 403, 405, 408, 413, 414, 417, 426, 431, 500, 501, 503, 505}) {
    assert_true(libws::status_phrase(status)[0] != '\0');
  }
}

// req: 118
// bad: 36
void test_continue_response_is_a_whole_head(void**) {
  const Head head = head_of(Kind::kResponse, libws::kContinueResponse);
  assert_int_equal(head.status(), 100);
  assert_int_equal(head.field_count(), 0);
}

void test_response_out_of_memory_throws_and_leaks_nothing(void**) {
  const int allocations = FailingAllocator::run([] {
    String out;
    libws::append_refusal(out, 405, "a reason that does not fit into a short string", 1, "s",
                          false);
  });
  assert_true(allocations >= 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_caller_fields_that_break_or_forge_a_head_are_refused),
      cmocka_unit_test(test_date_is_imf_fixdate_whatever_the_locale),
      cmocka_unit_test(test_response_has_length_close_and_the_callers_fields),
      cmocka_unit_test(test_response_of_little_has_no_optional_fields),
      cmocka_unit_test(test_response_date_and_server_of_the_caller_win),
      cmocka_unit_test(test_response_without_content_has_no_body),
      cmocka_unit_test(test_refusal_has_the_fields_its_status_demands),
      cmocka_unit_test(test_status_phrases_of_known_codes),
      cmocka_unit_test(test_continue_response_is_a_whole_head),
      cmocka_unit_test(test_response_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

// The HTTP head parser: grammar, limits, resumption, and what it may hold meanwhile.

#include "http_support.hpp"

using namespace http_test;

namespace {

struct Row {
  string input;
  string expected;
};

string repeat(string_view s, size_t n) {
  string out;
  while (n-- > 0) out += s;
  return out;
}

// "400" or "done": the part of a dump that most rows are about.
string outcome(const Parsed& p) {
  if (p.result == Result::kFailed) return std::to_string(p.status) + " " + p.why;
  return p.result == Result::kDone ? "done" : "need more";
}

void expect_rows(Kind kind, const std::vector<Row>& rows) {
  for (const Row& row : rows) expect_text(row.input, outcome(parse(kind, row.input)), row.expected);
}

// Method, target, status, reason, version and fields of heads that are fine to the last byte.
void expect_heads(Kind kind, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const string wanted = "done after " + std::to_string(row.input.size()) + ": " + row.expected;
    expect_text(row.input, parse(kind, row.input).dump(), wanted);
  }
}

// req: 28, 40, 127
// bad: 31, 42, 43
void test_request_is_read_in_every_cut(void**) {
  const std::vector<Row> rows = {
      {"GET / HTTP/1.1\r\n\r\n", "[GET] [/] 0 [] 1.1"},
      {"GET /chat?room=1 HTTP/1.1\r\nHost: a\r\nX:y\r\n\r\n",
       "[GET] [/chat?room=1] 0 [] 1.1 [Host]=[a] [X]=[y]"},
      {"\r\nGET / HTTP/1.1\r\n\r\n", "[GET] [/] 0 [] 1.1"},
      {"GET / HTTP/1.0\r\n\r\n", "[GET] [/] 0 [] 1.0"},
      {"GET / HTTP/1.9\r\n\r\n", "[GET] [/] 0 [] 1.9"},
      {"OPTIONS * HTTP/1.1\r\n\r\n", "[OPTIONS] [*] 0 [] 1.1"},
      {"x!#$%&'*+-.^_`|~1 http://h:1/p HTTP/1.1\r\n\r\n",
       "[x!#$%&'*+-.^_`|~1] [http://h:1/p] 0 [] 1.1"},
      {"GET /a/..;/b//%00%2e?{}|^\\`[]@!$&'()*+,;=:-._~%zz HTTP/1.1\r\n\r\n",
       "[GET] [/a/..;/b//%00%2e?{}|^\\`[]@!$&'()*+,;=:-._~%zz] 0 [] 1.1"},
      {"GET //evil/ HTTP/1.1\r\n\r\n", "[GET] [//evil/] 0 [] 1.1"},
      // OWS is trimmed at both ends and kept inside; an empty value is a value.
      {"GET / HTTP/1.1\r\nA: \t b \t c\t \r\nB:\r\nC: \t \r\nD:d\r\n\r\n",
       "[GET] [/] 0 [] 1.1 [A]=[b \t c] [B]=[] [C]=[] [D]=[d]"},
      {"GET / HTTP/1.1\r\nA: \x80\xff\xc3\xa9:\"\r\n\r\n",
       "[GET] [/] 0 [] 1.1 [A]=[\x80\xff\xc3\xa9:\"]"},
      {"GET / HTTP/1.1\r\na: 1\r\nA: 2\r\na: 1\r\n\r\n",
       "[GET] [/] 0 [] 1.1 [a]=[1] [A]=[2] [a]=[1]"},
  };
  expect_heads(Kind::kRequest, rows);
}

void test_request_that_is_cut_short_needs_more(void**) {
  const string whole = "\r\nGET /x HTTP/1.1\r\nHost: a \r\n\r\n";
  for (size_t n = 0; n < whole.size(); ++n) {
    expect_text(whole, parse_request(whole.substr(0, n)).dump(),
                "need more after " + std::to_string(n));
  }
}

// req: 50
// bad: 37, 38
void test_bytes_behind_the_head_are_not_taken(void**) {
  const string head = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
  for (string_view tail : {"\x81\x85mmmm"sv, "GET /admin HTTP/1.1\r\n\r\n"sv, "\r\n"sv, "\0"sv}) {
    const Parsed p = parse_request(head + string(tail));
    assert_int_equal(p.result, Result::kDone);
    assert_int_equal(p.used, head.size());
  }
}

// req: 31, 122, 123, 125, 126, 128, 130, 133, 134
// bad: 5, 25, 26, 27, 28, 29, 30, 41, 44, 46
void test_request_that_breaks_the_grammar_is_400(void**) {
  const string start = "GET / HTTP/1.1\r\n";
  expect_rows(Kind::kRequest,
              {
                  // The empty line before the request line.
                  {"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "400 bad method"},
                  {"\r\rGET / HTTP/1.1\r\n\r\n", "400 bare CR"},
                  {"\rGET / HTTP/1.1\r\n\r\n", "400 bare CR"},
                  {"\nGET / HTTP/1.1\r\n\r\n", "400 bare LF"},
                  // The method.
                  {" GET / HTTP/1.1\r\n\r\n", "400 bad method"},
                  {"\tGET / HTTP/1.1\r\n\r\n", "400 bad method"},
                  {"G\0T / HTTP/1.1\r\n\r\n"s, "400 bad method"},
                  {"GET\t/ HTTP/1.1\r\n\r\n", "400 bad method"},
                  {"GET\r\n\r\n", "400 bad method"},
                  {"GET\n", "400 bare LF"},
                  {"G(T / HTTP/1.1\r\n\r\n", "400 bad method"},
                  {"\x16\x03\x01\x02", "400 bad method"},
                  {"\r\n\r\n\0\r\nQUIT\n"s, "400 bad method"},
                  {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "400 bad HTTP version"},
                  {repeat("M", 65) + " / HTTP/1.1\r\n\r\n", "400 method too long"},
                  {repeat("M", 64) + " / HTTP/1.1\r\n\r\n", "done"},
                  // The target.
                  {"GET  HTTP/1.1\r\n\r\n", "400 bad request target"},
                  {"GET /a b HTTP/1.1\r\n\r\n", "400 bad HTTP version"},
                  {"GET / a HTTP/1.1\r\n\r\n", "400 bad HTTP version"},
                  {"GET /\ta HTTP/1.1\r\n\r\n", "400 bad request target"},
                  {"GET /a#frag HTTP/1.1\r\n\r\n", "400 bad request target"},
                  {"GET /\x7f HTTP/1.1\r\n\r\n", "400 bad request target"},
                  {"GET /\x80 HTTP/1.1\r\n\r\n", "400 bad request target"},
                  {"GET /\0 HTTP/1.1\r\n\r\n"s, "400 bad request target"},
                  {"GET /<x> HTTP/1.1\r\n\r\n", "400 bad request target"},
                  {"GET /\r\n\r\n", "400 bad request target"},  // HTTP/0.9
                  {"GET /\n", "400 bare LF"},
                  // Line ends.
                  {"GET / HTTP/1.1\nHost: a\n\n", "400 bare LF"},
                  {"GET / HTTP/1.1\r\nHost: a\n\r\n", "400 bare LF"},
                  {"GET / HTTP/1.1\rHost: a\r\n\r\n", "400 bare CR"},
                  {"GET / HTTP/1.1\r\r\n\r\n", "400 bare CR"},
                  {start + "Host: a\r\r\n\r\n", "400 bare CR"},
                  {start + "Host: a\rb: c\r\n\r\n", "400 bare CR"},
                  {start + "Host: a\r\n\r\r\n", "400 bare CR"},
                  {start + "Host: a\r\n\n", "400 bare LF"},
                  {start + "\n", "400 bare LF"},
                  // Field names.
                  {start + "Host : a\r\n\r\n", "400 space before colon"},
                  {start + "Host\t: a\r\n\r\n", "400 space before colon"},
                  {start + "Ho st: a\r\n\r\n", "400 space before colon"},
                  {start + " Host: a\r\n\r\n", "400 space before fields"},
                  {start + "\tHost: a\r\n\r\n", "400 space before fields"},
                  {start + " \r\n\r\n", "400 space before fields"},
                  {start + "A: b\r\n c\r\n\r\n", "400 folded line"},
                  {start + "A: b\r\n\tc\r\n\r\n", "400 folded line"},
                  {start + "A: b\r\n \r\n\r\n", "400 folded line"},
                  {start + ": x\r\n\r\n", "400 bad field name"},
                  {start + "Host\r\n\r\n", "400 field without a colon"},
                  {start + "Host\n\r\n", "400 bare LF"},
                  {start + "H\xc3\xb6st: a\r\n\r\n", "400 bad field name"},
                  {start + "H\0st: a\r\n\r\n"s, "400 bad field name"},
                  {start + "\0: a\r\n\r\n"s, "400 bad field name"},
                  {start + "H(st: a\r\n\r\n", "400 bad field name"},
                  {start + "\"Host\": a\r\n\r\n", "400 bad field name"},
                  // Field values.
                  {start + "A: \0\r\n\r\n"s, "400 control character in a field"},
                  {start + "A: b\x1b[0m\r\n\r\n", "400 control character in a field"},
                  {start + "A:\x7f\r\n\r\n", "400 control character in a field"},
              });
}

// req: 32, 117
// bad: 6, 45
void test_request_version_is_one_digit_dot_one_digit(void**) {
  const auto with = [](string version) { return "GET / " + version + "\r\n\r\n"; };
  const string bad = "400 bad HTTP version", other = "505 HTTP version is not 1.x";
  expect_rows(Kind::kRequest, {{with("HTTP/1.1"), "done"},
                               {with("HTTP/1.0"), "done"},
                               {with("HTTP/2.0"), other},
                               {with("HTTP/0.9"), other},
                               {with("HTTP/3.1"), other},
                               {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", other},
                               {with("HTTP/1.10"), bad},
                               {with("HTTP/01.1"), bad},
                               {with("http/1.1"), bad},
                               {with("HTTP/1.1 "), bad},
                               {with("HTTP/2"), bad},
                               {with("HTTP/1,1"), bad},
                               {with("HTTP/1."), bad},
                               {with("HTTP/.1"), bad},
                               {with("HTTP/+1.1"), bad},
                               {with("HTTP 1.1"), bad},
                               {with("HTTPS/1.1"), bad},
                               {with(" HTTP/1.1"), bad},
                               {with("HTTP/1.1\tx"), bad},
                               {with("HTTP/1.\xb9"), bad},
                               {with("HTTP/1.1\r"), "400 bare CR"},
                               {with(""), bad}});
}

// The characters of RFC 9110 5.6.2 and RFC 3986 2, spelled out apart from the parser's table.
bool legal_token(unsigned char c) {
  const string_view others = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         others.find(static_cast<char>(c)) != string_view::npos;
}
bool legal_target(unsigned char c) {
  return c > 0x20 && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>';
}
bool legal_value(unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); }

// req: 122, 123, 125, 126
// bad: 28, 29, 30, 31, 41
void test_each_byte_value_in_each_place_is_taken_or_400(void**) {
  for (int i = 0; i < 256; ++i) {
    const auto c = static_cast<unsigned char>(i);
    const string b(1, static_cast<char>(c));
    const struct {
      string before, after;
      bool legal;
    } places[] = {
        {"G", "T / HTTP/1.1\r\n\r\n", legal_token(c)},
        {"", " / HTTP/1.1\r\n\r\n", legal_token(c)},
        {"GET /", "/ HTTP/1.1\r\n\r\n", legal_target(c)},
        {"GET / HTTP/1.", "\r\n\r\n", c >= '0' && c <= '9'},
        {"GET / HTTP/1.1", "\n\r\n", c == '\r'},
        {"GET / HTTP/1.1\r", "\r\n", c == '\n'},
        {"GET / HTTP/1.1\r\n", ": v\r\n\r\n", legal_token(c)},
        {"GET / HTTP/1.1\r\nn", "n: v\r\n\r\n", legal_token(c) || c == ':'},
        {"GET / HTTP/1.1\r\nn: v", "v\r\n\r\n", legal_value(c)},
        {"GET / HTTP/1.1\r\nn:", "\r\n\r\n", legal_value(c)},
        {"GET / HTTP/1.1\r\nn: v\r", "\r\n", c == '\n'},
        {"GET / HTTP/1.1\r\nn: v\r\n\r", "", c == '\n'},
    };
    for (const auto& place : places) {
      const string input = place.before + b + place.after;
      const Parsed p = parse_request(input);
      const string got = p.result == Result::kFailed ? std::to_string(p.status) : outcome(p);
      expect_text(input, got, place.legal ? "done" : "400");
      // Refused when it is seen; CR and SP can be wrong by what follows them.
      if (place.legal || c == ' ') continue;
      const size_t at = place.before.size() + 1;
      if (p.used != at) assert_true(c == '\r' && p.used == at + 1);
    }
  }
}

struct Bound {
  const char* what;
  string exact;  // the longest that passes
  string over;   // one more
  HeadLimits limits;
  int status;
};

void expect_bounds(Kind kind, const std::vector<Bound>& bounds) {
  for (const Bound& b : bounds) {
    expect_text(b.what, outcome(parse(kind, b.exact, b.limits)), "done");
    const Parsed p = parse(kind, b.over, b.limits);
    expect_text(b.what, outcome(p).substr(0, 3), std::to_string(b.status));
  }
}

string request_of(size_t bytes) {  // a head of that many bytes, no line above 1000
  string head = "GET / HTTP/1.1\r\n";
  while (bytes - head.size() > 1100) head += "A: " + string(900, 'a') + "\r\n";
  return head + "B: " + string(bytes - head.size() - 7, 'b') + "\r\n\r\n";
}

// req: 129
// bad: 20, 21, 23
void test_request_limits_pass_at_the_bound_and_refuse_one_more(void**) {
  const string end = "\r\n\r\n";
  HeadLimits small;
  small.max_bytes = 100;
  HeadLimits few;
  few.max_fields = 3;
  HeadLimits none;
  none.max_fields = 0;
  HeadLimits line;
  line.max_start_line = line.max_field_line = 20;
  const auto get = [&](size_t n) { return "GET /" + string(n, 'x') + " HTTP/1.1" + end; };
  const auto field = [&](size_t n) { return "GET / HTTP/1.1\r\nA:" + string(n, 'x') + end; };
  const auto fields = [&](size_t n) {
    return "GET / HTTP/1.1\r\n" + repeat("A: b\r\n", n) + "\r\n";
  };
  for (size_t n : {16383u, 16384u}) assert_int_equal(request_of(n).size(), n);
  expect_bounds(
      Kind::kRequest,
      {{"head 100", request_of(100), request_of(101), small, 431},
       {"head 99", request_of(99), request_of(101), small, 431},
       {"head 16 KiB", request_of(16384), request_of(16385), {}, 431},
       {"head 16 KiB - 1", request_of(16383), request_of(16385), {}, 431},
       {"head with an empty line", "\r\n" + request_of(98), "\r\n" + request_of(99), small, 431},
       {"head of a start line", get(100 - 18), get(100 - 17), small, 431},
       {"start line 20", get(6), get(7), line, 414},
       {"start line 19", get(5), get(7), line, 414},
       {"start line 8 KiB", get(8192 - 14), get(8192 - 13), {}, 414},
       {"field line 20", field(18), field(19), line, 431},
       {"field line 19", field(17), field(19), line, 431},
       {"field line of spaces", "GET / HTTP/1.1\r\nA:" + string(18, ' ') + end,
        "GET / HTTP/1.1\r\nA:" + string(19, ' ') + end, line, 431},
       {"field name 20", "GET / HTTP/1.1\r\n" + string(19, 'n') + ":" + end,
        "GET / HTTP/1.1\r\n" + string(20, 'n') + ":" + end, line, 431},
       {"field line 8 KiB", field(8190), field(8191), {}, 431},
       {"3 fields", fields(3), fields(4), few, 431},
       {"2 fields", fields(2), fields(4), few, 431},
       {"100 fields", fields(100), fields(101), {}, 431},
       {"99 fields", fields(99), fields(5000), {}, 431},
       {"no fields", fields(0), fields(1), none, 431}});
}

// req: 129
// bad: 21
void test_request_line_that_exceeds_the_head_is_414(void**) {
  HeadLimits small;
  small.max_bytes = 100;
  expect_text("endless", outcome(parse_request("GET /" + string(200, 'x'), small)),
              "414 head too long");
}

// RFC 9112 3: "RECOMMENDED that all HTTP senders and recipients support ... 8000 octets".
// req: 129
void test_request_line_of_8000_octets_passes(void**) {
  const string input = "GET /" + string(8000 - 14, 'x') + " HTTP/1.1\r\n\r\n";
  expect_text("8000", outcome(parse_request(input)), "done");
}

// req: 25
// bad: 63
void test_response_limits_pass_at_the_bound_and_refuse_one_more(void**) {
  HeadLimits line;
  line.max_start_line = line.max_field_line = 20;
  HeadLimits small;
  small.max_bytes = 40;
  const auto status = [](size_t n) { return "HTTP/1.1 101 " + string(n, 'r') + "\r\n\r\n"; };
  const auto field = [](size_t n) { return "HTTP/1.1 101\r\nA:" + string(n, 'x') + "\r\n\r\n"; };
  expect_bounds(Kind::kResponse, {{"status line 20", status(7), status(8), line, 431},
                                  {"field line 20", field(18), field(19), line, 431},
                                  {"head of a status line", status(23), status(24), small, 431},
                                  {"head", field(20), field(21), small, 431}});
}

// bad: 20, 21, 33
void test_parser_never_holds_more_than_the_head_may_have(void**) {
  constexpr size_t kMax = 16 * 1024, kFields = 100 * sizeof(Head::Field);
  const string start = "GET / HTTP/1.1\r\n";
  for (const string& input :
       {start + repeat("X: y\r\n", 6000), start + "X: " + string(40000, 'y'),
        "GET /" + string(40000, 'y'), start + repeat("X: " + string(4000, 'y') + "\r\n", 10)}) {
    HeadLimits limits;
    limits.max_start_line = limits.max_field_line = SIZE_MAX;
    const Parsed p = parse_request(input, limits);
    assert_int_equal(p.result, Result::kFailed);
    assert_true(p.used <= kMax + 1);
    assert_true(p.most_held <= kMax + kFields);
    limits.max_bytes = 5000;  // growth by doubling alone would pass 8192
    assert_true(parse_request(input, limits).most_held <= 5000 + kFields);
  }
  // A limit that lets everything through allocates for what came, not for what might.
  HeadLimits open;
  open.max_bytes = UINT64_MAX;
  open.max_fields = UINT32_MAX;
  const Parsed p = parse_request("GET / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n", open);
  assert_int_equal(p.result, Result::kDone);
  assert_true(p.most_held <= 1024);
}

// bad: 22
void test_15_kib_in_single_bytes_is_scanned_once(void**) {
  const string input = request_of(15 * 1024);
  std::vector<size_t> every;
  for (size_t i = 1; i < input.size(); ++i) every.push_back(i);
  const Parsed p = parse_cut(Kind::kRequest, {}, input, every);
  assert_int_equal(p.result, Result::kDone);
  assert_int_equal(p.scanned, input.size());
}

// req: 28
// bad: 24
void test_head_finds_fields_without_case_in_order(void**) {
  const Head head = head_of(
      Kind::kRequest, "GET /t HTTP/1.1\r\nCookie: a\r\nHost: h\r\ncOOKIE: b\r\nCook: c\r\n\r\n");
  assert_int_equal(head.find("cookie"), 0);
  assert_int_equal(head.find("COOKIE", 1), 2);
  assert_int_equal(head.find("cookie", 3), SIZE_MAX);
  assert_int_equal(head.find("cookie", 99), SIZE_MAX);
  assert_int_equal(head.find("cookies"), SIZE_MAX);
  assert_int_equal(head.count("Cookie"), 2);
  assert_int_equal(head.count("X"), 0);
  // The C API hands these out as C strings.
  assert_string_equal(head.method().data(), "GET");
  assert_string_equal(head.target().data(), "/t");
  assert_string_equal(head.name(1).data(), "Host");
  assert_string_equal(head.value(2).data(), "b");
}

void test_views_into_a_head_survive_its_move(void**) {
  Head head = head_of(Kind::kRequest, "GET /t HTTP/1.1\r\nHost: h\r\n\r\n");
  const char* host = head.value(0).data();
  const Head moved = std::move(head);
  assert_ptr_equal(moved.value(0).data(), host);
  assert_string_equal(host, "h");
}

// req: 28
// bad: 68
void test_response_is_read_in_every_cut(void**) {
  const std::vector<Row> rows = {
      {"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n",
       "[] [] 101 [Switching Protocols] 1.1 [A]=[b]"},
      {"HTTP/1.1 101 \r\n\r\n", "[] [] 101 [] 1.1"},
      {"HTTP/1.1 101\r\n\r\n", "[] [] 101 [] 1.1"},
      {"HTTP/1.0 404 Not\tF\xf6und \r\n\r\n", "[] [] 404 [Not\tF\xf6und ] 1.0"},
      {"HTTP/1.1 999 ?\r\n\r\n", "[] [] 999 [?] 1.1"},
  };
  expect_heads(Kind::kResponse, rows);
}

// req: 25, 122, 123
// bad: 67, 68
void test_response_that_breaks_the_grammar_fails(void**) {
  const string version = "400 bad HTTP version", status = "400 bad status";
  const string start = "HTTP/1.1 101 x\r\n";
  expect_rows(Kind::kResponse, {{"\r\nHTTP/1.1 101 x\r\n\r\n", version},
                                {" HTTP/1.1 101 x\r\n\r\n", version},
                                {"xHTTP/1.1 101 x\r\n\r\n", version},
                                {"ICY 200 OK\r\n\r\n", version},
                                {"HTTP/2 101\r\n\r\n", version},
                                {"HTTP/2.0 101 x\r\n\r\n", "400 HTTP version is not 1.x"},
                                {"http/1.1 101 x\r\n\r\n", version},
                                {"HTTP/1.1\r\n\r\n", version},
                                {"HTTP/1.1  101 x\r\n\r\n", status},
                                {"HTTP/1.1 10\r\n\r\n", status},
                                {"HTTP/1.1 1011 x\r\n\r\n", status},
                                {"HTTP/1.1 099 x\r\n\r\n", status},
                                {"HTTP/1.1 -10 x\r\n\r\n", status},
                                {"HTTP/1.1 10x x\r\n\r\n", status},
                                {"HTTP/1.1 101\tx\r\n\r\n", status},
                                {"HTTP/1.1 101 x\n\n", "400 bare LF"},
                                {"HTTP/1.1 101\n\n", "400 bare LF"},
                                {"HTTP/1.1 101 x\ry\r\n\r\n", "400 bare CR"},
                                {"HTTP/1.1 101 \0\r\n\r\n"s, "400 bad reason phrase"},
                                {"HTTP/1.1 101 \x7f\r\n\r\n", "400 bad reason phrase"},
                                {start + " A: b\r\n\r\n", "400 space before fields"},
                                {start + "A: b\r\n c\r\n\r\n", "400 folded line"},
                                {start + "A : b\r\n\r\n", "400 space before colon"},
                                {start + "A: \x01\r\n\r\n", "400 control character in a field"},
                                {start + "A: b\n\r\n", "400 bare LF"}});
}

void test_parser_out_of_memory_throws_and_leaks_nothing(void**) {
  const string input = request_of(3000) + "tail";
  const int allocations = FailingAllocator::run([&] {
    HeadParser parser(Kind::kRequest, {});
    size_t used = 0;
    for (char c : input) {
      if (parser.feed(libws::bytes(&c, 1), &used) == Result::kDone) return;
    }
    fail();
  });
  assert_true(allocations >= 4);
}

void test_token_and_case_helpers(void**) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    assert_int_equal(libws::is_token({&c, 1}), legal_token(static_cast<unsigned char>(i)));
  }
  assert_false(libws::is_token(""));
  assert_false(libws::is_token("a b"));
  assert_true(libws::equals_ignore_case("WebSocket", "wEBsOCKET"));
  assert_false(libws::equals_ignore_case("websocket", "websocke"));
  assert_false(libws::equals_ignore_case("[", "{"));  // 32 apart, and no letters
  assert_false(libws::equals_ignore_case("\xc4", "\xe4"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_request_is_read_in_every_cut),
      cmocka_unit_test(test_request_that_is_cut_short_needs_more),
      cmocka_unit_test(test_bytes_behind_the_head_are_not_taken),
      cmocka_unit_test(test_request_that_breaks_the_grammar_is_400),
      cmocka_unit_test(test_request_version_is_one_digit_dot_one_digit),
      cmocka_unit_test(test_each_byte_value_in_each_place_is_taken_or_400),
      cmocka_unit_test(test_request_limits_pass_at_the_bound_and_refuse_one_more),
      cmocka_unit_test(test_request_line_that_exceeds_the_head_is_414),
      cmocka_unit_test(test_request_line_of_8000_octets_passes),
      cmocka_unit_test(test_response_limits_pass_at_the_bound_and_refuse_one_more),
      cmocka_unit_test(test_parser_never_holds_more_than_the_head_may_have),
      cmocka_unit_test(test_15_kib_in_single_bytes_is_scanned_once),
      cmocka_unit_test(test_head_finds_fields_without_case_in_order),
      cmocka_unit_test(test_views_into_a_head_survive_its_move),
      cmocka_unit_test(test_response_is_read_in_every_cut),
      cmocka_unit_test(test_response_that_breaks_the_grammar_fails),
      cmocka_unit_test(test_parser_out_of_memory_throws_and_leaks_nothing),
      cmocka_unit_test(test_token_and_case_helpers),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

// The server's opening handshake: which requests are refused, with which status, and the 101.

#include "http_support.hpp"

using namespace http_test;
using Protocols = libws::Vector<string_view>;

namespace {

// The request of bad_inputs section 0, to be altered field by field.
class Base {
 public:
  Base& start(const string& line) {
    start_ = line;
    return *this;
  }
  Base& without(const string& name) {
    std::erase_if(fields_, [&](const auto& f) { return f.first == name; });
    return *this;
  }
  // Replaces the field; `with` adds another line.
  Base& set(const string& name, const string& value) {
    for (auto& field : fields_) {
      if (field.first == name) {
        field.second = value;
        return *this;
      }
    }
    return with(name, value);
  }
  Base& with(const string& name, const string& value) {
    fields_.push_back({name, value});
    return *this;
  }
  operator string() const {  // NOLINT: rows of tables read as text
    string out = start_ + "\r\n";
    for (const auto& [name, value] : fields_) out += name + ": " + value + "\r\n";
    return out + "\r\n";
  }

 private:
  string start_ = "GET /chat HTTP/1.1";
  std::vector<std::pair<string, string>> fields_ = {
      {"Host", "localhost:9001"},      {"Upgrade", "websocket"},
      {"Connection", "Upgrade"},       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
      {"Sec-WebSocket-Version", "13"},
  };
};

Base plain(const string& start) {
  return Base()
      .without("Upgrade")
      .without("Connection")
      .without("Sec-WebSocket-Key")
      .without("Sec-WebSocket-Version")
      .start(start);
}

// "upgrade", "plain" with flags, or "400 why"; whether the parser or the check refused it, and
// the same however the head is cut.
string verdict_of(const string& input) {
  const Parsed parsed = parse_request(input);
  if (parsed.result != Result::kDone) return parsed.dump();
  Protocols protocols;
  const libws::RequestVerdict v = libws::check_request(parsed.head, &protocols);
  assert_int_equal(v.head_only, parsed.head.method() == "HEAD");
  if (v.status != 0) {
    assert_false(v.is_upgrade);
    return std::to_string(v.status) + " " + v.why;
  }
  return string(v.is_upgrade ? "upgrade" : "plain") + (v.expect_continue ? " expect" : "") +
         (v.head_only ? " head" : "");
}

struct Row {
  string input;
  const char* expected;
};

void expect_rows(const std::vector<Row>& rows) {
  for (const Row& row : rows) expect_text(row.input, verdict_of(row.input), row.expected);
}

// req: 48, 113
void test_accept_of_the_rfc_vector(void**) {
  char accept[libws::kAcceptChars];
  assert_true(libws::handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
  expect_text("RFC 6455 1.3", string_view(accept, sizeof accept), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  assert_false(libws::handshake_accept("", accept));
  assert_false(libws::handshake_accept(string(23, 'a'), accept));
  assert_false(libws::handshake_accept(string(25, 'a'), accept));
}

// req: 28, 33, 35, 36, 40, 41, 44, 119, 132
// bad: 8, 9, 14, 17, 36, 41, 42, 279
void test_request_that_is_a_handshake_is_an_upgrade(void**) {
  expect_rows({
      {Base(), "upgrade"},
      {Base().set("Upgrade", "h2c, WebSocket"), "upgrade"},
      {Base().set("Upgrade", "h2c").with("upgrade", "WEBSOCKET"), "upgrade"},
      {Base().set("Connection", "keep-alive , UPGRADE"), "upgrade"},
      {Base().set("Connection", "keep-alive").with("Connection", "upgrade"), "upgrade"},
      {Base().set("Host", "[::1]:9001"), "upgrade"},
      {Base().set("Host", "localhost:"), "upgrade"},
      {Base().set("Sec-WebSocket-Key", " \tdGhlIHNhbXBsZSBub25jZQ== "), "upgrade"},
      {Base().with("Sec-WebSocket-Protocol", "chat,,b"), "upgrade"},
      {Base().with("Sec-WebSocket-Protocol", "chat").with("Sec-WebSocket-Protocol", ""), "upgrade"},
      {Base().with("Sec-WebSocket-Extensions",
                   "constructor, __proto__; toString=1, " + string(64, 'x')),
       "upgrade"},
      {Base().with("Sec-WebSocket-Extensions", "").with("Sec-WebSocket-Extensions", "a"),
       "upgrade"},
      {Base().with("Origin", "https://anywhere.example"), "upgrade"},
      {Base().with("Origin", "null"), "upgrade"},
      {Base().with("X-Unknown", "\x80\xff").with("Sec-WebSocket-Draft", "x"), "upgrade"},
      {Base().with("Content-Length", "0"), "upgrade"},
      {Base().with("Expect", "100-Continue"), "upgrade expect"},
      {Base().with("Expect", ""), "upgrade"},
      {Base().with("Cookie", "\"a=;;=b; c"), "upgrade"},
      {Base().start("GET http://localhost:9001/chat HTTP/1.1"), "upgrade"},
      {Base().start("GET HTTPS://other HTTP/1.1"), "upgrade"},
      {Base().start("GET http://[::1]?q HTTP/1.1"), "upgrade"},
      {Base().start("GET //evil/%00..;/ HTTP/1.1"), "upgrade"},
      {Base().start("GET / HTTP/1.2"), "upgrade"},
      {"GET / HTTP/1.1\r\nsec-websocket-version:13\r\n"
       "SEC-WEBSOCKET-KEY:AAAAAAAAAAAAAAAAAAAAAA==\r\n"
       "connection:upgrade\r\nUPGRADE:websocket\r\nhost:h\r\n\r\n",
       "upgrade"},
  });
}

// req: 31, 34, 131
// bad: 1, 2, 3, 4
void test_request_needs_exactly_one_valid_host(void**) {
  const char* bad = "400 bad Host";
  expect_rows({{Base().without("Host"), "400 no Host"},
               {Base().with("Host", "localhost:9001"), "400 more than one Host"},
               {Base().with("Host", "other"), "400 more than one Host"},
               {Base().start("GET http://h/ HTTP/1.1").without("Host"), "400 no Host"},
               {Base().set("Host", ""), bad},
               {Base().set("Host", "a b"), bad},
               {Base().set("Host", "[::1"), bad},
               {Base().set("Host", "[fe80::1%25eth0]"), bad},
               {Base().set("Host", "x:99999"), bad},
               {Base().set("Host", "x:-1"), bad},
               {Base().set("Host", "http://x"), bad},
               {Base().set("Host", "u@x"), bad},
               {Base().set("Host", string(300, 'a')), bad},
               {plain("GET / HTTP/1.1").without("Host"), "400 no Host"}});
}

// req: 31, 32, 117, 124
// bad: 5, 6
void test_request_with_another_method_or_version_is_refused(void**) {
  const char* bad = "405 only GET is understood";
  std::vector<Row> rows = {{Base().start("GET / HTTP/1.0"), "400 HTTP/1.0 cannot upgrade"},
                           {plain("GET / HTTP/1.0"), "400 HTTP/1.0 cannot upgrade"},
                           {plain("POST / HTTP/1.1").with("Content-Length", "5"), bad},
                           {plain("OPTIONS * HTTP/1.1"), bad},
                           {plain("CONNECT h:80 HTTP/1.1"), bad},
                           {plain("get / HTTP/1.1"), bad},
                           {plain("HEAD / HTTP/1.1"), "plain head"}};
  for (const string& method :
       {"POST"s, "HEAD"s, "OPTIONS"s, "CONNECT"s, "get"s, "GETS"s, string(64, 'M')}) {
    rows.push_back({Base().start(method + " /chat HTTP/1.1"), bad});
  }
  expect_rows(rows);
}

// req: 31, 33, 130
// bad: 41
void test_request_target_is_origin_form_or_absolute_http(void**) {
  for (const char* target : {"*",
                             "localhost:1",
                             "chat",
                             "?x",
                             "http:/chat",
                             "http:chat",
                             "http://",
                             "http:///chat",
                             "http://?x",
                             "http://a b",
                             "ftp://h/",
                             "ws://h/",
                             "wss://h/",
                             "://h/",
                             "http://u@h/",
                             "http://u:p@h/",
                             "http://h:99999/",
                             "http://[::1/",
                             "http://h|/",
                             "javascript:x"}) {
    const string got = verdict_of(Base().start("GET "s + target + " HTTP/1.1"));
    expect_text(target, got.substr(0, 3),
                string_view(target).find(' ') != string_view::npos ? "fai"  // the parser refuses it
                                                                   : "400");
  }
}

// req: 31, 35, 36
// bad: 7, 8, 9
void test_request_without_the_tokens_is_no_upgrade(void**) {
  std::vector<Row> rows = {{Base().without("Upgrade"), "plain"}};
  for (const string& value : {"notwebsocket"s, "websocketx"s, "web socket"s, "websocket/13"s,
                              "h2c"s, ""s, "\"websocket\""s, string(4096, 'x')}) {
    rows.push_back({Base().set("Upgrade", value), "plain"});
  }
  const char* bad = "400 Connection does not say upgrade";
  rows.push_back({Base().without("Connection"), bad});
  for (const char* value : {"keep-alive", "up", "notupgrade", "upgrade-insecure", "\"upgrade\"", "",
                            "upgrade upgrade", "close, upgrades"}) {
    rows.push_back({Base().set("Connection", value), bad});
  }
  expect_rows(rows);
}

// req: 38, 39
// bad: 10, 11
void test_request_version_other_than_13_is_refused(void**) {
  const string name = "Sec-WebSocket-Version";
  std::vector<Row> rows = {{Base().without(name), "400 no Sec-WebSocket-Version"},
                           {Base().with(name, "8"), "400 more than one Sec-WebSocket-Version"},
                           {Base().with(name, "13"), "400 more than one Sec-WebSocket-Version"}};
  for (const char* version :
       {"8", "7", "12", "14", "0", "256", "013", "13.0", "13, 8", "", "+13", "1 3", "0x0d"}) {
    rows.push_back({Base().set(name, version), "426 only WebSocket version 13 is spoken here"});
  }
  expect_rows(rows);
}

// req: 37, 38
// bad: 12, 13
void test_request_key_that_is_not_16_bytes_of_base64_is_refused(void**) {
  const string name = "Sec-WebSocket-Key";
  std::vector<Row> rows = {
      {Base().without(name), "400 no Sec-WebSocket-Key"},
      {Base().with(name, "dGhlIHNhbXBsZSBub25jZQ=="), "400 more than one Sec-WebSocket-Key"}};
  for (const char* key :
       {"", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===", "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQA=", "dGhlIHNhbXBs SBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ= =",
        "dGhlIHNhbXBsZSBub25jZR==", "dGhlIHNhbXBsZSBub25jZ!==", "dGhlIHNhbXBsZSBub25j_Q==",
        "========================", "\x80GhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ==,"}) {
    rows.push_back({Base().set(name, key), "400 bad Sec-WebSocket-Key"});
  }
  expect_rows(rows);
}

// bad: 278
void test_request_with_an_ambiguous_origin_is_refused(void**) {
  const string exact(libws::kMaxOriginBytes, 'o');
  expect_rows(
      {{Base().with("Origin", "http://a").with("Origin", "http://a"), "400 more than one Origin"},
       {Base().with("Origin", exact.substr(1)), "upgrade"},
       {Base().with("Origin", exact), "upgrade"},
       {Base().with("Origin", exact + "o"), "400 Origin too long"},
       {Base().with("Origin", string(8000, 'o')), "400 Origin too long"}});
}

// req: 31, 41
// bad: 14, 15
void test_request_with_malformed_subprotocols_is_refused(void**) {
  const string name = "Sec-WebSocket-Protocol";
  const char* bad = "400 bad Sec-WebSocket-Protocol";
  std::vector<Row> rows = {
      {Base().with(name, "chat, chat"), "400 a subprotocol is offered twice"},
      {Base().with(name, "chat").with(name, "b, chat"), "400 a subprotocol is offered twice"}};
  for (const string& value : {"ch at"s, "chat;x"s, "\"chat\""s, "\x80"s, ""s, ","s, " , "s,
                              "a, b c"s, "a/b"s, "b" + string(8000, ' ') + "x"}) {
    rows.push_back({Base().with(name, value), bad});
  }
  expect_rows(rows);
}

// req: 31, 41
// bad: 14
void test_request_subprotocols_are_collected_in_order(void**) {
  const string input = Base()
                           .with("Sec-WebSocket-Protocol", "b , a")
                           .with("X", "y")
                           .with("Sec-WebSocket-Protocol", ",Chat,chat");
  const Head head = head_of(Kind::kRequest, input);
  Protocols protocols;
  assert_int_equal(libws::check_request(head, &protocols).status, 0);
  string all;
  for (string_view p : protocols) all += string(p) + ";";
  expect_text("protocols", all, "b;a;Chat;chat;");
}

// bad: 18
void test_request_subprotocols_are_kept_up_to_64_and_checked_beyond(void**) {
  for (size_t n : {libws::kMaxSubprotocols - 1, libws::kMaxSubprotocols,
                   libws::kMaxSubprotocols + 1, size_t{1000}}) {
    string list = "p0";
    for (size_t i = 1; i < n; ++i) list += ",p" + std::to_string(i);
    const auto check = [](const string& value, size_t* kept) {
      const string input = Base().with("Sec-WebSocket-Protocol", value);
      const Head head = head_of(Kind::kRequest, input);
      Protocols protocols;
      const int status = libws::check_request(head, &protocols).status;
      *kept = protocols.size();
      return status;
    };
    size_t kept = 0;
    assert_int_equal(check(list, &kept), 0);
    assert_int_equal(kept, n < libws::kMaxSubprotocols ? n : libws::kMaxSubprotocols);
    assert_int_equal(check(list + ",p3", &kept), 400);
    assert_int_equal(check(list + ",p q", &kept), 400);
  }
}

// req: 31, 42
// bad: 16, 19
void test_request_with_malformed_extensions_is_refused(void**) {
  const string name = "Sec-WebSocket-Extensions";
  std::vector<Row> rows;
  for (const string& value : {"permessage-deflate; server_max_window_bits=\"1 0\""s, ";;"s, "=5"s,
                              "permessage-deflate;"s, ""s, ","s, "a; b=\"" + string(8000, '\\')}) {
    rows.push_back({Base().with(name, value), "400 bad Sec-WebSocket-Extensions"});
  }
  rows.push_back({Base().with(name, "a").with(name, "b;"), "400 bad Sec-WebSocket-Extensions"});
  expect_rows(rows);
}

// "bad", or the names read: the same in every cut.
string extensions_of(const string& input) {
  const Parsed parsed = parse_request(input);
  assert_int_equal(parsed.result, Result::kDone);
  libws::Vector<libws::Extension> list;
  if (!libws::read_extensions(parsed.head, &list)) return "bad";
  string out;
  for (const libws::Extension& ext : list) out += "[" + string(ext.name) + "]";
  return out;
}

// req: 41, 42
void test_extensions_of_all_fields_are_collected_in_order(void**) {
  const string name = "Sec-WebSocket-Extensions";
  const std::vector<Row> rows = {
      {Base(), ""},
      {Base().with(name, "a"), "[a]"},
      {Base().with(name, "b; c=d, a").with("X", "y").with(name, "").with(name, "b"), "[b][a][b]"},
      {Base().with(name, "").with(name, "a"), "[a]"},
      {Base().with(name, ""), "bad"},
      {Base().with(name, ",").with(name, ", ,"), "bad"},
      {Base().with(name, "a").with(name, "b;"), "bad"},
  };
  for (const Row& row : rows) expect_text(row.input, extensions_of(row.input), row.expected);
}

// req: 31, 135, 136, 137, 139
// bad: 32, 33, 34, 35
void test_request_with_a_body_is_refused(void**) {
  const char* both = "400 both Content-Length and Transfer-Encoding";
  const char* coding = "400 Transfer-Encoding does not end in chunked";
  const char* length = "400 bad Content-Length";
  std::vector<Row> rows = {
      {Base().with("Content-Length", "27"), "400 a handshake has no body"},
      {Base().with("Content-Length", "1073741824"), "400 a handshake has no body"},
      {Base().with("Content-Length", "18446744073709551616"), "400 a handshake has no body"},
      {Base().with("Transfer-Encoding", "chunked"), "400 a handshake has no body"},
      {Base().with("Transfer-Encoding", "xchunked"), coding},
      {Base().with("Transfer-Encoding", "chunked, identity"), coding},
      {Base().with("Transfer-Encoding", "chunked").with("Content-Length", "5"), both},
      {Base().with("Content-Length", "0").with("Transfer-Encoding", "chunked"), both},
      {Base().with("Content-Length", "0").with("Content-Length", "0"),
       "400 more than one Content-Length"},
      {plain("GET / HTTP/1.1"), "plain"},
      {plain("GET / HTTP/1.1").with("Content-Length", "0"), "plain"},
      {plain("GET / HTTP/1.1").with("Content-Length", "1"), "413 request bodies are not accepted"},
      {plain("HEAD / HTTP/1.1").with("Transfer-Encoding", "chunked"),
       "501 request bodies are not accepted"},
      {plain("GET / HTTP/1.1").with("Transfer-Encoding", "gzip"), coding},
      {plain("GET / HTTP/1.1").with("Content-Length", "1").with("Transfer-Encoding", "chunked"),
       both},
  };
  for (const string& value : {""s, "-1"s, "+5"s, "1_0"s, "5, 6"s, "5 5"s, "0x5"s, "\xd9\xa5"s}) {
    rows.push_back({Base().with("Content-Length", value), length});
    rows.push_back({plain("GET / HTTP/1.1").with("Content-Length", value), length});
  }
  expect_rows(rows);
}

// req: 118
// bad: 36
void test_request_with_an_unknown_expectation_is_417(void**) {
  expect_rows({{Base().with("Expect", "200-ok"), "417 unknown expectation"},
               {Base().with("Expect", "100-continue, x"), "417 unknown expectation"},
               {plain("GET / HTTP/1.1").with("Expect", "x"), "417 unknown expectation"},
               {plain("GET / HTTP/1.1").with("Expect", "100-continue"), "plain expect"}});
}

// req: 33, 132
// bad: 41, 42
void test_target_splits_into_path_query_and_authority(void**) {
  const struct {
    const char *target, *path, *query, *authority;
  } rows[] = {{"/", "/", "", ""},
              {"/a/b?c=d?e", "/a/b", "c=d?e", ""},
              {"/?", "/", "", ""},
              {"/?x", "/", "x", ""},
              {"//evil/", "//evil/", "", ""},
              {"/%00/..;/%2e", "/%00/..;/%2e", "", ""},
              {"/http://h/", "/http://h/", "", ""},
              {"http://h", "/", "", "h"},
              {"http://h:1/", "/", "", "h:1"},
              {"HTTPS://[::1]?q", "/", "q", "[::1]"},
              {"http://h/p?q", "/p", "q", "h"},
              {"http://h?a/b", "/", "a/b", "h"}};
  for (const auto& row : rows) {
    const libws::Target t = libws::split_target(row.target);
    expect_text(row.target, t.path, row.path);
    expect_text(row.target, t.query, row.query);
    expect_text(row.target, t.authority, row.authority);
  }
}

// req: 46, 47, 48, 115, 138
// bad: 52
void test_switching_protocols_has_what_rfc_6455_wants(void**) {
  char accept[libws::kAcceptChars];
  assert_true(libws::handshake_accept("dGhlIHNhbXBsZSBub25jZQ==", accept));
  const string start =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  const auto response = [&](string_view protocol, string_view extensions,
                            const std::vector<ws_header>& fields, const char* server) {
    libws::String out;
    libws::append_switching_protocols(out, accept, protocol, extensions, fields, server);
    return string(out);
  };
  expect_text("bare", response("", "", {}, nullptr), start + "\r\n");
  expect_text("full", response("chat", "a; b=1", {{"X", "y"}}, "libws"),
              start +
                  "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: a; b=1\r\n"
                  "Server: libws\r\nX: y\r\n\r\n");
  expect_text("own", response("", "", {{"server", "y"}}, "libws"), start + "server: y\r\n\r\n");
}

// bad: 15, 16, 18, 22
void test_request_check_is_linear(void**) {
  const string list(7900, ',');
  for (const string& input :
       {string(Base().with("Sec-WebSocket-Protocol", "b" + string(7900, ' ') + "x")),
        string(Base().with("Connection", list)), string(Base().with("Upgrade", list)),
        string(Base().with("Expect", list)), string(Base().with("Sec-WebSocket-Extensions", list)),
        string(Base().set("Host", string(7900, 'h'))),
        string(Base().with("Content-Length", string(7900, '1'))),
        string(Base().with("Transfer-Encoding", list))}) {
    const Parsed parsed = parse_cut(Kind::kRequest, {}, input, {});
    assert_int_equal(parsed.result, Result::kDone);
    Protocols protocols;
    libws::scan_steps = 0;
    libws::check_request(parsed.head, &protocols);
    assert_true(libws::scan_steps <= 2 * input.size());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_accept_of_the_rfc_vector),
      cmocka_unit_test(test_request_that_is_a_handshake_is_an_upgrade),
      cmocka_unit_test(test_request_needs_exactly_one_valid_host),
      cmocka_unit_test(test_request_with_another_method_or_version_is_refused),
      cmocka_unit_test(test_request_target_is_origin_form_or_absolute_http),
      cmocka_unit_test(test_request_without_the_tokens_is_no_upgrade),
      cmocka_unit_test(test_request_version_other_than_13_is_refused),
      cmocka_unit_test(test_request_key_that_is_not_16_bytes_of_base64_is_refused),
      cmocka_unit_test(test_request_with_an_ambiguous_origin_is_refused),
      cmocka_unit_test(test_request_with_malformed_subprotocols_is_refused),
      cmocka_unit_test(test_request_subprotocols_are_collected_in_order),
      cmocka_unit_test(test_request_subprotocols_are_kept_up_to_64_and_checked_beyond),
      cmocka_unit_test(test_request_with_malformed_extensions_is_refused),
      cmocka_unit_test(test_extensions_of_all_fields_are_collected_in_order),
      cmocka_unit_test(test_request_with_a_body_is_refused),
      cmocka_unit_test(test_request_with_an_unknown_expectation_is_417),
      cmocka_unit_test(test_target_splits_into_path_query_and_authority),
      cmocka_unit_test(test_switching_protocols_has_what_rfc_6455_wants),
      cmocka_unit_test(test_request_check_is_linear),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

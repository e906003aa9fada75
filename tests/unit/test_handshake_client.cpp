// The client's opening handshake: what it sends, and which responses open the connection.

#include "http_support.hpp"

using namespace http_test;
using libws::DeflateWish;
using libws::OpenRequest;
using libws::String;

namespace {

constexpr const char* kKey = "dGhlIHNhbXBsZSBub25jZQ==";
using Names = std::vector<const char*>;

// Offers a window of 12 bits with takeover, and to do without.
constexpr DeflateWish kDedicated = {true, true, true, true, 12};

string request_for(const OpenRequest& open) {
  assert_int_equal(libws::check_open_request(open).code(), WS_OK);
  String out;
  libws::append_open_request(out, open, kKey);
  return string(out);
}

// req: 4, 11, 12, 13, 15, 16
void test_open_request_is_the_handshake_of_rfc_6455(void**) {
  const string end =
      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  OpenRequest open;
  open.host = "localhost:9001";
  expect_text("least", request_for(open),
              "GET / HTTP/1.1\r\nHost: localhost:9001\r\n" + end + "\r\n");
  const Names protocols = {"chat", "Chat", "v2.x"};
  const std::vector<ws_header> headers = {{"Origin", "http://a"}, {"Cookie", "a=b"}};
  open.host = "[2001:db8::1]";
  open.target = "/p?q={%23}";
  open.headers = headers;
  open.subprotocols = protocols;
  open.extensions = "a; b=1, a";
  expect_text("most", request_for(open),
              "GET /p?q={%23} HTTP/1.1\r\nHost: [2001:db8::1]\r\n" + end +
                  "Sec-WebSocket-Protocol: chat, Chat, v2.x\r\n"
                  "Sec-WebSocket-Extensions: a; b=1, a\r\nOrigin: http://a\r\n"
                  "Cookie: a=b\r\n\r\n");
}

// What a client sends, our server takes.
// req: 11, 12, 13, 15
void test_open_request_passes_the_servers_check(void**) {
  const Names protocols = {"a", "b"};
  OpenRequest open;
  open.host = "h:1";
  open.target = "/x?";
  open.subprotocols = protocols;
  String offer;
  libws::append_deflate_offer(offer, kDedicated);
  open.extensions = offer;
  const Head head = head_of(Kind::kRequest, request_for(open));
  libws::Vector<string_view> offered;
  const libws::RequestVerdict v = libws::check_request(head, &offered);
  assert_int_equal(v.status, 0);
  assert_true(v.is_upgrade);
  assert_int_equal(offered.size(), 2);
  libws::Vector<libws::Extension> extensions;
  assert_true(libws::read_extensions(head, &extensions));
  assert_int_equal(extensions.size(), 2);
}

// req: 1, 2, 16
// bad: 72, 73, 74
void test_open_request_that_cannot_be_sent_is_invalid(void**) {
  struct Row {
    string host, target;
    std::vector<ws_header> headers;
    Names protocols;
  };
  const std::vector<Row> rows = {
      {"", "/", {}, {}},
      {"h:99999", "/", {}, {}},
      {"h:-1", "/", {}, {}},
      {"[::1", "/", {}, {}},
      {"u@h", "/", {}, {}},
      {"h\r\nX: y", "/", {}, {}},
      {"h x", "/", {}, {}},
      {"h\xc3\xb6", "/", {}, {}},
      {"h/p", "/", {}, {}},
      {"h", "p", {}, {}},
      {"h", "?q", {}, {}},
      {"h", "*", {}, {}},
      {"h", "http://h/", {}, {}},
      {"h", "/a b", {}, {}},
      {"h", "/a#f", {}, {}},
      {"h", "/\r\nX: y", {}, {}},
      {"h", "/\x01", {}, {}},
      {"h", "/\x7f", {}, {}},
      {"h", "/\xc3\xb6", {}, {}},
      {"h", "/\0"s, {}, {}},
      {"h", "/", {{"X", "a\r\nY: b"}}, {}},
      {"h", "/", {{"X:", "a"}}, {}},
      {"h", "/", {{"Origin", "http://a\n"}}, {}},
      {"h", "/", {{"Host", "other"}}, {}},
      {"h", "/", {{"Upgrade", "x"}}, {}},
      {"h", "/", {{"Connection", "x"}}, {}},
      {"h", "/", {{"Content-Length", "0"}}, {}},
      {"h", "/", {{"Transfer-Encoding", "x"}}, {}},
      {"h", "/", {{"Sec-WebSocket-Key", "x"}}, {}},
      {"h", "/", {{"Sec-WebSocket-Version", "8"}}, {}},
      {"h", "/", {{"Sec-WebSocket-Protocol", "x"}}, {}},
      {"h", "/", {{nullptr, "x"}}, {}},
      {"h", "/", {}, {""}},
      {"h", "/", {}, {"a b"}},
      {"h", "/", {}, {"a,b"}},
      {"h", "/", {}, {"a\r\n"}},
      {"h", "/", {}, {"\xc3\xb6"}},
      {"h", "/", {}, {nullptr}},
      {"h", "/", {}, {"a", "b", "a"}},
  };
  for (const Row& row : rows) {
    const OpenRequest open = {row.host, row.target, row.headers, row.protocols, {}};
    if (libws::check_open_request(open).code() == WS_ERR_INVALID) continue;
    fail_msg("host %s target %s", shown(row.host).c_str(), shown(row.target).c_str());
  }
  OpenRequest null;
  null.host = "h";
  null.subprotocols = {static_cast<const char* const*>(nullptr), 1};
  assert_int_equal(libws::check_open_request(null).code(), WS_ERR_INVALID);
}

// A 101 that opens, to be altered line by line.
struct Answer {
  string status = "HTTP/1.1 101 Switching Protocols";
  string upgrade = "Upgrade: websocket\r\n";
  string connection = "Connection: Upgrade\r\n";
  string accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  string more = {};

  string text() const { return status + "\r\n" + upgrade + connection + accept + more + "\r\n"; }
};

const Names kOffered = {"chat", "superchat"};

// "open", "open <subprotocol>", "interim", or the error: the same in every cut.
string verdict_of(const string& input, const Names& offered = kOffered,
                  const DeflateWish& deflate = {}) {
  const Parsed parsed = parse_response(input);
  if (parsed.result != Result::kDone) return parsed.dump();
  const libws::ResponseVerdict v = libws::check_response(parsed.head, kKey, offered, deflate);
  if (v.interim) return "interim";
  if (v.error == WS_ERR_HTTP_STATUS) return "status: " + string(v.why);
  if (v.error != 0) {
    assert_int_equal(v.error, WS_ERR_HANDSHAKE);
    assert_true(v.protocol.empty());
    assert_false(v.deflate.on);
    return string("handshake: ") + v.why;
  }
  string out = v.protocol.empty() ? "open" : "open " + string(v.protocol);
  return v.deflate.on ? out + " with deflate" : out;
}

void expect_verdict(const Answer& answer, const char* expected) {
  expect_text(answer.text(), verdict_of(answer.text()), expected);
}

// req: 20, 21, 22, 28
// bad: 58, 68, 69
void test_response_that_keeps_the_rules_opens(void**) {
  expect_verdict({}, "open");
  expect_verdict({.status = "HTTP/1.1 101"}, "open");
  expect_verdict({.status = "HTTP/1.1 101 "}, "open");
  expect_verdict({.status = "HTTP/1.2 101 OK"}, "open");
  expect_verdict({.upgrade = "UPGRADE:WebSocket\r\n"}, "open");
  expect_verdict({.connection = "connection: keep-alive , UPGRADE\r\n"}, "open");
  expect_verdict({.connection = "Connection: a\r\nConnection: upgrade\r\n"}, "open");
  expect_verdict({.accept = "sec-websocket-accept: \ts3pPLMBiTxaQ9kYGzzhZRbK+xOo=\t \r\n"}, "open");
  expect_verdict({.more = "Content-Length: 0\r\n"}, "open");
  expect_verdict({.more = "X: \x80\r\nSet-Cookie: a=b\r\n"}, "open");
}

// req: 20, 112
// bad: 56
void test_response_without_upgrade_websocket_fails(void**) {
  for (const char* upgrade :
       {"", "Upgrade:\r\n", "Upgrade: websocketx\r\n", "Upgrade: h2c\r\n",
        "Upgrade: websocket, h2c\r\n", "Upgrade: h2c, websocket\r\n", "Upgrade: websocket/13\r\n",
        "Upgrade: websocket\r\nUpgrade: h2c\r\n", "Upgrade: websocket\r\nUpgrade: websocket\r\n"}) {
    expect_verdict({.upgrade = upgrade}, "handshake: Upgrade is not websocket");
  }
}

// req: 21
// bad: 57
void test_response_without_connection_upgrade_fails(void**) {
  for (const char* connection : {"", "Connection:\r\n", "Connection: close\r\n",
                                 "Connection: upgrades\r\n", "Connection: \"upgrade\"\r\n"}) {
    expect_verdict({.connection = connection}, "handshake: Connection does not say upgrade");
  }
}

// req: 22, 26
// bad: 58
void test_response_with_another_accept_fails(void**) {
  const string name = "Sec-WebSocket-Accept: ", good = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
  for (const string& value : {""s, "S3PPLMBITXAQ9KYGZZHZRBK+XOO="s, "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="s,
                              good.substr(0, 27), good + "=", good + " x", good + "," + good,
                              "\"" + good + "\"", "kfXfQsxqJPBSwuVtMZJKIZxrlUY="s, string(kKey)}) {
    expect_verdict({.accept = name + value + "\r\n"},
                   "handshake: Sec-WebSocket-Accept does not match the key");
  }
  const char* count = "handshake: not exactly one Sec-WebSocket-Accept";
  expect_verdict({.accept = ""}, count);
  expect_verdict({.more = name + good + "\r\n"}, count);
  expect_verdict({.more = name + "x\r\n"}, count);
}

// req: 24, 26
// bad: 59
void test_response_subprotocol_must_be_one_that_was_offered(void**) {
  const string name = "Sec-WebSocket-Protocol: ";
  expect_verdict({.more = name + "chat\r\n"}, "open chat");
  expect_verdict({.more = name + " superchat \r\n"}, "open superchat");
  for (const char* value : {"", "other", "Chat", "cha", "chat, superchat", "chat,", "\"chat\""}) {
    expect_verdict({.more = name + value + "\r\n"},
                   "handshake: a subprotocol that was not offered");
  }
  const char* count = "handshake: more than one Sec-WebSocket-Protocol";
  expect_verdict({.more = name + "chat\r\n" + name + "superchat\r\n"}, count);
  expect_verdict({.more = name + "chat\r\n" + name + "chat\r\n"}, count);
  const Answer unasked = {.more = name + "chat\r\n"};
  expect_text("none offered", verdict_of(unasked.text(), {}),
              "handshake: a subprotocol that was not offered");
}

// req: 23, 25, 27
// bad: 60, 61, 62
void test_response_with_an_extension_that_was_not_offered_fails(void**) {
  const string name = "Sec-WebSocket-Extensions: ";
  for (const string& value :
       {"x"s, "permessage-deflate"s, "permessage-deflate, permessage-deflate"s,
        "permessage-deflate; server_max_window_bits=1000"s,
        "permessage-deflate; client_max_window_bits=10"s, "x\r\n" + name + "y"}) {
    expect_verdict({.more = name + value + "\r\n"}, "handshake: an extension that was not offered");
  }
  // A subprotocol that was fine is not agreed on either.
  expect_verdict({.more = "Sec-WebSocket-Protocol: chat\r\n" + name + "x\r\n"},
                 "handshake: an extension that was not offered");
  for (const string& value : {""s, ","s, ";"s, "x;"s, "x; y=\"\""s, "x\r\n" + name + ";"}) {
    expect_verdict({.more = name + value + "\r\n"}, "handshake: bad Sec-WebSocket-Extensions");
  }
}

// req: 23, 25, 27, 143
// bad: 60, 61
void test_response_deflate_is_agreed_on_or_fails(void**) {
  const string name = "Sec-WebSocket-Extensions: ";
  const auto verdict = [&](const string& fields) {
    return verdict_of(Answer{.more = fields}.text(), kOffered, kDedicated);
  };
  const string good = name + "permessage-deflate; server_max_window_bits=12\r\n";
  const struct {
    string fields;
    const char* expected;
  } rows[] = {
      {"", "open"},
      {good, "open with deflate"},
      {good + "Sec-WebSocket-Protocol: chat\r\n", "open chat with deflate"},
      {name + "\r\n" + good, "open with deflate"},
      {good + name + "x\r\n", "handshake: an extension that was not offered"},
      {good + good, "handshake: permessage-deflate is there twice"},
      {good + name + ";\r\n", "handshake: bad Sec-WebSocket-Extensions"},
      {name + "\r\n", "handshake: bad Sec-WebSocket-Extensions"},
      {good + "Sec-WebSocket-Protocol: other\r\n", "handshake: a subprotocol that was not offered"},
      {"Sec-WebSocket-Protocol: chat\r\n" + name + "permessage-deflate; x\r\n",
       "handshake: permessage-deflate has an unknown parameter"},
  };
  for (const auto& row : rows) expect_text(row.fields, verdict(row.fields), row.expected);
}

// req: 138
// bad: 68, 69
void test_response_101_with_a_body_or_of_http_1_0_fails(void**) {
  for (const char* more : {"Content-Length: 1\r\n", "Content-Length: 18446744073709551616\r\n",
                           "Content-Length: x\r\n", "Content-Length: 0\r\nContent-Length: 5\r\n",
                           "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n"}) {
    expect_verdict({.more = more}, "handshake: 101 with a body");
  }
  expect_verdict({.status = "HTTP/1.0 101 Switching Protocols"},
                 "handshake: 101 in an HTTP/1.0 response");
}

// req: 19, 29
// bad: 55
void test_response_of_another_status_is_reported(void**) {
  for (int status : {200, 204, 301, 401, 403, 426, 500, 503, 999}) {
    expect_verdict({.status = "HTTP/1.1 " + std::to_string(status) + " x"}, "status: refused");
  }
  expect_verdict({.status = "HTTP/1.0 404 Not Found"}, "status: refused");
  const char* other = "status: refused: the server does not speak WebSocket version 13";
  expect_verdict({.status = "HTTP/1.1 426 x", .more = "Sec-WebSocket-Version: 8, 7\r\n"}, other);
  expect_verdict({.status = "HTTP/1.1 400 x", .more = "Sec-WebSocket-Version: 8, 13\r\n"},
                 "status: refused");
  expect_verdict({.status = "HTTP/1.1 200 x", .more = "Sec-WebSocket-Version: 8\r\n"},
                 "status: refused");
}

// req: 121
// bad: 64
void test_response_that_is_interim_is_to_be_skipped(void**) {
  for (const char* status :
       {"HTTP/1.1 100 Continue", "HTTP/1.1 102 x", "HTTP/1.1 103", "HTTP/1.1 199 x"}) {
    expect_verdict({.status = status}, "interim");
    expect_text(status, verdict_of(string(status) + "\r\n\r\n"), "interim");
  }
}

void test_open_request_out_of_memory_throws_and_leaks_nothing(void**) {
  const Names protocols = {"a", "b"};
  const string target = "/" + string(200, 'x');
  OpenRequest open;
  open.host = "h";
  open.target = target;
  open.subprotocols = protocols;
  const int allocations = FailingAllocator::run([&] {
    String out;
    libws::append_open_request(out, open, kKey);
  });
  assert_true(allocations >= 2);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_open_request_is_the_handshake_of_rfc_6455),
      cmocka_unit_test(test_open_request_passes_the_servers_check),
      cmocka_unit_test(test_open_request_that_cannot_be_sent_is_invalid),
      cmocka_unit_test(test_response_that_keeps_the_rules_opens),
      cmocka_unit_test(test_response_without_upgrade_websocket_fails),
      cmocka_unit_test(test_response_without_connection_upgrade_fails),
      cmocka_unit_test(test_response_with_another_accept_fails),
      cmocka_unit_test(test_response_subprotocol_must_be_one_that_was_offered),
      cmocka_unit_test(test_response_with_an_extension_that_was_not_offered_fails),
      cmocka_unit_test(test_response_deflate_is_agreed_on_or_fails),
      cmocka_unit_test(test_response_101_with_a_body_or_of_http_1_0_fails),
      cmocka_unit_test(test_response_of_another_status_is_reported),
      cmocka_unit_test(test_response_that_is_interim_is_to_be_skipped),
      cmocka_unit_test(test_open_request_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

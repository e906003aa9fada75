// The PROXY protocol's header, both versions: what is one, where it ends, and what is told apart
// from one by its first wrong byte.
#include "libws/protocol/proxy_header.hpp"

#include <arpa/inet.h>
#include <string>
#include <string_view>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;
using std::string;
using std::string_view;

namespace {

const string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

string v2(uint8_t command, uint8_t family, const string& body) {
  string out = kSignature;
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(body.size() >> 8);
  out += static_cast<char>(body.size() & 0xff);
  return out + body;
}

string tlv(uint8_t type, const string& value) {
  string out(1, static_cast<char>(type));
  out += static_cast<char>(value.size() >> 8);
  out += static_cast<char>(value.size() & 0xff);
  return out + value;
}

const string kBody4("\xc0\x00\x02\x07\xc6\x33\x64\x01\xc4\xf1\x01\xbb", 12);
const string kBody6 = string("\x20\x01\x0d\xb8", 4) + string(11, '\0') + "\x01" +
                      string("\x20\x01\x0d\xb8", 4) + string(11, '\0') + "\x02" +
                      string("\x00\x50\x01\xbb", 4);
const string kBodyUnix(216, 'p');

// "v4 192.0.2.7:50417", "v6 ...", "unix", "same", "more", or "bad"; what was used goes to *used.
string told(const string& in, size_t* used = nullptr) {
  ProxyHeader h;
  size_t n = 0;
  const char* why = "";
  switch (parse_proxy_header(bytes(string_view(in)), &n, &h, &why)) {
    case ProxyHeaderResult::kMore: return "more";
    case ProxyHeaderResult::kBad: return why[0] != '\0' ? "bad" : "bad without a reason";
    case ProxyHeaderResult::kDone: break;
  }
  if (used != nullptr) *used = n;
  if (h.source == ProxyHeader::kSame) return "same";
  if (h.source == ProxyHeader::kUnix) return "unix";
  char text[INET6_ADDRSTRLEN];
  const bool v4 = h.source == ProxyHeader::kV4;
  inet_ntop(v4 ? AF_INET : AF_INET6, h.ip, text, sizeof text);
  return (v4 ? "v4 " : "v6 ") + string(text) + ":" + std::to_string(load_be16(h.port));
}

// Whole, at each cut, and with the connection's own bytes behind it.
void expect_header(const string& header, const string& expected) {
  size_t used = 0;
  assert_string_equal(told(header, &used).c_str(), expected.c_str());
  assert_int_equal(used, header.size());
  for (size_t cut = 0; cut < header.size(); ++cut) {
    assert_string_equal(told(header.substr(0, cut)).c_str(), "more");
  }
  for (const string& rest : {string("GET / HTTP/1.1\r\n"), string("\x16\x03\x01", 3), header}) {
    used = 0;
    assert_string_equal(told(header + rest, &used).c_str(), expected.c_str());
    assert_int_equal(used, header.size());
  }
}

// At some byte it is told, and stays so whatever follows.
void expect_bad(const string& header) {
  assert_string_equal(told(header).c_str(), "bad");
  bool refused = false;
  for (size_t cut = 0; cut <= header.size(); ++cut) {
    const string result = told(header.substr(0, cut));
    if (refused) assert_string_equal(result.c_str(), "bad");
    if (result == "bad") {
      refused = true;
    } else {
      assert_string_equal(result.c_str(), "more");
    }
  }
}

void test_proxy_v1_line_is_read(void**) {
  expect_header("PROXY TCP4 192.0.2.7 198.51.100.1 50417 443\r\n", "v4 192.0.2.7:50417");
  expect_header("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "v4 0.0.0.0:0");
  expect_header("PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n", "v6 2001:db8::1:65535");
  expect_header("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "v6 ::ffff:192.0.2.7:1");
  expect_header("PROXY UNKNOWN\r\n", "same");
  expect_header("PROXY UNKNOWN ffff::1 whatever 1\r\n", "same");
}

void test_proxy_v1_line_of_107_bytes_fits_and_108_is_refused(void**) {
  const string full(39, 'f');
  string longest = "PROXY UNKNOWN " + full + " " + full + " 65535 65535\r\n";
  assert_int_equal(longest.size(), 107);
  expect_header(longest, "same");
  expect_header("PROXY UNKNOWN " + string(90, 'x') + "\r\n", "same");
  expect_bad("PROXY UNKNOWN " + string(92, 'x') + "\r\n");
  // Told with the 107th byte, not with the end that never comes.
  assert_string_equal(told("PROXY UNKNOWN " + string(92, 'x')).c_str(), "more");
  assert_string_equal(told("PROXY UNKNOWN " + string(93, 'x')).c_str(), "bad");
  assert_string_equal(told("PROXY UNKNOWN " + string(91, 'x') + "\r").c_str(), "more");
  assert_string_equal(told("PROXY UNKNOWN " + string(92, 'x') + "\r").c_str(), "bad");
}

void test_proxy_v1_line_that_is_malformed_is_refused(void**) {
  const char* const lines[] = {
      "proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
      "PROXY  TCP4 192.0.2.7 198.51.100.1 1 2\r\n",
      "PROXY\tTCP4 192.0.2.7 198.51.100.1 1 2\r\n",
      "PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
      "PROXY UNKNOWNX\r\n",
      "PROXY \r\n",
      "PROXY TCP4\r\n",
      "PROXY TCP4 \r\n",
      "PROXY TCP4 192.0.2.7\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 \r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 \r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
      "PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n",
      "PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
      "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
      "PROXY TCP4 192.0.02.7 198.51.100.1 1 2\r\n",
      "PROXY TCP4 192.0.2.7 x 1 2\r\n",
      "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
      "PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
      "PROXY TCP6 2001:db8::1 2001:db8::g 1 2\r\n",
      "PROXY TCP6 fe80::1%lo 2001:db8::2 1 2\r\n",
      "PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 100000 2\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 -2\r\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\rX",
      "PROXY TCP4 192.0.2.7 198.51.100.1 1 2\x7f\r\n",
      "GET / HTTP/1.1\r\n",
      "\x16\x03\x01",
      "PROXX",
      "PG",
  };
  for (const char* line : lines) expect_bad(line);
  expect_bad(string("PROXY UNKNOWN \0\r\n", 17));
}

void test_proxy_v2_header_is_read(void**) {
  expect_header(v2(0x21, 0x11, kBody4), "v4 192.0.2.7:50417");
  expect_header(v2(0x21, 0x12, kBody4), "v4 192.0.2.7:50417");
  expect_header(v2(0x21, 0x21, kBody6), "v6 2001:db8::1:80");
  expect_header(v2(0x21, 0x22, kBody6), "v6 2001:db8::1:80");
  expect_header(v2(0x21, 0x31, kBodyUnix), "unix");
  expect_header(v2(0x21, 0x00, ""), "same");
  expect_header(v2(0x21, 0x00, tlv(4, "noop")), "same");
  expect_header(v2(0x21, 0x10, kBody4), "same");
  expect_header(v2(0x21, 0x01, ""), "same");
  expect_header(v2(0x20, 0x00, ""), "same");
  expect_header(v2(0x20, 0x11, kBody4), "same");
  expect_header(v2(0x20, 0xff, "anything at all"), "same");
  expect_header(v2(0x21, 0x11, kBody4 + tlv(1, "http/1.1") + tlv(2, "") + tlv(0xee, "x")),
                "v4 192.0.2.7:50417");
}

void test_proxy_v2_header_of_4096_bytes_fits_and_4097_is_refused(void**) {
  const size_t room = kMaxProxyHeader - 16 - 12 - 3;
  const string fits = v2(0x21, 0x11, kBody4 + tlv(4, string(room, 'x')));
  assert_int_equal(fits.size(), kMaxProxyHeader);
  assert_string_equal(told(fits).c_str(), "v4 192.0.2.7:50417");
  assert_string_equal(told(fits.substr(0, fits.size() - 1)).c_str(), "more");
  const string large = v2(0x21, 0x11, kBody4 + tlv(4, string(room + 1, 'x')));
  assert_string_equal(told(large.substr(0, 15)).c_str(), "more");
  assert_string_equal(told(large.substr(0, 16)).c_str(), "bad");  // by its length alone
  assert_string_equal(told(v2(0x20, 0, string(65535, 'x'))).c_str(), "bad");
}

void test_proxy_v2_header_that_is_malformed_is_refused(void**) {
  for (size_t i = 0; i < kSignature.size(); ++i) {
    string in = v2(0x21, 0x11, kBody4);
    in[i] = static_cast<char>(in[i] ^ 0x20);
    expect_bad(in);
    assert_string_equal(told(in.substr(0, i + 1)).c_str(), "bad");
  }
  for (int command : {0x00, 0x01, 0x11, 0x22, 0x2f, 0x31, 0xff}) {
    expect_bad(v2(static_cast<uint8_t>(command), 0x11, kBody4));
  }
  for (int family : {0x13, 0x1f, 0x41, 0x03, 0xf1, 0xff}) {
    expect_bad(v2(0x21, static_cast<uint8_t>(family), kBodyUnix));
  }
  expect_bad(v2(0x21, 0x11, kBody4.substr(0, 11)));
  expect_bad(v2(0x21, 0x11, ""));
  expect_bad(v2(0x21, 0x21, kBody6.substr(0, 35)));
  expect_bad(v2(0x21, 0x31, kBodyUnix.substr(0, 215)));
  expect_bad(v2(0x21, 0x11, kBody4 + "\x01"));
  expect_bad(v2(0x21, 0x11, kBody4 + string("\x01\x00", 2)));
  expect_bad(v2(0x21, 0x11, kBody4 + string("\x01\x00\x02x", 4)));
  expect_bad(v2(0x21, 0x11, kBody4 + tlv(1, "h2") + string("\x01\xff\xff", 3)));
}

// The checksum of "123456789" is 0xe3069283 (RFC 3720 B.4 has the polynomial); that of the header
// below was computed apart from this library.
uint32_t crc32c(const string& in) {
  uint32_t table[256];
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? 0x82f63b78u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  uint32_t crc = 0xffffffffu;
  for (char c : in) crc = table[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

void test_proxy_v2_checksum_must_be_right_if_there_is_one(void**) {
  assert_int_equal(crc32c("123456789"), 0xe3069283u);
  string in = v2(0x21, 0x11, kBody4 + tlv(1, "h2") + tlv(3, string(4, '\0')) + tlv(4, "x"));
  const size_t at = 16 + 12 + 5 + 3;
  const uint32_t crc = crc32c(in);
  for (size_t i = 0; i < 4; ++i) in[at + i] = static_cast<char>(crc >> (24 - 8 * i));
  expect_header(in, "v4 192.0.2.7:50417");
  for (size_t i = 16; i < in.size(); ++i) {
    if (i >= 28 && i < 33) continue;  // where a bit may make it another TLV
    if (i >= at - 3 && i < at) continue;
    if (i > at + 3 && i < at + 7) continue;
    string flipped = in;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    assert_string_equal(told(flipped).c_str(), "bad");
  }
  expect_bad(v2(0x21, 0x11, kBody4 + tlv(3, "abc")));
  expect_bad(v2(0x21, 0x11, kBody4 + tlv(3, "abcde")));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_proxy_v1_line_is_read),
      cmocka_unit_test(test_proxy_v1_line_of_107_bytes_fits_and_108_is_refused),
      cmocka_unit_test(test_proxy_v1_line_that_is_malformed_is_refused),
      cmocka_unit_test(test_proxy_v2_header_is_read),
      cmocka_unit_test(test_proxy_v2_header_of_4096_bytes_fits_and_4097_is_refused),
      cmocka_unit_test(test_proxy_v2_header_that_is_malformed_is_refused),
      cmocka_unit_test(test_proxy_v2_checksum_must_be_right_if_there_is_one),
  };
  return cmocka_run_group_tests_name("proxy_header", tests, nullptr, nullptr);
}

#include "libws/protocol/proxy_header.hpp"

#include "libws/protocol/chars.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <cstring>
#include <string_view>

namespace libws {
namespace {

using Result = ProxyHeaderResult;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kMaxLine = 107;  // 2.1, CR LF included

constexpr size_t kFixedPart = 16;  // 2.2
constexpr size_t kTlvHead = 3;
constexpr uint8_t kTlvCrc32c = 0x03;

Result bad(const char** why, const char* text) {
  *why = text;
  return Result::kBad;
}

// Whether what is there of `data` is what `want` begins with.
bool starts_like(Bytes data, std::string_view want) {
  const size_t n = data.size() < want.size() ? data.size() : want.size();
  return std::memcmp(data.data(), want.data(), n) == 0;
}

// ---- version 1: one line ----

// The next word of a line of words with one space between them.
bool take_word(std::string_view* rest, std::string_view* word) {
  const size_t space = rest->find(' ');
  *word = rest->substr(0, space);
  *rest = space != rest->npos ? rest->substr(space + 1) : std::string_view();
  return !word->empty();
}

bool parse_address(std::string_view text, int family, uint8_t* out) {
  char copy[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof copy) return false;
  copy[text.copy(copy, sizeof copy)] = '\0';
  return inet_pton(family, copy, out) == 1;
}

// 2.1: decimal, 0 to 65535, without leading zeros.
bool parse_port(std::string_view text, uint8_t* out) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  if (!all_chars_are(text, kDigitChar)) return false;
  unsigned port = 0;
  for (char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
  if (port > 65535) return false;
  out[0] = static_cast<uint8_t>(port >> 8);
  out[1] = static_cast<uint8_t>(port & 0xff);
  return true;
}

// `line` is what stands between "PROXY " and CR LF.
Result parse_line(std::string_view line, ProxyHeader* out, const char** why) {
  // 2.1: what follows UNKNOWN must be ignored.
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return Result::kDone;
  const bool v6 = line.starts_with("TCP6 ");
  if (!v6 && !line.starts_with("TCP4 ")) return bad(why, "protocol is not TCP4, TCP6 or UNKNOWN");
  line.remove_prefix(5);
  const int family = v6 ? AF_INET6 : AF_INET;
  const bool spare = !line.empty() && line.back() == ' ';
  std::string_view from, to, from_port, to_port;
  uint8_t other[16];
  ProxyHeader header;
  header.source = v6 ? ProxyHeader::kV6 : ProxyHeader::kV4;
  if (spare || !take_word(&line, &from) || !take_word(&line, &to) ||
      !take_word(&line, &from_port) || !take_word(&line, &to_port) || !line.empty()) {
    return bad(why, "not two addresses and two ports");
  }
  if (!parse_address(from, family, header.ip) || !parse_address(to, family, other)) {
    return bad(why, "malformed address");
  }
  if (!parse_port(from_port, header.port) || !parse_port(to_port, other)) {
    return bad(why, "malformed port");
  }
  *out = header;
  return Result::kDone;
}

Result parse_v1(Bytes data, size_t* used, ProxyHeader* out, const char** why) {
  if (!starts_like(data, kSignature1)) return bad(why, "not a PROXY protocol header");
  for (size_t i = kSignature1.size(); i < data.size(); ++i) {
    if (i == kMaxLine - 1 && data[i] != '\n') return bad(why, "line longer than 107 bytes");
    if (data[i] == '\r') {
      if (i + 1 == data.size()) return Result::kMore;
      if (data[i + 1] != '\n') return bad(why, "CR without LF");
      *used = i + 2;
      const char* begin = reinterpret_cast<const char*>(data.data()) + kSignature1.size();
      return parse_line({begin, i - kSignature1.size()}, out, why);
    }
    if (data[i] < 0x20 || data[i] > 0x7e) return bad(why, "not printable ASCII");
  }
  return Result::kMore;
}

// ---- version 2: binary ----

// CRC32c (RFC 3720 B.4) of the header with the checksum's own bytes as zeros; `at` is where they
// are.  A bit at a time: a header is short, and comes once a connection.
uint32_t checksum(Bytes header, size_t at) {
  uint32_t crc = ~uint32_t{0};
  for (size_t i = 0; i < header.size(); ++i) {
    crc ^= i >= at && i < at + 4 ? 0u : uint32_t{header[i]};
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

Result check_tlvs(Bytes header, size_t at, const char** why) {
  while (at != header.size()) {
    if (header.size() - at < kTlvHead) return bad(why, "cut TLV");
    const uint8_t type = header[at];
    const size_t len = load_be16(&header[at + 1]);
    at += kTlvHead;
    if (header.size() - at < len) return bad(why, "TLV longer than the header");
    if (type == kTlvCrc32c) {
      if (len != 4) return bad(why, "checksum that is not 4 bytes");
      if (load_be32(&header[at]) != checksum(header, at)) return bad(why, "wrong checksum");
    }
    at += len;
  }
  return Result::kDone;
}

// 2.2: byte 14, address family and transport.  False: a value nobody has defined.
bool read_family(uint8_t byte, ProxyHeader::Source* source, size_t* address_bytes) {
  constexpr uint8_t kUnspec = 0, kInet = 1, kInet6 = 2, kUnix = 3, kDatagram = 2;
  const uint8_t family = byte >> 4, transport = byte & 0xf;
  if (family > kUnix || transport > kDatagram) return false;
  *source = ProxyHeader::kSame;
  *address_bytes = family == kInet ? 12 : family == kInet6 ? 36 : family == kUnix ? 216 : 0;
  // Half an answer is none.  A datagram's address is one too: the proxy speaks HTTP/3 to the
  // client.
  if (family == kUnspec || transport == kUnspec) return true;
  *source = family == kInet    ? ProxyHeader::kV4
            : family == kInet6 ? ProxyHeader::kV6
                               : ProxyHeader::kUnix;
  return true;
}

Result parse_body(Bytes header, ProxyHeader* out, const char** why) {
  constexpr uint8_t kLocal = 0x20;
  // The proxy speaks for itself; 2.2: the rest is discarded, the family included.
  if (header[12] == kLocal) return Result::kDone;
  ProxyHeader told;
  size_t size = 0;
  if (!read_family(header[13], &told.source, &size)) return bad(why, "unknown address family");
  if (header.size() - kFixedPart < size) return bad(why, "shorter than its addresses");
  if (check_tlvs(header, kFixedPart + size, why) == Result::kBad) return Result::kBad;
  // Source, destination, the two ports.
  const uint8_t* addresses = header.data() + kFixedPart;
  if (told.source == ProxyHeader::kV4) {
    std::memcpy(told.ip, addresses, 4);
    std::memcpy(told.port, addresses + 8, 2);
  } else if (told.source == ProxyHeader::kV6) {
    std::memcpy(told.ip, addresses, 16);
    std::memcpy(told.port, addresses + 32, 2);
  }
  *out = told;
  return Result::kDone;
}

Result parse_v2(Bytes data, size_t* used, ProxyHeader* out, const char** why) {
  if (!starts_like(data, kSignature2)) return bad(why, "not a PROXY protocol header");
  if (data.size() > 12 && data[12] != 0x20 && data[12] != 0x21) {
    return bad(why, "unknown version or command");
  }
  if (data.size() < kFixedPart) return Result::kMore;
  const size_t size = kFixedPart + load_be16(&data[14]);
  if (size > kMaxProxyHeader) return bad(why, "longer than 4096 bytes");
  if (data.size() < size) return Result::kMore;
  *used = size;
  return parse_body(data.subspan(0, size), out, why);
}

}  // namespace

ProxyHeaderResult parse_proxy_header(Bytes data, size_t* used, ProxyHeader* out, const char** why) {
  *out = ProxyHeader();
  if (data.empty()) return Result::kMore;
  return data[0] == kSignature1[0] ? parse_v1(data, used, out, why)
                                   : parse_v2(data, used, out, why);
}

}  // namespace libws

// The server's side: is this request a handshake, and the 101 that answers one.
#include "libws/protocol/handshake.hpp"

#include "libws/base/crypto.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/http_fields.hpp"
#include "libws/protocol/http_write.hpp"

#include <array>
#include <cstring>

namespace libws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr size_t kKeyBytes = 16;

// A rule is a function that says what is wrong; the first that is broken ends the check.
struct Refusal {
  int status = 0;
  const char* why = "";
  explicit operator bool() const { return status != 0; }
};

// The authority of an absolute-form target; false if it is not http(s)://authority...
bool split_absolute(std::string_view target, std::string_view* authority, std::string_view* rest) {
  const size_t colon = target.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = target.substr(0, colon);
  if (!equals_ignore_case(scheme, "http") && !equals_ignore_case(scheme, "https")) return false;
  const std::string_view after = target.substr(colon + 3);
  const size_t end = after.find_first_of("/?");
  *authority = after.substr(0, end);
  *rest = end == std::string_view::npos ? std::string_view() : after.substr(end);
  return true;
}

Refusal check_host(const Head& head) {
  const size_t i = head.find("Host");
  if (i == SIZE_MAX) return {400, "no Host"};
  if (head.find("Host", i + 1) != SIZE_MAX) return {400, "more than one Host"};
  Authority unused;
  if (!parse_authority(head.value(i), &unused)) return {400, "bad Host"};
  return {};
}

// RFC 6455 4.2.1-1 allows origin-form and absolute-form, RFC 9110 4.2.4 no userinfo.
Refusal check_target(std::string_view target) {
  if (target.substr(0, 1) == "/") return {};
  std::string_view authority, rest;
  Authority unused;
  if (!split_absolute(target, &authority, &rest) || !parse_authority(authority, &unused)) {
    return {400, "bad request target"};
  }
  return {};
}

// RFC 9110 10.1.1.  What cannot be promised is refused rather than ignored, upgrade or not.
Refusal check_expect(const Head& head, bool* expect_continue) {
  for (size_t i = head.find("Expect"); i != SIZE_MAX; i = head.find("Expect", i + 1)) {
    std::string_view rest = head.value(i), member;
    while (next_member(&rest, &member)) {
      if (member.empty()) continue;
      if (!equals_ignore_case(member, "100-continue")) return {417, "unknown expectation"};
      *expect_continue = true;
    }
  }
  return {};
}

Refusal check_version(const Head& head) {
  constexpr std::string_view kName = "Sec-WebSocket-Version";
  const size_t i = head.find(kName);
  if (i == SIZE_MAX) return {400, "no Sec-WebSocket-Version"};
  if (head.find(kName, i + 1) != SIZE_MAX) return {400, "more than one Sec-WebSocket-Version"};
  if (head.value(i) != "13") return {426, "only WebSocket version 13 is spoken here"};
  return {};
}

Refusal check_key(const Head& head) {
  constexpr std::string_view kName = "Sec-WebSocket-Key";
  const size_t i = head.find(kName);
  if (i == SIZE_MAX) return {400, "no Sec-WebSocket-Key"};
  if (head.find(kName, i + 1) != SIZE_MAX) return {400, "more than one Sec-WebSocket-Key"};
  if (!base64_is_canonical(head.value(i), kKeyBytes)) return {400, "bad Sec-WebSocket-Key"};
  return {};
}

// Only what makes the field ambiguous; whether the origin is wanted is the server's policy.
Refusal check_origin(const Head& head) {
  const size_t i = head.find("Origin");
  if (i == SIZE_MAX) return {};
  if (head.find("Origin", i + 1) != SIZE_MAX) return {400, "more than one Origin"};
  if (head.value(i).size() > kMaxOriginBytes) return {400, "Origin too long"};
  return {};
}

// RFC 6455 4.1-10, 11.3.4: over all lines one list of distinct tokens, at least one.
Refusal check_protocols(const Head& head, Vector<std::string_view>* out) {
  constexpr std::string_view kName = "Sec-WebSocket-Protocol";
  constexpr Refusal kBad = {400, "bad Sec-WebSocket-Protocol"};
  const size_t first = head.find(kName);
  for (size_t i = first; i != SIZE_MAX; i = head.find(kName, i + 1)) {
    std::string_view rest = head.value(i), member;
    while (next_member(&rest, &member)) {
      if (member.empty()) continue;
      if (!is_token(member)) return kBad;
      // At most kMaxSubprotocols comparisons each, so linear in what the peer sent.
      for (std::string_view known : *out) {
        if (known == member) return {400, "a subprotocol is offered twice"};
      }
      if (out->size() < kMaxSubprotocols) out->push_back(member);
    }
  }
  return first != SIZE_MAX && out->empty() ? kBad : Refusal{};
}

// Grammar only: an offer that is not taken up is no error (RFC 6455 9.1).
Refusal check_extensions(const Head& head) {
  Vector<Extension> offers;
  if (!read_extensions(head, &offers)) return {400, "bad Sec-WebSocket-Extensions"};
  return {};
}

// RFC 6455 4.2.1.
Refusal check_upgrade(const Head& head, Framing framing, Vector<std::string_view>* protocols) {
  // Two parties that disagree whether bytes after the head are a body or frames are how
  // requests are smuggled through an upgrade (bad_inputs 32, 33).
  if (framing != Framing::kNone) return {400, "a handshake has no body"};
  if (!list_has(head, "Connection", "upgrade")) return {400, "Connection does not say upgrade"};
  if (Refusal r = check_version(head)) return r;
  if (Refusal r = check_key(head)) return r;
  if (Refusal r = check_origin(head)) return r;
  if (Refusal r = check_protocols(head, protocols)) return r;
  return check_extensions(head);
}

Refusal check_plain(Framing framing) {
  if (framing == Framing::kLength) return {413, "request bodies are not accepted"};
  if (framing == Framing::kChunked) return {501, "request bodies are not accepted"};
  return {};
}

Refusal check(const Head& head, RequestVerdict* verdict, Vector<std::string_view>* protocols) {
  if (head.version_minor() == 0) return {400, "HTTP/1.0 cannot upgrade"};
  if (Refusal r = check_host(head)) return r;
  const char* why = "";
  const Framing framing = body_framing(head, &why);
  if (framing == Framing::kInvalid) return {400, why};
  const bool upgrade = list_has(head, "Upgrade", "websocket");
  if (head.method() != "GET" && (upgrade || head.method() != "HEAD")) {
    return {405, "only GET is understood"};
  }
  if (Refusal r = check_target(head.target())) return r;
  if (Refusal r = check_expect(head, &verdict->expect_continue)) return r;
  verdict->is_upgrade = upgrade;
  return upgrade ? check_upgrade(head, framing, protocols) : check_plain(framing);
}

}  // namespace

bool handshake_accept(std::string_view key, char (&out)[kAcceptChars]) {
  // Keys are kKeyChars long once they are checked; a client compares with its own, the same.
  char text[kKeyChars + kGuid.size()];
  std::array<uint8_t, kSha1Bytes> digest;
  if (key.size() != kKeyChars) return false;
  std::memcpy(text, key.data(), key.size());
  std::memcpy(text + key.size(), kGuid.data(), kGuid.size());
  if (!crypto_sha1(bytes(text, sizeof text), digest)) return false;
  base64_encode(digest, out);
  return true;
}

RequestVerdict check_request(const Head& head, Vector<std::string_view>* protocols) {
  RequestVerdict verdict;
  verdict.head_only = head.method() == "HEAD";
  const Refusal refusal = check(head, &verdict, protocols);
  verdict.status = refusal.status;
  verdict.why = refusal.why;
  if (refusal) verdict.is_upgrade = false;
  return verdict;
}

bool read_extensions(const Head& head, Vector<Extension>* out) {
  constexpr std::string_view kName = "Sec-WebSocket-Extensions";
  const size_t first = head.find(kName);
  for (size_t i = first; i != SIZE_MAX; i = head.find(kName, i + 1)) {
    if (!parse_extensions(head.value(i), out)) return false;
  }
  return first == SIZE_MAX || !out->empty();
}

Target split_target(std::string_view target) {
  Target out;
  std::string_view rest = target;
  if (target.substr(0, 1) != "/") split_absolute(target, &out.authority, &rest);
  const size_t question = rest.find('?');
  out.path = rest.substr(0, question);
  if (out.path.empty()) out.path = "/";
  if (question != std::string_view::npos) out.query = rest.substr(question + 1);
  return out;
}

void append_switching_protocols(String& out, const char (&accept)[kAcceptChars],
                                std::string_view protocol, std::string_view extensions,
                                std::span<const ws_header> fields, const char* server) {
  out.append("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n");
  append_field(out, "Sec-WebSocket-Accept", {accept, kAcceptChars});
  if (!protocol.empty()) append_field(out, "Sec-WebSocket-Protocol", protocol);
  if (!extensions.empty()) append_field(out, "Sec-WebSocket-Extensions", extensions);
  if (server != nullptr && !has_field(fields, "Server")) append_field(out, "Server", server);
  append_fields(out, fields);
  out.append("\r\n");
}

}  // namespace libws

// The client's side: the request, and whether the response to it opens the connection.
#include "libws/base/log.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/handshake.hpp"
#include "libws/protocol/http_fields.hpp"
#include "libws/protocol/http_write.hpp"

namespace libws {
namespace {

Error check_target(std::string_view target) {
  if (target.empty()) return {};
  if (target[0] != '/') return fail(WS_ERR_INVALID, "open: target does not begin with '/'");
  if (!all_chars_are(target, kTargetChar)) {
    return fail(WS_ERR_INVALID, "open: target has a character that a URL cannot hold");
  }
  return {};
}

// RFC 6455 4.1-10.
Error check_subprotocols(std::span<const char* const> list) {
  if (list.data() == nullptr && !list.empty()) {
    return fail(WS_ERR_INVALID, "open: subprotocols is NULL");
  }
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i] == nullptr || !is_token(list[i])) {
      return fail(WS_ERR_INVALID, "open: subprotocol '%s' is not a token",
                  Escaped(list[i] != nullptr ? list[i] : "").c_str());
    }
    for (size_t k = 0; k < i; ++k) {
      if (std::string_view(list[k]) == list[i]) {
        return fail(WS_ERR_INVALID, "open: subprotocol '%s' is named twice", list[i]);
      }
    }
  }
  return {};
}

// The value of the one field of that name; false when it is missing or repeated.
bool only_value(const Head& head, std::string_view name, std::string_view* value) {
  const size_t i = head.find(name);
  if (i == SIZE_MAX || head.find(name, i + 1) != SIZE_MAX) return false;
  *value = head.value(i);
  return true;
}

// Each says what is wrong, or nullptr.

const char* check_accept(const Head& head, std::string_view key) {
  char expected[kAcceptChars];
  std::string_view accept;
  if (!handshake_accept(key, expected)) return "cannot compute Sec-WebSocket-Accept";
  if (!only_value(head, "Sec-WebSocket-Accept", &accept)) {
    return "not exactly one Sec-WebSocket-Accept";
  }
  if (accept != std::string_view(expected, kAcceptChars)) {
    return "Sec-WebSocket-Accept does not match the key";
  }
  return nullptr;
}

const char* check_protocol(const Head& head, std::span<const char* const> offered,
                           std::string_view* agreed) {
  constexpr std::string_view kName = "Sec-WebSocket-Protocol";
  std::string_view protocol;
  if (head.find(kName) == SIZE_MAX) return nullptr;
  if (!only_value(head, kName, &protocol)) return "more than one Sec-WebSocket-Protocol";
  for (const char* offer : offered) {
    if (protocol == offer) {
      *agreed = protocol;
      return nullptr;
    }
  }
  return "a subprotocol that was not offered";
}

const char* check_extensions(const Head& head, const DeflateWish& deflate, DeflateAgreed* agreed) {
  Vector<Extension> answers;
  if (!read_extensions(head, &answers)) return "bad Sec-WebSocket-Extensions";
  return check_deflate_answer(answers, deflate, agreed);
}

const char* check_switching(const Head& head, std::string_view key,
                            std::span<const char* const> subprotocols, const DeflateWish& deflate,
                            ResponseVerdict* agreed) {
  // RFC 9110 7.8 is HTTP/1.1, and RFC 9112 6.1 gives a 101 no body; whoever believes there is
  // one would take our first frames for it.
  if (head.version_minor() == 0) return "101 in an HTTP/1.0 response";
  const char* why = "";
  if (body_framing(head, &why) != Framing::kNone) return "101 with a body";
  std::string_view upgrade;
  if (!only_value(head, "Upgrade", &upgrade) || !equals_ignore_case(upgrade, "websocket")) {
    return "Upgrade is not websocket";
  }
  if (!list_has(head, "Connection", "upgrade")) return "Connection does not say upgrade";
  if (const char* wrong = check_accept(head, key)) return wrong;
  if (const char* wrong = check_protocol(head, subprotocols, &agreed->protocol)) return wrong;
  return check_extensions(head, deflate, &agreed->deflate);
}

}  // namespace

Error check_open_request(const OpenRequest& open) {
  Authority unused;
  if (!parse_authority(open.host, &unused)) {
    return fail(WS_ERR_INVALID, "open: host '%s' is not host[:port]", Escaped(open.host).c_str());
  }
  if (Error e = check_target(open.target)) return e;
  if (Error e = check_caller_fields("open", open.headers)) return e;
  return check_subprotocols(open.subprotocols);
}

void append_open_request(String& out, const OpenRequest& open, std::string_view key) {
  out.append("GET ").append(open.target.empty() ? "/" : open.target).append(" HTTP/1.1\r\n");
  append_field(out, "Host", open.host);
  out.append("Upgrade: websocket\r\nConnection: Upgrade\r\n");
  append_field(out, "Sec-WebSocket-Key", key);
  out.append("Sec-WebSocket-Version: 13\r\n");
  if (!open.subprotocols.empty()) {
    out.append("Sec-WebSocket-Protocol: ");
    for (size_t i = 0; i < open.subprotocols.size(); ++i) {
      out.append(i == 0 ? "" : ", ").append(open.subprotocols[i]);
    }
    out.append("\r\n");
  }
  if (!open.extensions.empty()) append_field(out, "Sec-WebSocket-Extensions", open.extensions);
  append_fields(out, open.headers);
  out.append("\r\n");
}

ResponseVerdict check_response(const Head& head, std::string_view key,
                               std::span<const char* const> subprotocols,
                               const DeflateWish& deflate) {
  ResponseVerdict verdict;
  const int status = head.status();
  if (status == 101) {
    if (const char* wrong = check_switching(head, key, subprotocols, deflate, &verdict)) {
      verdict.error = WS_ERR_HANDSHAKE;
      verdict.why = wrong;
      verdict.protocol = {};
    }
  } else if (status < 200) {
    verdict.interim = true;
  } else {
    verdict.error = WS_ERR_HTTP_STATUS;
    verdict.why = "refused";
    // RFC 6455 4.4: the server names what it speaks instead.  No older version is tried.
    if (status >= 400 && head.find("Sec-WebSocket-Version") != SIZE_MAX &&
        !list_has(head, "Sec-WebSocket-Version", "13")) {
      verdict.why = "refused: the server does not speak WebSocket version 13";
    }
  }
  return verdict;
}

}  // namespace libws

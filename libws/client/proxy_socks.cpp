// A tunnel through a SOCKS proxy: SOCKS 5 (RFC 1928) with or without user and password (RFC
// 1929), and SOCKS 4a, which is SOCKS 4 with a name instead of an address.  Answers are checked
// byte by byte, so a proxy that speaks something else is told by its first one.
#include "libws/client/proxy_talk.hpp"
#include "libws/client/url_parts.hpp"

#include <cassert>

namespace libws {
namespace {

[[maybe_unused]] constexpr size_t kMaxName = 255;  // one byte for its length

void append_byte(String& out, unsigned byte) { out.push_back(static_cast<char>(byte)); }

void append_port(String& out, uint16_t port) {
  append_byte(out, port >> 8);
  append_byte(out, port & 0xffu);
}

void append_counted(String& out, std::string_view text) {
  assert(text.size() <= kMaxName);
  append_byte(out, static_cast<unsigned>(text.size()));
  out.append(text);
}

void append_address(String& out, const IpLiteral& ip) { out.append(text({ip.bytes, ip.size})); }

constexpr uint8_t kVersion5 = 5;
constexpr uint8_t kNoLogin = 0;  // RFC 1928 3
constexpr uint8_t kUserPassword = 2;
constexpr uint8_t kNoneAccepted = 0xff;
constexpr uint8_t kLoginVersion = 1;  // RFC 1929 2
constexpr uint8_t kConnect = 1;       // RFC 1928 4, and SOCKS 4
constexpr uint8_t kIpv4 = 1;          // RFC 1928 5
constexpr uint8_t kName = 3;
constexpr uint8_t kIpv6 = 4;

// RFC 1928 6.
const char* reply_text(uint8_t reply) {
  switch (reply) {
    case 1: return "general failure";
    case 2: return "not allowed by its rules";
    case 3: return "network unreachable";
    case 4: return "host unreachable";
    case 5: return "connection refused";
    case 6: return "time to live expired";
    case 7: return "command not supported";
    case 8: return "address type not supported";
    default: return "unassigned reply";
  }
}

class Socks5 final : public ProxyTalk {
 public:
  Socks5(const Proxy& proxy, std::string_view host, uint16_t port);

 private:
  // What the next byte must be.  The login is left out when the proxy asks for none.
  //
  //   state         next byte           then
  //   kVersion      5                   kMethod
  //   kMethod       none                kReplyVersion, the request is sent
  //                 user and password   kLoginAnswer, they are sent
  //   kLoginAnswer  1                   kLoginStatus
  //   kLoginStatus  0                   kReplyVersion, the request is sent
  //   kReplyVersion 5                   kReply
  //   kReply        0                   kReserved
  //   kReserved     0                   kType
  //   kType         IPv4, IPv6          kBound
  //                 name                kNameLength
  //   kNameLength   any                 kBound
  //   kBound        any, left_ of them  done after the last
  //
  // Anything else fails.
  enum class State : uint8_t {
    kVersion,
    kMethod,
    kLoginAnswer,
    kLoginStatus,
    kReplyVersion,
    kReply,
    kReserved,
    kType,
    kNameLength,
    kBound,
  };

  Step take(Bytes in, size_t* used) override;
  Step step(uint8_t c);
  Step choose(uint8_t method);
  Step refused(uint8_t reply);
  Step bound_type(uint8_t type);
  Step expect(bool good, State next);
  Step go(State next) {
    state_ = next;
    return Step::kMore;
  }
  Step request() {
    say(request_);
    return go(State::kReplyVersion);
  }
  // The address that the proxy bound is of no use: the tunnel is this socket.
  Step skip(size_t address) {
    left_ = address + 2;  // and a port
    return go(State::kBound);
  }

  String login_;  // "" if there is none
  String request_;
  State state_ = State::kVersion;
  size_t left_ = 0;
};

Socks5::Socks5(const Proxy& proxy, std::string_view host, uint16_t port) {
  String greeting;
  append_byte(greeting, kVersion5);
  if (proxy.has_credentials) {
    append_byte(greeting, 2);
    append_byte(greeting, kNoLogin);
    append_byte(greeting, kUserPassword);
    append_byte(login_, kLoginVersion);
    append_counted(login_, proxy.user);
    append_counted(login_, proxy.password);
  } else {
    append_byte(greeting, 1);
    append_byte(greeting, kNoLogin);
  }
  append_byte(request_, kVersion5);
  append_byte(request_, kConnect);
  append_byte(request_, 0);
  const IpLiteral ip = parse_ip(host);
  if (ip.size == 0) {
    append_byte(request_, kName);
    append_counted(request_, host);
  } else {
    append_byte(request_, ip.size == 4 ? kIpv4 : kIpv6);
    append_address(request_, ip);
  }
  append_port(request_, port);
  say(greeting);
}

ProxyTalk::Step Socks5::take(Bytes in, size_t* used) {
  Step result = Step::kMore;
  while (result == Step::kMore && *used != in.size()) result = step(in[(*used)++]);
  return result;
}

ProxyTalk::Step Socks5::step(uint8_t c) {
  switch (state_) {
    case State::kVersion: return expect(c == kVersion5, State::kMethod);
    case State::kMethod: return choose(c);
    case State::kLoginAnswer: return expect(c == kLoginVersion, State::kLoginStatus);
    case State::kLoginStatus:
      return c == 0 ? request() : failed("the proxy does not take this user and password");
    case State::kReplyVersion: return expect(c == kVersion5, State::kReply);
    case State::kReply: return c == 0 ? go(State::kReserved) : refused(c);
    case State::kReserved: return expect(c == 0, State::kType);
    case State::kType: return bound_type(c);
    case State::kNameLength: return skip(c);
    default: return --left_ == 0 ? Step::kDone : Step::kMore;
  }
}

ProxyTalk::Step Socks5::choose(uint8_t method) {
  if (method == kNoLogin) return request();
  if (method == kUserPassword && !login_.empty()) {
    say(login_);
    return go(State::kLoginAnswer);
  }
  if (method != kNoneAccepted) return failed("the proxy chose a login that was not offered");
  return failed(login_.empty() ? "the proxy wants a login, such as a user and password"
                               : "the proxy wants another login than a user and password");
}

ProxyTalk::Step Socks5::refused(uint8_t reply) {
  return failed("the proxy answered %u, %s", unsigned{reply}, reply_text(reply));
}

ProxyTalk::Step Socks5::bound_type(uint8_t type) {
  switch (type) {
    case kIpv4: return skip(4);
    case kIpv6: return skip(16);
    default: return expect(type == kName, State::kNameLength);
  }
}

ProxyTalk::Step Socks5::expect(bool good, State next) {
  return good ? go(next) : failed("the proxy's answer is not SOCKS 5");
}

// The answer is eight bytes: 0, the reply, and six to be ignored.
constexpr size_t kSocks4AnswerBytes = 8;
constexpr uint8_t kVersion4 = 4;
constexpr uint8_t kGranted = 90;

const char* socks4_reply_text(uint8_t reply) {
  switch (reply) {
    case 91: return "rejected or failed";
    case 92: return "it cannot reach identd on this machine";
    case 93: return "identd on this machine names another user";
    default: return "unassigned reply";
  }
}

class Socks4a final : public ProxyTalk {
 public:
  Socks4a(const Proxy& proxy, std::string_view host, uint16_t port);

 private:
  Step take(Bytes in, size_t* used) override;

  size_t taken_ = 0;
};

Socks4a::Socks4a(const Proxy& proxy, std::string_view host, uint16_t port) {
  // 0.0.0.x says that a name follows, so such an address is sent as one.  So is an IPv6 address,
  // for which there is no other way; most proxies look it up like any name.
  const IpLiteral ip = parse_ip(host);
  const bool is_address = ip.size == 4 && (ip.bytes[0] | ip.bytes[1] | ip.bytes[2]) != 0;
  String request;
  append_byte(request, kVersion4);
  append_byte(request, kConnect);
  append_port(request, port);
  if (is_address) {
    append_address(request, ip);
  } else {
    request.append("\0\0\0\1", 4);
  }
  request.append(proxy.user).push_back('\0');
  if (!is_address) request.append(without_zone(host)).push_back('\0');
  say(request);
}

ProxyTalk::Step Socks4a::take(Bytes in, size_t* used) {
  while (*used != in.size()) {
    const uint8_t c = in[(*used)++];
    ++taken_;
    if (taken_ == 1 && c != 0) return failed("the proxy's answer is not SOCKS 4");
    if (taken_ == 2 && c != kGranted) {
      return failed("the proxy answered %u, %s", unsigned{c}, socks4_reply_text(c));
    }
    if (taken_ == kSocks4AnswerBytes) return Step::kDone;
  }
  return Step::kMore;
}

}  // namespace

std::unique_ptr<ProxyTalk> make_socks5(const Proxy& proxy, std::string_view host, uint16_t port) {
  return std::unique_ptr<ProxyTalk>(new Socks5(proxy, host, port));
}

std::unique_ptr<ProxyTalk> make_socks4a(const Proxy& proxy, std::string_view host, uint16_t port) {
  return std::unique_ptr<ProxyTalk>(new Socks4a(proxy, host, port));
}

}  // namespace libws

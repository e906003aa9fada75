#include "libws/net/address.hpp"

#include "libws/base/log.hpp"
#include "libws/base/system.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <cstring>

namespace libws {
namespace {

// A name that resolves to more addresses than this is listened on at the first ones.
constexpr size_t kMaxListenAddresses = 16;

// The port has the same place in both kinds of TCP address.
constexpr size_t kPortOffset = offsetof(sockaddr_in, sin_port);
static_assert(kPortOffset == offsetof(sockaddr_in6, sin6_port));

// The longest literal: an IPv6 address, '%' and an interface's name.
constexpr size_t kMaxLiteral = INET6_ADDRSTRLEN + IF_NAMESIZE;

// sockaddr_storage is bytes to us; copying in and out keeps the aliasing rules.
sockaddr_in as_v4(const Address& a) {
  sockaddr_in v4;
  std::memcpy(&v4, &a.storage, sizeof v4);
  return v4;
}

sockaddr_in6 as_v6(const Address& a) {
  sockaddr_in6 v6;
  std::memcpy(&v6, &a.storage, sizeof v6);
  return v6;
}

bool system_has_ipv6() {
  int fd = sys().socket(AF_INET6, SOCK_STREAM, 0);
  if (fd < 0) return false;
  sys().close(fd);
  return true;
}

Address any_address(uint16_t port) {
  if (system_has_ipv6()) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_any;
    v6.sin6_port = htons(port);
    return address_from(&v6, sizeof v6);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  return address_from(&v4, sizeof v4);
}

struct AddrinfoDeleter {
  void operator()(addrinfo* list) const { sys().freeaddrinfo(list); }
};

// A zone is an interface's name, or its number.
bool parse_zone(const char* zone, uint32_t* out) {
  *out = if_nametoindex(zone);
  if (*out != 0) return true;
  const char* end = zone + std::strlen(zone);
  auto [stop, error] = std::from_chars(zone, end, *out);
  return error == std::errc() && stop == end && *out != 0;
}

}  // namespace

Address::Address() { std::memset(&storage, 0, sizeof storage); }

uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(as_v4(*this).sin_port);
  if (family() == AF_INET6) return ntohs(as_v6(*this).sin6_port);
  return 0;
}

void Address::set_port(uint16_t port) {
  uint16_t wire = htons(port);
  std::memcpy(reinterpret_cast<char*>(&storage) + kPortOffset, &wire, sizeof wire);
}

Address address_from(const void* sa, size_t len) {
  Address a;
  std::memcpy(&a.storage, sa, len);
  a.len = static_cast<socklen_t>(len);
  return a;
}

bool address_equal(const Address& a, const Address& b) {
  if (a.family() != b.family()) return false;
  if (a.family() == AF_INET) {
    return a.port() == b.port() && as_v4(a).sin_addr.s_addr == as_v4(b).sin_addr.s_addr;
  }
  if (a.family() == AF_INET6) {
    sockaddr_in6 x = as_v6(a), y = as_v6(b);
    return x.sin6_port == y.sin6_port && x.sin6_scope_id == y.sin6_scope_id &&
           std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
  }
  return a.len == b.len && std::memcmp(&a.storage, &b.storage, a.len) == 0;
}

bool address_literal(std::string_view host, Address* out) {
  char text[kMaxLiteral];
  if (host.size() >= sizeof text || host.find('\0') != host.npos) return false;
  text[host.copy(text, sizeof text)] = '\0';
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    *out = address_from(&v4, sizeof v4);
    return true;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  char* zone = std::strchr(text, '%');
  if (zone != nullptr) {
    *zone++ = '\0';
    if (!parse_zone(zone, &v6.sin6_scope_id)) return false;
  }
  if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1) return false;
  *out = address_from(&v6, sizeof v6);
  return true;
}

Address address_loopback(int family) {
  if (family == AF_INET6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_addr = in6addr_loopback;
    return address_from(&v6, sizeof v6);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address_from(&v4, sizeof v4);
}

void address_print(const Address& a, char (&out)[kAddressTextBytes]) {
  PackedAddress(a).print(out);
}

PackedAddress::PackedAddress(const Address& a) {
  if (a.family() == AF_UNIX) {
    family = kUnix;
  } else if (a.family() == AF_INET) {
    sockaddr_in v4 = as_v4(a);
    family = kV4;
    std::memcpy(ip, &v4.sin_addr, 4);
    std::memcpy(port, &v4.sin_port, 2);
  } else if (a.family() == AF_INET6) {
    sockaddr_in6 v6 = as_v6(a);
    // A dual-stack listener sees IPv4 peers as ::ffff:a.b.c.d; to the application, and to its
    // lists of addresses, they are IPv4.
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      family = kV4;
      std::memcpy(ip, &v6.sin6_addr.s6_addr[12], 4);
    } else {
      family = kV6;
      std::memcpy(ip, &v6.sin6_addr, 16);
    }
    std::memcpy(port, &v6.sin6_port, 2);
  }
}

void PackedAddress::print(char (&out)[kAddressTextBytes]) const {
  char host[kAddressTextBytes];
  print_host(host);
  const unsigned number = (unsigned{port[0]} << 8) | port[1];
  if (family == kV4) {
    std::snprintf(out, sizeof out, "%.*s:%u", INET6_ADDRSTRLEN, host, number);
  } else if (family == kV6) {
    std::snprintf(out, sizeof out, "[%.*s]:%u", INET6_ADDRSTRLEN, host, number);
  } else {
    std::memcpy(out, host, sizeof out);
  }
}

void PackedAddress::print_host(char (&out)[kAddressTextBytes]) const {
  std::memset(out, 0, sizeof out);
  if (family == kUnix) std::memcpy(out, "unix:", sizeof "unix:");
  if (family == kV4) inet_ntop(AF_INET, ip, out, sizeof out);
  if (family == kV6) inet_ntop(AF_INET6, ip, out, sizeof out);
}

Error address_unix(const char* path, Address* out) {
  sockaddr_un un{};
  size_t len = std::strlen(path);
  bool abstract = path[0] == '@';
  // A file's path keeps its NUL, since not every system manages without; an abstract name is
  // counted, and has a NUL where we have the '@'.
  size_t most = abstract ? sizeof un.sun_path : sizeof un.sun_path - 1;
  if (len < (abstract ? 2u : 1u)) return fail(WS_ERR_INVALID, "unix socket: empty path");
  if (len > most) {
    return fail(WS_ERR_INVALID, "unix socket path: %zu bytes, at most %zu", len, most);
  }
#ifndef __linux__
  if (abstract) return fail(WS_ERR_UNSUPPORTED, "abstract unix sockets");
#endif
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path, len);
  if (abstract) un.sun_path[0] = '\0';
  *out = address_from(&un, offsetof(sockaddr_un, sun_path) + len + (abstract ? 0 : 1));
  return {};
}

Error address_for_listening(const char* host, uint16_t port, Vector<Address>* out) {
  Vector<Address> found;
  if (host == nullptr) {
    found.push_back(any_address(port));
    out->swap(found);
    return {};
  }
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* raw = nullptr;
  int rc = sys().getaddrinfo(host, nullptr, &hints, &raw);
  if (rc == EAI_MEMORY) return fail(WS_ERR_NOMEM, "listen on %s", Escaped(host).c_str());
  if (rc == EAI_SYSTEM) {
    return fail_errno(WS_ERR_ADDR, errno, "listen on %s", Escaped(host).c_str());
  }
  if (rc != 0) {
    return fail(WS_ERR_ADDR, "listen on %s: %s", Escaped(host).c_str(), gai_strerror(rc));
  }
  std::unique_ptr<addrinfo, AddrinfoDeleter> list(raw);
  for (addrinfo* i = raw; i != nullptr && found.size() < kMaxListenAddresses; i = i->ai_next) {
    if (i->ai_family != AF_INET && i->ai_family != AF_INET6) continue;
    Address a = address_from(i->ai_addr, i->ai_addrlen);
    a.set_port(port);
    // A hosts file may name an address twice, and binding it twice would fail.
    bool known = false;
    for (const Address& b : found) known = known || address_equal(a, b);
    if (!known) found.push_back(a);
  }
  if (found.empty()) return fail(WS_ERR_ADDR, "listen on %s: no address", Escaped(host).c_str());
  out->swap(found);
  return {};
}

}  // namespace libws

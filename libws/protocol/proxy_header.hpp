// The header of the PROXY protocol, versions 1 and 2, with which a proxy begins a connection to
// tell whose it is (the specification is part of HAProxy: doc/proxy-protocol.txt).  Strict: whoever
// sends it was listed by the administrator, so what is not right is not the proxy.
#pragma once

#include "libws/base/bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

// Far above what proxies send: 107 bytes of version 1; 52 and some TLVs of version 2, where one
// with a TLS client's name in it has a few hundred.
inline constexpr size_t kMaxProxyHeader = 4096;

struct ProxyHeader {
  enum Source : uint8_t {
    kSame,  // LOCAL, UNKNOWN, UNSPEC: the address of the connection stands
    kV4,
    kV6,
    kUnix,
  };
  Source source = kSame;
  uint8_t ip[16] = {};
  uint8_t port[2] = {};  // as on the wire
};

enum class ProxyHeaderResult : uint8_t {
  kMore,  // all of `data` belongs to the header, and more must come
  kDone,
  kBad,
};

// Reads a header that begins at data[0].  kDone: *used bytes are the header, what follows is the
// connection's.  kBad: *why is a text for the log.  Junk is told by its first byte that cannot be.
ProxyHeaderResult parse_proxy_header(Bytes data, size_t* used, ProxyHeader* out, const char** why);

}  // namespace libws

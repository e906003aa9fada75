// Where to connect, and opening many connections with their WebSocket handshakes.  Like echo.hpp
// this is written against the RFC and not against libws, so that a fault in the library cannot
// hide in the tool that measures it.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

struct Target {
  bool raw = false;  // no WebSocket: bytes go out and the same bytes come back
  sockaddr_in address{};
  std::string host;  // as it goes into the Host header
  std::string path;
};

Target parse_url(std::string_view url);        // ws://127.0.0.1:PORT/path
Target parse_raw(std::string_view host_port);  // 127.0.0.1:PORT

struct Opened {
  int fd = -1;                 // not blocking
  std::vector<uint8_t> early;  // what the server sent right behind its handshake
};

// Opens `count` connections, a bounded number of them at a time, and completes every opening
// handshake.  The program ends if one fails, or if nothing happens for `stall_s`.
std::vector<Opened> open_connections(const Target& target, size_t count, double stall_s);

// Ends a connection without TIME_WAIT: 15,000 of those per run would eat the local ports.
void close_abruptly(int fd);

}  // namespace bench

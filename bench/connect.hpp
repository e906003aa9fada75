// Where to connect, and opening many connections with their WebSocket handshakes.  Like echo.hpp
// this is written against the RFC and not against libws, so that a fault in the library cannot
// hide in the tool that measures it.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "messages.hpp"
#include "stream.hpp"

namespace bench {

class Options;

struct Target {
  bool raw = false;  // no WebSocket: bytes go out and the same bytes come back
  sockaddr_in address{};
  std::string host;  // as it goes into the Host header
  std::string path;
  std::shared_ptr<TlsContext> tls;  // null: none
  std::optional<Deflate> deflate;   // messages are compressed so, or not at all
};

// The options that name the server, for the usage texts, and reading them.
#define BENCH_TARGET_USAGE "(--url ws[s]://127.0.0.1:PORT/ | --raw 127.0.0.1:PORT [--tls])"
#define BENCH_DEFLATE_USAGE                                                                      \
  "  --deflate MODE    compressed JSON: shared (no context takeover) or dedicated[:BITS], with " \
  "a\n"                                                                                          \
  "                    window of 9 to 15 bits [12]; a raw server is one that compresses\n"
Target target_option(Options& options);
// What to send it.
Messages messages_for(const Target& target, Opcode opcode, size_t size, bool verify);
const char* protocol_name(const Target& target);  // as the programs report it

struct Opened {
  Stream stream;
  std::vector<uint8_t> early;  // what the server sent right behind its handshake
};

struct Opening {
  size_t count = 1;
  size_t in_flight = kUsualInFlight;
  double stall_s = 30;  // the program ends if nothing happens for so long

  // Far below any server's backlog, so that no SYN is dropped and retried a second later.
  static constexpr size_t kUsualInFlight = 256;
};

// Opens connections, so many of them at a time, and hands each over when its opening handshakes
// are complete.  A raw server is sent the request too and must return it.  The program ends if one
// fails.
void open_each(const Target& target, const Opening& opening,
               const std::function<void(Opened&&)>& on_open);
std::vector<Opened> open_connections(const Target& target, size_t count, double stall_s);

}  // namespace bench

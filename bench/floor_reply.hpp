// What a floor answers: the bytes it was sent.  With --upgrade the first of each connection are
// taken for an opening handshake, as they must be when it is the client that is measured.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "accept_key.hpp"
#include "common.hpp"

namespace bench {

class FloorReply {
 public:
  explicit FloorReply(bool upgrading) : upgrading_(upgrading) {}

  void opened(int fd) {
    if (!upgrading_) return;
    const auto slot = static_cast<size_t>(fd);
    if (slot >= is_fresh_.size()) is_fresh_.resize(slot + 1);
    is_fresh_[slot] = true;
  }

  // Valid until the next call, or as long as `in`.
  std::span<const uint8_t> to(int fd, std::span<const uint8_t> in) {
    return upgrading_ && !in.empty() ? to_maybe_first(fd, in) : in;
  }

 private:
  std::span<const uint8_t> to_maybe_first(int fd, std::span<const uint8_t> in) {
    if (!is_fresh_[static_cast<size_t>(fd)]) return in;
    is_fresh_[static_cast<size_t>(fd)] = false;
    const std::string_view request(reinterpret_cast<const char*>(in.data()), in.size());
    // The whole request is in one read, and the clients that are measured write it like this.
    constexpr std::string_view kField = "Sec-WebSocket-Key: ";
    const size_t at = request.find(kField);
    if (at == request.npos || !request.ends_with("\r\n\r\n")) die("not an opening handshake");
    const std::string_view rest = request.substr(at + kField.size());
    const std::string key(rest.substr(0, rest.find('\r')));
    answer_ =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: " +
        accept_for(key) + "\r\n\r\n";
    return {reinterpret_cast<const uint8_t*>(answer_.data()), answer_.size()};
  }

  bool upgrading_;
  std::vector<bool> is_fresh_;  // by descriptor: has said nothing yet
  std::string answer_;
};

}  // namespace bench

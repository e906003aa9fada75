// What stands before a message in a channel, and telling by it what came before.
#pragma once

#include <libws/message.h>

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace libws_redis {

using OriginId = std::array<uint8_t, 16>;

struct Envelope {
  static constexpr uint8_t kVersion = 1;
  static constexpr size_t kBytes = 2 + sizeof(OriginId) + 8;

  ws_opcode opcode = WS_OP_TEXT;
  OriginId origin = {};
  uint64_t number = 0;  // counts the origin's messages, from 1

  std::array<char, kBytes> encode() const;
  // False: no envelope of this version.  What follows it is the message.
  static bool decode(std::string_view data, Envelope* out);
};

// A message comes twice when a channel and a pattern match it, or several patterns, or when its
// sender did not learn that it had arrived.  Each sender's numbers come in ascending order, so the
// highest one is all there is to remember.
class Origins {
 public:
  static constexpr size_t kMost = 4096;  // the one that was silent longest is forgotten

  // False: it came before.  Throws std::bad_alloc; nothing has changed then.
  bool is_new(const OriginId& origin, uint64_t number);

 private:
  struct Last {
    uint64_t number = 0;
    uint64_t when = 0;
  };
  // They are random already, or another's choice who can do worse things.
  struct Hash {
    size_t operator()(const OriginId& id) const;
  };
  void forget_one();

  std::unordered_map<OriginId, Last, Hash> last_;
  uint64_t clock_ = 0;
};

}  // namespace libws_redis

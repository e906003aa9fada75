// What a connection keeps for permessage-deflate when messages may refer to earlier ones; private
// to engine*.cpp.  Made by the first message that needs it.
#pragma once

#include "libws/protocol/engine.hpp"
#include "libws/protocol/window.hpp"

#include <memory>

namespace libws {

struct Engine::Contexts : Allocated {
  // zlib has no raw window of 8 bits: a peer that agreed to one may refer as far back as with 9.
  explicit Contexts(int recv_bits) : received(recv_bits < 9 ? 9 : recv_bits) {}

  Window received;                     // of what the peer sent
  std::unique_ptr<Deflater> deflater;  // with what we sent
  uint64_t used_us = 0;                // when the deflater last was
};

}  // namespace libws

// What the connections of one thread share for permessage-deflate: streams that are used in turn,
// a buffer to work in, and the account of what connections hold for themselves.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/protocol/deflater.hpp"
#include "libws/protocol/inflater.hpp"

#include <array>
#include <memory>
#include <span>

namespace libws {

// Output of one step.  A message that leaves room in it needs no buffer of its own.
inline constexpr size_t kInflateStep = (size_t{64} << 10) + 64;

class DeflatePool {
 public:
  DeflatePool() = default;
  ~DeflatePool();
  DeflatePool(const DeflatePool&) = delete;
  DeflatePool& operator=(const DeflatePool&) = delete;

  // One to decompress a message with, then to be given back.  Null: out of memory.
  Inflater* take_inflater();
  void give(Inflater* inflater);

  // One with no context, good until the next call.  window_bits 9 to 15.  Null: out of memory.
  // Which library it is of was chosen when this was built, and depends on the level.
  Deflater* fresh_deflater(int window_bits, int level);

  // kInflateStep bytes, one user at a time; empty when out of memory.
  std::span<uint8_t> work_area();

  // ---- memory of connections ----
  void set_budget(uint64_t bytes) { budget_ = bytes; }
  bool has_room(uint64_t bytes) const { return held_ <= budget_ && bytes <= budget_ - held_; }
  void hold(uint64_t bytes) { held_ += bytes; }
  void let_go(uint64_t bytes) { held_ -= bytes; }
  uint64_t held() const { return held_; }

  // The libraries behind all this: "zlib 1.2.13".
  static const char* libraries();

  // Gives everything back that is not in use, for an owner that is idle.
  void trim();
  bool empty() const;

  uint64_t deflated = 0;  // messages
  uint64_t inflated = 0;
  uint64_t used_us = 0;  // the last time either happened

 private:
  // Streams of messages that arrive in pieces beyond this many are not kept for later.
  static constexpr size_t kKeepInflaters = 4;

  std::array<Inflater*, kKeepInflaters> inflaters_ = {};
  size_t inflater_count_ = 0;
  std::array<std::unique_ptr<Deflater>, 16> deflaters_;  // by window bits
  std::array<std::unique_ptr<Deflater>, 16> fast_;       // the same of ISA-L, if it was chosen
  uint8_t* work_ = nullptr;
  uint64_t budget_ = uint64_t{64} << 20;
  uint64_t held_ = 0;
};

}  // namespace libws

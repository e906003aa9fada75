// A hash that nobody without the key can aim at: for tables whose keys a peer may choose.
#pragma once

#include "libws/base/bytes.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

// SipHash-1-3: one round for each eight bytes, three at the end.
class KeyedHash {
 public:
  KeyedHash();  // with a random key
  KeyedHash(uint64_t k0, uint64_t k1) : k0_(k0), k1_(k1) {}

  uint64_t operator()(std::string_view data) const;

 private:
  uint64_t k0_, k1_;
};

}  // namespace libws

#include "libws/base/keyed_hash.hpp"

#include "libws/base/system.hpp"

#include <bit>

namespace libws {
namespace {

struct Sip {
  uint64_t a, b, c, d;

  void round() {
    a += b;
    b = std::rotl(b, 13) ^ a;
    a = std::rotl(a, 32);
    c += d;
    d = std::rotl(d, 16) ^ c;
    a += d;
    d = std::rotl(d, 21) ^ a;
    c += b;
    b = std::rotl(b, 17) ^ c;
    c = std::rotl(c, 32);
  }
  void take(uint64_t word) {
    d ^= word;
    round();
    a ^= word;
  }
};

}  // namespace

KeyedHash::KeyedHash() : k0_(0), k1_(0) {
  uint64_t key[2];
  // Without random bytes the hash still works; only the defence is gone.
  if (sys().random(key, sizeof key) != 0) return;
  k0_ = key[0];
  k1_ = key[1];
}

uint64_t KeyedHash::operator()(std::string_view data) const {
  Sip s{k0_ ^ 0x736f6d6570736575, k1_ ^ 0x646f72616e646f6d, k0_ ^ 0x6c7967656e657261,
        k1_ ^ 0x7465646279746573};
  const char* p = data.data();
  size_t left = data.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    s.take(word);
  }
  uint64_t last = 0;
  if (left != 0) std::memcpy(&last, p, left);
  s.take(last | (uint64_t{data.size()} << 56));
  s.c ^= 0xff;
  for (int i = 0; i < 3; ++i) s.round();
  return s.a ^ s.b ^ s.c ^ s.d;
}

}  // namespace libws

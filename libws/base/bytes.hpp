// Byte spans and big-endian loads and stores.  RFC 6455 5.2: lengths are in network byte order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace libws {

using Bytes = std::span<const uint8_t>;

inline Bytes bytes(const void* data, size_t len) {
  return {static_cast<const uint8_t*>(data), len};
}
inline Bytes bytes(std::string_view s) { return bytes(s.data(), s.size()); }
inline std::string_view text(Bytes b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

inline uint16_t load_be16(const uint8_t* p) {
  return static_cast<uint16_t>((uint32_t{p[0]} << 8) | p[1]);
}

inline uint32_t load_be32(const uint8_t* p) {
  return (uint32_t{load_be16(p)} << 16) | load_be16(p + 2);
}

inline uint64_t load_be64(const uint8_t* p) {
  uint64_t v = 0;
  for (int i = 0; i < 8; ++i) v = (v << 8) | p[i];
  return v;
}

inline void store_be16(uint8_t* p, uint16_t v) {
  p[0] = static_cast<uint8_t>(v >> 8);
  p[1] = static_cast<uint8_t>(v);
}

inline void store_be64(uint8_t* p, uint64_t v) {
  for (int i = 7; i >= 0; --i, v >>= 8) p[i] = static_cast<uint8_t>(v);
}

// memcpy and memset with a null pointer are undefined even for length 0; spans may hold one.
inline void copy_bytes(void* to, const void* from, size_t len) {
  if (len != 0) std::memcpy(to, from, len);
}

}  // namespace libws

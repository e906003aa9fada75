#include "libws/net/address_block.hpp"

#include "libws/base/log.hpp"

#include <netinet/in.h>
#include <charconv>
#include <cstring>

namespace libws {
namespace {

constexpr unsigned kV4Bits = 32;
constexpr unsigned kV6Bits = 128;
// ::ffff:0:0/96, where IPv6 has IPv4.
constexpr unsigned kMappedBits = 96;

// One to three digits that say it in one way.
bool parse_length(std::string_view text, unsigned most, unsigned* out) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return false;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && stop == end && *out <= most;
}

// Whether the first `bits` bits agree.
bool same_start(const uint8_t* a, const uint8_t* b, unsigned bits) {
  const unsigned whole = bits / 8;
  if (std::memcmp(a, b, whole) != 0) return false;
  return bits % 8 == 0 || ((a[whole] ^ b[whole]) >> (8 - bits % 8)) == 0;
}

bool zero_beyond(const uint8_t* ip, unsigned bits, unsigned size) {
  for (unsigned i = bits; i < size; ++i) {
    if ((ip[i / 8] >> (7 - i % 8) & 1) != 0) return false;
  }
  return true;
}

}  // namespace

bool parse_ip(std::string_view text, PackedAddress* out) {
  Address address;
  if (text.find('%') != text.npos || !address_literal(text, &address)) return false;
  *out = PackedAddress(address);
  return true;
}

PackedAddress packed_ip(const uint8_t* ip, size_t size) {
  // Through the one place that knows mapped addresses.
  if (size == 4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, ip, 4);
    return PackedAddress(address_from(&v4, sizeof v4));
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, ip, 16);
  return PackedAddress(address_from(&v6, sizeof v6));
}

bool AddressBlock::parse(std::string_view text, AddressBlock* out) {
  AddressBlock block;
  if (text == "unix:") {
    block.first_.family = PackedAddress::kUnix;
    *out = block;
    return true;
  }
  const size_t slash = text.find('/');
  const std::string_view ip = text.substr(0, slash);
  if (!parse_ip(ip, &block.first_)) return false;
  const bool as_v6 = ip.find(':') != ip.npos;
  unsigned bits = as_v6 ? kV6Bits : kV4Bits;
  if (slash != text.npos && !parse_length(text.substr(slash + 1), bits, &bits)) return false;
  const bool is_v4 = block.first_.family == PackedAddress::kV4;
  if (as_v6 && is_v4) {
    // A block that reaches beyond the mapped addresses would have to be two.
    if (bits < kMappedBits) return false;
    bits -= kMappedBits;
  }
  if (!zero_beyond(block.first_.ip, bits, is_v4 ? kV4Bits : kV6Bits)) return false;
  block.bits_ = static_cast<uint8_t>(bits);
  *out = block;
  return true;
}

bool AddressBlock::contains(const PackedAddress& a) const {
  return a.family == first_.family && same_start(a.ip, first_.ip, bits_);
}

Error AddressBlocks::add(std::string_view text, const char* name) {
  AddressBlock block;
  if (!AddressBlock::parse(text, &block)) {
    return fail(WS_ERR_INVALID, "%s: '%s' is not an address, address/length or unix:", name,
                Escaped(text).c_str());
  }
  blocks_.push_back(block);
  return Error();
}

bool AddressBlocks::contain(const PackedAddress& a) const {
  for (const AddressBlock& block : blocks_) {
    if (block.contains(a)) return true;
  }
  return false;
}

}  // namespace libws

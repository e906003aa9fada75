// Lists of addresses that an administrator writes down: "192.0.2.7", "10.0.0.0/8", "fd00::/8",
// "unix:".
#pragma once

#include "libws/net/address.hpp"

#include <string_view>

namespace libws {

// "192.0.2.7" or "2001:db8::1", as the system knows addresses: no zone, no port, no brackets.  An
// IPv4-mapped one is IPv4.
bool parse_ip(std::string_view text, PackedAddress* out);

// The same from 4 or 16 bytes in network order.
PackedAddress packed_ip(const uint8_t* ip, size_t size);

class AddressBlock {
 public:
  // False: not an address or a block, or a block whose address has bits beyond its length, which is
  // more often a slip than meant.
  static bool parse(std::string_view text, AddressBlock* out);
  bool contains(const PackedAddress& a) const;

 private:
  PackedAddress first_;
  uint8_t bits_ = 0;
};

class AddressBlocks {
 public:
  // Errors: INVALID, with `name`.  Throws std::bad_alloc.
  Error add(std::string_view text, const char* name);
  bool empty() const { return blocks_.empty(); }
  bool contain(const PackedAddress& a) const;

 private:
  Vector<AddressBlock> blocks_;
};

}  // namespace libws

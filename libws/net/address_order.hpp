// In which order a host's addresses are tried (RFC 8305 4): each family's in the order the system
// gave them, the families in turn, IPv6 first.  Addresses may be added while others are taken.
#pragma once

#include "libws/net/address.hpp"

#include <cstddef>

namespace libws {

// Of one family, however many come; more would only lengthen the way to the error.
constexpr size_t kMaxAddressesPerFamily = 16;

class AddressOrder {
 public:
  // An IPv6 or IPv4 address, unless it was there before (taken or not) or there is no room.
  void add(const Address& a) {
    Family& f = a.family() == AF_INET6 ? v6_ : v4_;
    if (f.count < kMaxAddressesPerFamily && !f.has(a)) f.all[f.count++] = a;
  }

  bool empty() const { return v6_.empty() && v4_.empty(); }

  // The next to try; not when empty().
  Address take() {
    bool v6 = v4_.empty() || (v6_turn_ && !v6_.empty());
    v6_turn_ = !v6;
    Family& f = v6 ? v6_ : v4_;
    return f.all[f.taken++];
  }

 private:
  struct Family {
    Address all[kMaxAddressesPerFamily];
    size_t count = 0, taken = 0;

    bool empty() const { return taken == count; }
    bool has(const Address& a) const {
      for (size_t i = 0; i < count; ++i) {
        if (address_equal(all[i], a)) return true;
      }
      return false;
    }
  };

  Family v6_, v4_;
  bool v6_turn_ = true;
};

}  // namespace libws

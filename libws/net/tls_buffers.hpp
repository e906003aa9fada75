// The ciphertext buffers that all TLS sessions of a loop share, one pair for each storey: a session
// inside another (wss through an https proxy) needs its own.  Made on first use.
#pragma once

#include "libws/base/alloc.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

class TlsBuffers : public Allocated {
 public:
  static constexpr size_t kStoreys = 2;
  // One read of this much takes many records, and one write this much plaintext.
  static constexpr size_t kBytes = 128 * 1024;
  // RFC 8446 5.1: what a full record holds.  RFC 5246 6.2.3 and RFC 8446 5.2 allow a protected one
  // to be longer by 2048 and 256; what OpenSSL itself writes stays far below the latter.
  static constexpr size_t kRecordText = 16 * 1024;
  static constexpr size_t kRecordOverhead = 256;
  // The records of one write leave from a buffer that has room for all of them.
  static constexpr size_t kOutBytes = kBytes + kBytes / kRecordText * kRecordOverhead;

  TlsBuffers() = default;
  ~TlsBuffers();
  TlsBuffers(const TlsBuffers&) = delete;
  TlsBuffers& operator=(const TlsBuffers&) = delete;

  // False: out of memory.  in() and out() may be used after a true.
  bool prepare(size_t storey) {
    Storey& s = storeys_[storey];
    return (s.in != nullptr && s.out != nullptr) || make(s);
  }
  uint8_t* in(size_t storey) { return storeys_[storey].in; }
  uint8_t* out(size_t storey) { return storeys_[storey].out; }

 private:
  struct Storey {
    uint8_t* in = nullptr;
    uint8_t* out = nullptr;
  };
  static bool make(Storey& s);

  Storey storeys_[kStoreys];
};

}  // namespace libws

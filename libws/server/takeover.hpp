// Taking listening sockets over from a process that offers them.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/base/handle.hpp"

#include <libws/handover.h>

namespace libws {

class Takeover final : public Allocated {
 public:
  // Throws std::bad_alloc.
  static Error take(const char* path, uint32_t timeout_ms, std::unique_ptr<Takeover>* out);
  Takeover() = default;
  Takeover(const Takeover&) = delete;
  Takeover& operator=(const Takeover&) = delete;
  ~Takeover();

  size_t count() const { return names_.size(); }
  const char* name(size_t i) const { return i < count() ? names_[i].c_str() : nullptr; }
  int claim(size_t i) { return i < count() ? std::exchange(fds_[i], -1) : -1; }
  Error ready(uint32_t timeout_ms);

 private:
  Error connect(const char* path, uint64_t deadline_us);
  Error receive(uint64_t deadline_us);
  Error parse(const uint8_t* data, size_t len, bool* complete);
  Error check() const;

  int socket_ = -1;
  int fds_[WS_HANDOVER_MAX];
  size_t fd_count_ = 0;
  Vector<String> names_;  // as many, once all was received
};

LIBWS_HANDLE(Takeover, ws_takeover);

}  // namespace libws

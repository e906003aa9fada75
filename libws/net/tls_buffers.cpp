#include "libws/net/tls_buffers.hpp"

namespace libws {

TlsBuffers::~TlsBuffers() {
  for (Storey& s : storeys_) {
    release(s.in);
    release(s.out);
  }
}

bool TlsBuffers::make(Storey& s) {
  if (s.in == nullptr) s.in = static_cast<uint8_t*>(try_alloc(kBytes));
  if (s.out == nullptr) s.out = static_cast<uint8_t*>(try_alloc(kOutBytes));
  return s.in != nullptr && s.out != nullptr;
}

}  // namespace libws

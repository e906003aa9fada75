// OpenSSL's error queue, turned into one line for people.
#pragma once

#include "libws/base/error.hpp"

namespace libws {

// The queue belongs to the thread; what others left there would count as the next call's.
void tls_clear_errors();

// One error of the queue, which is then empty.  The first is the cause of the others; the last is
// sure to be the failed call's own where the queue was not emptied before.
class TlsReason {
 public:
  enum Which { kFirst, kLast };
  explicit TlsReason(Which which = kFirst);
  const char* c_str() const { return text_; }
  // An ERR_LIB_SSL reason code, else 0.
  int ssl_reason() const { return ssl_reason_; }
  bool out_of_memory() const { return out_of_memory_; }

 private:
  char text_[160];
  int ssl_reason_ = 0;
  bool out_of_memory_ = false;
};

// NOMEM if that is OpenSSL's reason, else `code` with "WHAT: REASON".
Error tls_fail(int code, const char* what);

}  // namespace libws

// Writing: short slices gathered into full records, and all records of a call sent at once.
#include "libws/net/transport_tls.hpp"

#include "libws/base/bytes.hpp"
#include "libws/net/tls_error.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace libws {
namespace {

constexpr size_t kRecordText = TlsBuffers::kRecordText;

size_t total_of(const iovec* slices, size_t count) {
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) total += slices[i].iov_len;
  return total;
}

}  // namespace

// Cuts slices into the texts of records.
class TlsSession::Gather {
 public:
  Gather(const iovec* slices, size_t count, uint8_t* scratch)
      : next_(slices), left_(count), scratch_(scratch) {}

  // The next text, empty at the end: from where it lies if it fills a record or nothing follows it,
  // else gathered in the scratch.
  std::string_view next() {
    skip_empty();
    if (left_ == 0) return {};
    if (here() >= kRecordText || left_ == 1) {
      const size_t n = std::min(here(), kRecordText);
      const auto* from = at();
      used_ += n;
      return {reinterpret_cast<const char*>(from), n};
    }
    size_t n = 0;
    for (; left_ != 0 && n < kRecordText; skip_empty()) {
      const size_t part = std::min(here(), kRecordText - n);
      copy_bytes(scratch_ + n, at(), part);
      n += part;
      used_ += part;
    }
    return {reinterpret_cast<const char*>(scratch_), n};
  }

 private:
  const uint8_t* at() const { return static_cast<const uint8_t*>(next_->iov_base) + used_; }
  size_t here() const { return next_->iov_len - used_; }
  void skip_empty() {
    for (; left_ != 0 && here() == 0; used_ = 0) {
      ++next_;
      --left_;
    }
  }

  const iovec* next_;
  size_t left_;
  size_t used_ = 0;  // of *next_
  uint8_t* scratch_;
};

IoResult TlsSession::write(const iovec* slices, size_t count) {
  if (failed_) return outcome();
  if (write_ended_) return {IoResult::kFailed, EPIPE, 0};
  if (!handshaken_) {
    const size_t total = client_ ? 0 : total_of(slices, count);
    return {total != 0 ? IoResult::kOk : IoResult::kWouldBlock, 0, total};
  }
  if (unsent() != 0) return {IoResult::kWouldBlock, 0, 0};
  if (!enter(0)) return outcome();
  const size_t taken = encrypt(slices, count);
  if (wire_.end().status != IoResult::kOk && !failed_) take_write_failure();
  if (wire_.out_of_memory() && !failed_) stop(WS_ERR_NOMEM, 0, "out of memory");
  if (failed_) return outcome();
  return {taken != 0 ? IoResult::kOk : IoResult::kWouldBlock, 0, taken};
}

// Takes no more than there is room for, so OpenSSL is never left with a record it could not write.
size_t TlsSession::encrypt(const iovec* slices, size_t count) {
  Gather gather(slices, count, wire_.scratch());
  size_t taken = 0;
  while (taken < TlsBuffers::kBytes && unsent() == 0) {
    if (wire_.room() < kRecordText + TlsBuffers::kRecordOverhead) break;
    const std::string_view text = gather.next();
    if (text.empty()) break;
    const int n = SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    if (n <= 0) {
      take_failure();
      break;
    }
    taken += static_cast<size_t>(n);
  }
  return taken;
}

// A peer that refuses us sends an alert and closes (with TLS 1.3 a client learns only then that its
// certificate was not accepted), and to write then is what fails first: the alert says why.
void TlsSession::take_write_failure() {
  const IoResult failure = wire_.broken();
  take_wire_failure();
  if (failure.status != IoResult::kFailed || error_ != WS_ERR_EOF) return;
  wire_.mend();
  if (!wire_.begin(TlsBuffers::kBytes)) return;
  uint8_t byte;
  tls_clear_errors();
  if (SSL_peek(ssl_.get(), &byte, 1) <= 0) {
    const TlsReason reason(TlsReason::kLast);
    if (reason.ssl_reason() > SSL_AD_REASON_OFFSET) take_tls_failure(reason);
  }
  (void)wire_.end();
}

IoResult TlsSession::flush() {
  const IoResult r = wire_.flush();
  if (r.status == IoResult::kFailed) {
    if (!failed_) take_write_failure();
    return r;
  }
  if (r.status != IoResult::kOk) return r;
  stuck_ = false;
  if (write_ended_) say_goodbye();
  return unsent() == 0 ? r : IoResult{IoResult::kWouldBlock, 0, 0};
}

void TlsSession::end_writing() {
  if (write_ended_) return;
  write_ended_ = true;
  goodbye_due_ = handshaken_ && !failed_;
  say_goodbye();
}

// RFC 8446 6.1: close_notify is the last record, and TCP's end comes after it.
void TlsSession::say_goodbye() {
  if (goodbye_due_ && enter(0)) {
    goodbye_due_ = SSL_shutdown(ssl_.get()) < 0 && BIO_should_write(SSL_get_wbio(ssl_.get()));
    tls_clear_errors();
    (void)wire_.end();
  }
  if (!goodbye_due_ && unsent() == 0) wire_.lower().end_writing();
}

}  // namespace libws

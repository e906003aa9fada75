#include "libws/net/tls_wire.hpp"

#include "libws/net/tls_kernel.hpp"

#include <openssl/bio.h>

#include <algorithm>
#include <cstring>

namespace libws {
namespace {

TlsWire& wire_of(BIO* bio) { return *static_cast<TlsWire*>(BIO_get_data(bio)); }

}  // namespace

BIO_METHOD* TlsWire::make_bio_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "libws");
  if (method == nullptr) return nullptr;
  BIO_meth_set_create(method, on_create);
  BIO_meth_set_read(method, on_read);
  BIO_meth_set_write(method, on_write);
  BIO_meth_set_ctrl(method, on_ctrl);
  return method;
}

BIO* TlsWire::make_bio(const BIO_METHOD* method) {
  BIO* bio = BIO_new(method);
  if (bio != nullptr) BIO_set_data(bio, this);
  return bio;
}

void TlsWire::open(Transport&& lower) {
  lower_ = std::move(lower);
  // The session below uses the buffers of the storey below.
  storey_ = lower_.secure() ? 1 : 0;
}

TlsWire::~TlsWire() {
  release(unread_);
  release(unsent_);
}

bool TlsWire::begin(size_t may_read) {
  if (!buffers_.prepare(storey_)) {
    out_of_memory_ = true;
    return false;
  }
  may_read_ = static_cast<uint32_t>(may_read);
  return true;
}

IoResult TlsWire::end() {
  if (window_len_ == 0) {
    release(unread_);
    unread_ = nullptr;
  } else if (!keep_window()) {
    out_of_memory_ = true;
  }
  may_read_ = 0;
  return send_collected();
}

bool TlsWire::keep_window() {
  if (unread_ != nullptr && window_ >= unread_ && window_ < unread_ + unread_size_) return true;
  auto* copy = static_cast<uint8_t*>(try_alloc(window_len_));
  if (copy == nullptr) return false;
  std::memcpy(copy, window_, window_len_);
  release(unread_);
  window_ = unread_ = copy;
  unread_size_ = window_len_;
  return true;
}

bool TlsWire::keep_unsent(const uint8_t* data, size_t len) {
  const auto more = static_cast<uint32_t>(len);
  if (unsent_at_ + unsent_len_ + more > unsent_size_) {
    auto* grown = static_cast<uint8_t*>(try_alloc(unsent_len_ + more));
    if (grown == nullptr) {
      out_of_memory_ = true;
      return false;
    }
    if (unsent_len_ != 0) std::memcpy(grown, unsent_ + unsent_at_, unsent_len_);
    release(unsent_);
    unsent_ = grown;
    unsent_at_ = 0;
    unsent_size_ = unsent_len_ + more;
  }
  std::memcpy(unsent_ + unsent_at_ + unsent_len_, data, len);
  unsent_len_ += more;
  return true;
}

void TlsWire::fail(const IoResult& r, const char* doing) {
  broken_ = r;
  broken_doing_ = doing;
}

// ---- from OpenSSL ----

int TlsWire::on_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

bool TlsWire::fill() {
  if (may_read_ == 0 || broken_.status != IoResult::kOk) return false;
  const size_t room = may_read_;
  may_read_ = 0;
  uint8_t* in = buffers_.in(storey_);
  const IoResult r = lower_.read(in, room);
  if (r.status == IoResult::kWouldBlock) return false;
  if (r.status != IoResult::kOk) {
    fail(r, "reading from the socket failed");
    return false;
  }
  window_ = in;
  window_len_ = static_cast<uint32_t>(r.bytes);
  return true;
}

int TlsWire::on_read(BIO* bio, char* out, int len) {
  TlsWire& w = wire_of(bio);
  BIO_clear_retry_flags(bio);
  if (w.window_len_ == 0 && !w.fill()) {
    if (w.broken_.status == IoResult::kEof) return 0;
    if (w.broken_.status == IoResult::kOk) BIO_set_retry_read(bio);
    return -1;
  }
  const uint32_t n = std::min(static_cast<uint32_t>(len), w.window_len_);
  std::memcpy(out, w.window_, n);
  w.window_ += n;
  w.window_len_ -= n;
  return static_cast<int>(n);
}

int TlsWire::on_write(BIO* bio, const char* data, int len) {
  TlsWire& w = wire_of(bio);
  BIO_clear_retry_flags(bio);
  const auto* from = reinterpret_cast<const uint8_t*>(data);
  const auto n = static_cast<size_t>(len);
  const bool taken = w.kernel_ ? w.take_for_kernel(from, n) : w.take(from, n);
  if (taken) return len;
  if (w.broken_.status == IoResult::kOk && !w.out_of_memory_) BIO_set_retry_write(bio);
  return -1;
}

bool TlsWire::take(const uint8_t* data, size_t len) {
  if (unsent_len_ == 0) {
    if (len > room() && send_collected().status != IoResult::kOk) return false;
    if (unsent_len_ == 0 && len <= room()) {
      std::memcpy(buffers_.out(storey_) + out_len_, data, len);
      out_len_ += static_cast<uint32_t>(len);
      return true;
    }
  }
  // Answers to a peer that asks and does not listen; there is an end to it.
  if (unsent_len_ + len > TlsBuffers::kOutBytes) return false;
  return keep_unsent(data, len);
}

// Plaintext, which the kernel makes into records.  What it does not take counts as taken: the
// session offers nothing more until that has left.
bool TlsWire::take_for_kernel(const uint8_t* data, size_t len) {
  const uint8_t type = record_type_;
  record_type_ = 0;
  if (broken_.status == IoResult::kFailed) return false;
  if (type != 0) {
    if (unsent_len_ != 0) return false;
    const IoResult r = kernel_tls_send(lower_.fd(), type, data, len);
    if (r.status == IoResult::kFailed) fail(r, "writing to the socket failed");
    return r.status == IoResult::kOk;
  }
  if (unsent_len_ != 0) {
    return unsent_len_ + len <= TlsBuffers::kOutBytes && keep_unsent(data, len);
  }
  return send(data, len).status == IoResult::kOk;
}

// Everything so far was encrypted here and must be gone before the kernel begins.
bool TlsWire::start_kernel(void* keys) {
  if (lower_.secure() || send_collected().status != IoResult::kOk || unsent_len_ != 0) return false;
  kernel_ = kernel_tls_start(lower_.fd(), keys);
  return kernel_;
}

long TlsWire::on_ctrl(BIO* bio, int command, long number, void* pointer) {
  TlsWire& w = wire_of(bio);
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;  // end() does
    case kBioSetKtls:
      // Receiving stays here: ciphertext is read ahead, which the kernel could not decrypt.
      return number != 0 && w.start_kernel(pointer) ? 1 : 0;
    case kBioSetKtlsRecordType: w.record_type_ = static_cast<uint8_t>(number); return 1;
    case kBioClearKtlsRecordType: w.record_type_ = 0; return 1;
    case BIO_CTRL_GET_KTLS_SEND: return w.kernel_ ? 1 : 0;
    default: return 0;
  }
}

// ---- to the transport below ----

// What is not taken becomes unsent.
IoResult TlsWire::send(const uint8_t* data, size_t len) {
  while (len != 0) {
    const IoResult r = lower_.write(data, len);
    if (r.status == IoResult::kFailed) {
      fail(r, "writing to the socket failed");
      return r;
    }
    if (r.status != IoResult::kOk) break;
    data += r.bytes;
    len -= r.bytes;
    // A session below takes a buffer at a time; a kernel that takes less than all is full.
    if (!lower_.secure() || lower_.unsent() != 0) break;
  }
  if (len == 0 || keep_unsent(data, len)) return {IoResult::kOk, 0, 0};
  return {IoResult::kFailed, 0, 0};
}

IoResult TlsWire::send_collected() {
  if (out_len_ == 0) return {IoResult::kOk, 0, 0};
  const size_t len = out_len_;
  out_len_ = 0;
  if (broken_.status == IoResult::kFailed) return broken_;
  return send(buffers_.out(storey_), len);
}

IoResult TlsWire::flush() {
  IoResult r = lower_.flush();
  while (r.status == IoResult::kOk && unsent_len_ != 0) {
    r = lower_.write(unsent_ + unsent_at_, unsent_len_);
    if (r.status != IoResult::kOk) break;
    unsent_at_ += static_cast<uint32_t>(r.bytes);
    unsent_len_ -= static_cast<uint32_t>(r.bytes);
  }
  if (unsent_len_ == 0) {
    release(unsent_);
    unsent_ = nullptr;
    unsent_at_ = unsent_size_ = 0;
  }
  if (r.status == IoResult::kFailed) fail(r, "writing to the socket failed");
  if (r.status == IoResult::kOk && lower_.unsent() != 0) return {IoResult::kWouldBlock, 0, 0};
  return r;
}

}  // namespace libws

// The ciphertext side of a TLS session: what OpenSSL's BIO reads from and writes to.
//
// Between begin() and end() the window holds ciphertext that one read from below brought into the
// loop's shared buffer, and what OpenSSL writes collects in the other shared buffer.  end() sends
// the latter with one call and moves what neither OpenSSL nor the kernel took into memory of the
// session's own, so nothing points into the shared buffers between calls.
#pragma once

#include "libws/net/tls_buffers.hpp"
#include "libws/net/transport.hpp"

#include <openssl/bio.h>

namespace libws {

class TlsWire {
 public:
  // Takes `lower` at open().
  explicit TlsWire(TlsBuffers& buffers) : buffers_(buffers) {}
  ~TlsWire();
  TlsWire(const TlsWire&) = delete;
  TlsWire& operator=(const TlsWire&) = delete;

  static BIO_METHOD* make_bio_method();  // null: out of memory
  // A BIO on this wire.  Null: out of memory.
  BIO* make_bio(const BIO_METHOD* method);
  void open(Transport&& lower);

  Transport& lower() { return lower_; }
  const Transport& lower() const { return lower_; }

  // `may_read`: how much one read from below may bring; 0: none.  False: out of memory.
  bool begin(size_t may_read);
  // kOk also when something stays unsent.
  IoResult end();
  // OpenSSL has been given all there was.
  bool drained() const { return window_len_ == 0; }

  size_t unread() const { return window_len_; }  // outside begin() and end()
  size_t unsent() const { return unsent_len_ + lower_.unsent(); }
  IoResult flush();

  // Free for the session between begin(0) and end(): nothing is read then.
  uint8_t* scratch() { return buffers_.in(storey_); }
  size_t room() const { return TlsBuffers::kOutBytes - out_len_; }

  // What ended or broke the stream below, kOk if nothing did.
  const IoResult& broken() const { return broken_; }
  const char* broken_doing() const { return broken_doing_; }
  // Writing failed, but what had come before may still be read.
  void mend() { broken_ = {IoResult::kOk, 0, 0}; }
  bool out_of_memory() const { return out_of_memory_; }
  // The kernel encrypts what is written from here on.
  bool kernel_sends() const { return kernel_; }

 private:
  static int on_write(BIO* bio, const char* data, int len);
  static int on_read(BIO* bio, char* out, int len);
  static long on_ctrl(BIO* bio, int command, long number, void* pointer);
  static int on_create(BIO* bio);

  bool fill();
  bool keep_window();
  bool keep_unsent(const uint8_t* data, size_t len);
  IoResult send(const uint8_t* data, size_t len);
  IoResult send_collected();
  bool take(const uint8_t* data, size_t len);
  bool take_for_kernel(const uint8_t* data, size_t len);
  bool start_kernel(void* keys);
  void fail(const IoResult& r, const char* doing);

  TlsBuffers& buffers_;
  Transport lower_;
  const uint8_t* window_ = nullptr;  // in the shared buffer, or in unread_
  uint8_t* unread_ = nullptr;
  uint8_t* unsent_ = nullptr;
  const char* broken_doing_ = "";
  uint32_t window_len_ = 0, unread_size_ = 0;
  uint32_t unsent_at_ = 0, unsent_len_ = 0, unsent_size_ = 0;
  uint32_t out_len_ = 0;
  uint32_t may_read_ = 0;
  IoResult broken_{IoResult::kOk, 0, 0};
  uint8_t storey_ = 0;
  uint8_t record_type_ = 0;  // kTLS: what the next write holds, 0 = application data
  bool kernel_ = false;
  bool out_of_memory_ = false;
};

}  // namespace libws

// TLS without a socket: ciphertext in, plaintext out, and back.  Whoever has the socket reads and
// writes it once for many records, on both sides of a measurement alike.  One thread; all
// connections of a context share its plaintext buffer.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bench {

struct OpensslDelete {
  void operator()(SSL* ssl) const {
    // Connections end abruptly here, and OpenSSL would spoil the ticket of one that did.
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
  }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(BIO_METHOD* method) const { BIO_meth_free(method); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};

template <class T>
using OpensslPtr = std::unique_ptr<T, OpensslDelete>;

// The most ciphertext that Tls::decrypt() takes at once.
constexpr size_t kMostWireBytes = 256 * 1024;

// TLS 1.3 only.  The program ends when one cannot be made.
class TlsContext {
 public:
  // A server with these PEM files, or with a certificate made now when the names are empty.
  static std::unique_ptr<TlsContext> server(const std::string& cert_file,
                                            const std::string& key_file);
  // A client that believes any certificate and offers TLS_AES_128_GCM_SHA256 alone, so that every
  // server is measured with it.
  static std::unique_ptr<TlsContext> client();

  SSL_CTX* openssl() { return context_.get(); }

  // Clients: resume from now on.  Each connection then uses up a ticket that an earlier one was
  // given, and makes a full handshake when none is left.
  void resume() { resuming_ = true; }

 private:
  friend class Tls;

  explicit TlsContext(bool is_server);
  static int keep_ticket(SSL* ssl, SSL_SESSION* session);

  OpensslPtr<BIO_METHOD> method_;
  OpensslPtr<SSL_CTX> context_;
  bool is_server_;
  bool resuming_ = false;
  std::vector<OpensslPtr<SSL_SESSION>> tickets_;
  std::vector<uint8_t> plain_;
};

// One connection's TLS.  What is to go out is appended to `wire`.
class Tls {
 public:
  explicit Tls(TlsContext& context);

  // All that `wire_in` completes, valid until the next call for this context.  The handshake is
  // made on the way: a client's first call, with nothing, begins it.
  std::span<const uint8_t> decrypt(std::span<const uint8_t> wire_in, std::vector<uint8_t>& wire);
  void encrypt(std::span<const uint8_t> plain, std::vector<uint8_t>& wire);

  bool is_open() const { return SSL_is_init_finished(ssl_.get()) != 0; }
  bool was_resumed() const { return SSL_session_reused(ssl_.get()) != 0; }
  bool has_ended() const { return state_->ended; }
  // What went wrong, or "" if the peer took its leave or nothing has ended.
  const std::string& fault() const { return state_->fault; }

 private:
  // At a fixed place, because OpenSSL keeps its address.
  struct State {
    std::span<const uint8_t> in;
    std::vector<uint8_t>* out = nullptr;
    bool ended = false;
    std::string fault;
  };

  friend class TlsContext;
  static int read_wire(BIO* bio, char* into, int size);
  static int write_wire(BIO* bio, const char* from, int size);
  static long control_wire(BIO* bio, int command, long number, void* pointer);

  void note_end(int result);

  TlsContext* context_;
  std::unique_ptr<State> state_;
  OpensslPtr<SSL> ssl_;
};

}  // namespace bench

// One TLS session on a transport.  OpenSSL reads and writes through a BIO of ours (tls_wire.hpp): a
// read takes what the socket has, many records at once, into the loop's shared buffer, and the
// records of a write leave in one system call.  A session that waits owns no buffer.
//
// What cannot be dealt with at once is kept: ciphertext that was received and did not fit the
// reader (`unread`), and ciphertext that the kernel did not take (`unsent`).  Both are bounded by
// the buffers' size and given back when they are empty.
//
// With WS_TLS_KERNEL, and where the kernel can, it encrypts what is sent (kTLS); unsent is then
// plaintext, and everything else stays the same.  What is received is decrypted here.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/net/tls_buffers.hpp"
#include "libws/net/tls_context.hpp"
#include "libws/net/tls_wire.hpp"
#include "libws/net/transport.hpp"

#include <libws/tls.h>

#include <openssl/ssl.h>
#include <sys/uio.h>

#include <string_view>

namespace libws {

class TlsReason;

class TlsSession : public Allocated {
 public:
  // A server's: the handshake runs inside read().  Takes `lower` on success only.  Errors: TLS,
  // NOMEM.
  static Error accept(TlsContext& context, TlsBuffers& buffers, Transport&& lower,
                      TlsSession** out);
  // A client's: `name` is asked for (SNI, unless it is an address) and verified; `port` tells
  // apart the servers whose sessions may be resumed.  handshake() comes first.
  static Error connect(TlsContext& context, TlsBuffers& buffers, Transport&& lower,
                       const char* name, uint16_t port, TlsSession** out);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // kOk: done.  kWouldBlock: again when the descriptor is readable, or writable if unsent().
  // kFailed, kEof: see error() and detail().
  IoResult handshake();
  bool handshaken() const { return handshaken_; }

  // As socket_read/readv: kEof after the peer's close_notify, and when its stream just ended;
  // truncated() tells which.
  IoResult read(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len);
  bool truncated() const { return truncated_; }
  // Also when the next read() has a failure or the end to tell.
  bool has_unread() const;

  // Nothing can be read before what is unsent has left; to watch for input would spin.
  bool read_waits() const;

  // Short slices share a record, long ones fill records.  Takes up to TlsBuffers::kBytes;
  // kWouldBlock while anything is unsent.  Before the handshake is done, what a server wants to say
  // cannot be said: it is thrown away.
  IoResult write(const iovec* slices, size_t count);
  size_t unsent() const { return wire_.unsent(); }
  IoResult flush();

  void close_descriptor() { wire_.lower().close_descriptor(); }

  // Sends close_notify, and ends the lower transport's writing once that has left.
  void end_writing();

  int error() const {
    return error_;
  }  // WS_ERR_TLS, WS_ERR_TLS_VERIFY, WS_ERR_IO, WS_ERR_EOF,
     // WS_ERR_NOMEM; 0: none
  int sys_errno() const { return sys_errno_; }
  const char* detail() const { return detail_; }  // with OpenSSL's reason; valid while this is
  // Strings are valid while the session is.  Errors: STATE (before the handshake is done), NOMEM.
  Error info(ws_tls_info* out);

  // ---- OpenSSL's callbacks, which TlsContext installs ----

  static int on_verify(int ok, X509_STORE_CTX* chain);
  static int on_new_session(SSL* ssl, SSL_SESSION* session);

 private:
  struct Names;
  class Gather;

  TlsSession(TlsContext& context, TlsBuffers& buffers)
      : context_(Ref<TlsContext>::share(&context)), wire_(buffers) {}
  static int own_index();
  static TlsSession* of(const SSL* ssl);
  Error open(SSL_CTX* ctx);
  Error ask_for(std::string_view name, uint16_t port);
  Error expect(const char* name);
  std::string_view asked_name() const;

  bool enter(size_t may_read);
  bool take_step();
  bool alpn_is_ours();
  size_t decrypt(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len);
  IoResult leave(size_t bytes);
  IoResult outcome() const;
  size_t encrypt(const iovec* slices, size_t count);
  void say_goodbye();
  void take_write_failure();

  void take_failure();
  void take_wire_failure();
  void take_tls_failure(const TlsReason& reason);
  void stop(int error, int sys_errno, const char* detail);
  void explain(const char* format, ...) __attribute__((format(printf, 2, 3)));

  SslPtr ssl_;
  Ref<TlsContext> context_;
  TlsWire wire_;
  const char* detail_ = "";
  char* own_detail_ = nullptr;  // where detail_ points if it is not a constant
  char* server_ = nullptr;      // a client's: "name:port", what its tickets are kept under
  Names* names_ = nullptr;      // once info() was asked for them
  int error_ = 0;
  int sys_errno_ = 0;
  bool client_ = false;
  bool handshaken_ = false;
  bool failed_ = false;
  bool ended_ = false;      // the peer says nothing more
  bool truncated_ = false;  // and did not say so
  bool untold_ = false;     // failed_ or ended_ was found behind data, and read() is to tell it
  bool unasked_ = false;    // OpenSSL may hold whole records: it has not asked for more
  bool stuck_ = false;      // OpenSSL has something to say before it reads on
  bool write_ended_ = false;
  bool goodbye_due_ = false;  // close_notify could not be written yet
};

}  // namespace libws

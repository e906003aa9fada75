// Making sessions, the handshake, and reading.  Writing is in transport_tls_write.cpp, what is told
// about a session in transport_tls_info.cpp.
#include "libws/net/transport_tls.hpp"

#include "libws/base/log.hpp"
#include "libws/net/tls_error.hpp"

#include <openssl/err.h>

#include <arpa/inet.h>
#include <algorithm>
#include <cassert>
#include <climits>
#include <cstdio>
#include <cstring>

namespace libws {
namespace {

constexpr size_t kMaxNameBytes = 253;  // RFC 1035 2.3.4, without the final dot

// A record on the wire, its header included.
constexpr size_t kRecordBytes = 5 + TlsBuffers::kRecordText + TlsBuffers::kRecordOverhead;

bool is_address(const char* name) {
  uint8_t binary[16];
  return inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1;
}

}  // namespace

// Not SSL_set_app_data(): callbacks of an SSL_CTX that is not ours may look there for something of
// their own.
int TlsSession::own_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

TlsSession* TlsSession::of(const SSL* ssl) {
  return static_cast<TlsSession*>(SSL_get_ex_data(ssl, own_index()));
}

Error TlsSession::open(SSL_CTX* ctx) {
  tls_clear_errors();
  ssl_.reset(SSL_new(ctx));
  if (!ssl_) return tls_fail(WS_ERR_TLS, "SSL_new");
  BIO* bio = wire_.make_bio(context_->bio_method());
  if (bio == nullptr) return tls_fail(WS_ERR_NOMEM, "BIO_new");
  SSL_set_bio(ssl_.get(), bio, bio);
  if (SSL_set_ex_data(ssl_.get(), own_index(), this) != 1) return tls_fail(WS_ERR_NOMEM, "SSL");
  if (context_->foreign()) TlsContext::prepare(ssl_.get());
  return {};
}

Error TlsSession::accept(TlsContext& context, TlsBuffers& buffers, Transport&& lower,
                         TlsSession** out) {
  assert(context.server() != nullptr);
  std::unique_ptr<TlsSession> session(new (std::nothrow) TlsSession(context, buffers));
  if (!session) return fail(WS_ERR_NOMEM, "TLS session");
  if (Error e = session->open(context.server())) return e;
  SSL_set_accept_state(session->ssl_.get());
  session->wire_.open(std::move(lower));
  *out = session.release();
  return {};
}

Error TlsSession::connect(TlsContext& context, TlsBuffers& buffers, Transport&& lower,
                          const char* name, uint16_t port, TlsSession** out) {
  if (Error e = context.can_connect()) return e;
  std::unique_ptr<TlsSession> session(new (std::nothrow) TlsSession(context, buffers));
  if (!session) return fail(WS_ERR_NOMEM, "TLS session");
  SSL_CTX* ctx = context.client();
  if (ctx == nullptr) return tls_fail(WS_ERR_TLS, "the system's roots");
  if (Error e = session->open(ctx)) return e;
  session->client_ = true;
  if (Error e = session->ask_for(name, port)) return e;
  SSL_set_connect_state(session->ssl_.get());
  session->wire_.open(std::move(lower));
  *out = session.release();
  return {};
}

TlsSession::~TlsSession() {
  // Or SSL_free() takes a session that just ended for a bad one.
  if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  ssl_.reset();  // its BIO points to the wire
  release(own_detail_);
  release(server_);
  release(names_);
}

// ---- whom a client asks for ----

Error TlsSession::ask_for(std::string_view name, uint16_t port) {
  // A zone is this host's own business (RFC 6874 1), and a name ends before its final dot
  // (RFC 6066 3).
  if (name.find(':') != name.npos) name = name.substr(0, name.find('%'));
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  // OpenSSL would take a leading dot for "any name below".
  if (name.empty() || name.size() > kMaxNameBytes || name.front() == '.') {
    return fail(WS_ERR_TLS, "TLS: \"%s\" is not a host's name", Escaped(name).c_str());
  }
  const size_t bytes = name.size() + sizeof ":65535";
  server_ = static_cast<char*>(try_alloc(bytes));
  if (server_ == nullptr) return fail(WS_ERR_NOMEM, "TLS session");
  std::memcpy(server_, name.data(), name.size());
  server_[name.size()] = '\0';
  if (Error e = expect(server_)) return e;
  std::snprintf(server_ + name.size(), bytes - name.size(), ":%u", unsigned{port});
  if (SSL_SESSION* session = context_->tickets().take(server_)) {
    SSL_set_session(ssl_.get(), session);  // adds a reference; without it: a full handshake
    SSL_SESSION_free(session);
    tls_clear_errors();
  }
  return {};
}

// RFC 9525 6: the certificate must be for this name or this address.
Error TlsSession::expect(const char* name) {
  X509_VERIFY_PARAM* param = SSL_get0_param(ssl_.get());
  const bool address = is_address(name);
  bool set = address || SSL_set_tlsext_host_name(ssl_.get(), name) == 1;
  if (context_->checks_name() && address) {
    set = X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
  } else if (context_->checks_name()) {
    if (!context_->foreign()) X509_VERIFY_PARAM_set_hostflags(param, TlsContext::kNameFlags);
    set = set && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
  }
  return set ? Error() : tls_fail(WS_ERR_TLS, "TLS: the host's name");
}

std::string_view TlsSession::asked_name() const {
  if (server_ == nullptr) return {};
  const std::string_view whole = server_;
  return whole.substr(0, whole.rfind(':'));
}

int TlsSession::on_new_session(SSL* ssl, SSL_SESSION* session) {
  TlsSession* self = of(ssl);
  if (SSL_SESSION_is_resumable(session) == 1) {
    self->context_->tickets().remember(self->server_, session);
  }
  return 0;  // the reference stays OpenSSL's
}

// ---- entering and leaving ----

bool TlsSession::enter(size_t may_read) {
  if (!wire_.begin(may_read)) {
    stop(WS_ERR_NOMEM, 0, "out of memory");
    return false;
  }
  return true;
}

IoResult TlsSession::outcome() const {
  if (failed_) return {IoResult::kFailed, sys_errno_, 0};
  if (ended_) return {IoResult::kEof, 0, 0};
  return {IoResult::kWouldBlock, 0, 0};
}

// `bytes` of plaintext go to the reader; a failure or the end that was found behind them is told by
// the next read().
IoResult TlsSession::leave(size_t bytes) {
  const bool stopped = failed_ || ended_;
  // After our own alert nothing more can go wrong.
  if (wire_.end().status != IoResult::kOk && !stopped) take_wire_failure();
  if (wire_.out_of_memory() && !failed_) stop(WS_ERR_NOMEM, 0, "out of memory");
  if (bytes == 0) return outcome();
  untold_ = failed_ || ended_;
  return {IoResult::kOk, 0, bytes};
}

// ---- the handshake ----

bool TlsSession::take_step() {
  if (SSL_do_handshake(ssl_.get()) != 1) {
    take_failure();
    return false;
  }
  if (!alpn_is_ours()) return false;
  handshaken_ = true;
  return true;
}

// RFC 7301 3.1: a server chooses from what was offered, which OpenSSL leaves to us.  With settings
// of somebody else's, what was offered or chosen may be another protocol than ours.
bool TlsSession::alpn_is_ours() {
  const unsigned char* chosen;
  unsigned len;
  SSL_get0_alpn_selected(ssl_.get(), &chosen, &len);
  const std::string_view protocol(reinterpret_cast<const char*>(chosen), len);
  if (len == 0 || protocol == "http/1.1") return true;
  explain(context_->foreign() ? "TLS: the protocol \"%s\" was agreed on, which is not http/1.1"
                              : "TLS: the server chose the protocol \"%s\", which was not offered",
          Escaped(protocol).c_str());
  stop(WS_ERR_TLS, 0, detail_);
  return false;
}

IoResult TlsSession::handshake() {
  if (handshaken_ && !failed_) return {IoResult::kOk, 0, 0};
  if (failed_ || ended_ || !enter(TlsBuffers::kBytes)) return outcome();
  take_step();
  leave(0);
  if (failed_ || ended_ || !handshaken_) return outcome();
  unasked_ = true;  // data may have come with the last flight
  return {IoResult::kOk, 0, 0};
}

// ---- reading ----

bool TlsSession::has_unread() const {
  if (untold_) return true;
  if (failed_ || ended_ || stuck_) return false;
  // What OpenSSL holds after it has asked for more is a part of a record.
  if (wire_.unread() != 0 || (unasked_ && SSL_has_pending(ssl_.get()) == 1)) return true;
  return wire_.lower().has_unread();
}

bool TlsSession::read_waits() const {
  if (failed_ || ended_) return false;
  return (stuck_ && unsent() != 0) || wire_.lower().read_waits();
}

IoResult TlsSession::read(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len) {
  untold_ = false;
  if (failed_ || ended_) return outcome();
  // Plaintext is shorter than its ciphertext, so what fits the reader leaves nothing behind;
  // unless OpenSSL holds a part of a record already.
  size_t space = first_len + second_len;
  if (space > 2 * kRecordBytes && SSL_has_pending(ssl_.get()) == 1) space -= kRecordBytes;
  if (!enter(std::clamp(space, kRecordBytes, TlsBuffers::kBytes))) return outcome();
  size_t bytes = 0;
  if (handshaken_ || take_step()) bytes = decrypt(first, first_len, second, second_len);
  return leave(bytes);
}

// Stops when there is nothing left to decrypt: to ask OpenSSL again would only find that out.
size_t TlsSession::decrypt(uint8_t* first, size_t first_len, uint8_t* second, size_t second_len) {
  SSL* ssl = ssl_.get();
  stuck_ = unasked_ = false;
  size_t total = 0;
  uint8_t* to = first;
  size_t room = first_len;
  for (;;) {
    const int n = SSL_read(ssl, to, static_cast<int>(std::min<size_t>(room, INT_MAX)));
    if (n <= 0) {
      take_failure();
      return total;
    }
    const auto got = static_cast<size_t>(n);
    total += got;
    to += got;
    room -= got;
    if (room == 0) {
      if (total != first_len || second_len == 0) {
        unasked_ = true;
        return total;
      }
      to = second;
      room = second_len;
    }
    if (wire_.drained() && SSL_has_pending(ssl) == 0) return total;
  }
}

}  // namespace libws

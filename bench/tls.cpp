#include "tls.hpp"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "common.hpp"

namespace bench {
namespace {

constexpr size_t kMostRecordBytes = SSL3_RT_MAX_PACKET_SIZE;
constexpr size_t kMostTickets = 4096;

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "no reason given" : reason;
}

// For calls that return 1 when all is well, and for pointers.
template <class T>
T must(T result, const char* what) {
  if (result == T{}) die("%s: %s", what, openssl_error().c_str());
  return result;
}

OpensslPtr<X509> self_signed(EVP_PKEY* key) {
  constexpr long kSecondsValid = 24 * 3600;
  OpensslPtr<X509> certificate(must(X509_new(), "certificate"));
  X509* x = certificate.get();
  must(X509_set_version(x, X509_VERSION_3), "certificate version");
  must(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), "certificate serial");
  must(X509_gmtime_adj(X509_getm_notBefore(x), -kSecondsValid), "certificate time");
  must(X509_gmtime_adj(X509_getm_notAfter(x), kSecondsValid), "certificate time");
  X509_NAME* name = X509_get_subject_name(x);
  const auto* host = reinterpret_cast<const unsigned char*>("localhost");
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0), "certificate name");
  must(X509_set_issuer_name(x, name), "certificate issuer");
  must(X509_set_pubkey(x, key), "certificate key");
  must(X509_sign(x, key, EVP_sha256()), "certificate signature");
  return certificate;
}

void use_new_certificate(SSL_CTX* context) {
  const OpensslPtr<EVP_PKEY> key(must(EVP_EC_gen("P-256"), "key"));
  const OpensslPtr<X509> certificate = self_signed(key.get());
  must(SSL_CTX_use_certificate(context, certificate.get()), "certificate");
  must(SSL_CTX_use_PrivateKey(context, key.get()), "key");
}

}  // namespace

TlsContext::TlsContext(bool is_server)
    : method_(must(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire"), "BIO")),
      context_(must(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()), "TLS")),
      is_server_(is_server),
      // One call's ciphertext, and what a record begun earlier had left in OpenSSL.
      plain_(kMostWireBytes + kMostRecordBytes) {
  must(BIO_meth_set_read(method_.get(), Tls::read_wire), "BIO read");
  must(BIO_meth_set_write(method_.get(), Tls::write_wire), "BIO write");
  must(BIO_meth_set_ctrl(method_.get(), Tls::control_wire), "BIO control");
  must(SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION), "TLS 1.3");
  // A record's head and body then come with one call of read_wire().
  SSL_CTX_set_read_ahead(context_.get(), 1);
  // A resting connection keeps no record buffers.
  SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS);
}

std::unique_ptr<TlsContext> TlsContext::server(const std::string& cert_file,
                                               const std::string& key_file) {
  std::unique_ptr<TlsContext> made(new TlsContext(true));
  SSL_CTX* context = made->context_.get();
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets need none
  if (cert_file.empty() && key_file.empty()) {
    use_new_certificate(context);
    return made;
  }
  must(SSL_CTX_use_certificate_chain_file(context, cert_file.c_str()), cert_file.c_str());
  must(SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM), key_file.c_str());
  return made;
}

std::unique_ptr<TlsContext> TlsContext::client() {
  std::unique_ptr<TlsContext> made(new TlsContext(false));
  SSL_CTX* context = made->context_.get();
  must(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"), "cipher suite");
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, keep_ticket);
  SSL_CTX_set_app_data(context, made.get());
  return made;
}

// Always, so that the first connections that resume find tickets of those before them.
int TlsContext::keep_ticket(SSL* ssl, SSL_SESSION* session) {
  auto* self = static_cast<TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (self->tickets_.size() >= kMostTickets) return 0;
  self->tickets_.emplace_back(session);
  return 1;
}

Tls::Tls(TlsContext& context)
    : context_(&context),
      state_(std::make_unique<State>()),
      ssl_(must(SSL_new(context.context_.get()), "TLS connection")) {
  BIO* bio = must(BIO_new(context.method_.get()), "BIO");
  BIO_set_data(bio, state_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (context.is_server_) {
    SSL_set_accept_state(ssl_.get());
    return;
  }
  SSL_set_connect_state(ssl_.get());
  if (!context.resuming_ || context.tickets_.empty()) return;
  must(SSL_set_session(ssl_.get(), context.tickets_.back().get()), "ticket");
  context.tickets_.pop_back();  // RFC 8446 C.4: a ticket is for one connection
}

std::span<const uint8_t> Tls::decrypt(std::span<const uint8_t> wire_in,
                                      std::vector<uint8_t>& wire) {
  state_->in = wire_in;
  state_->out = &wire;
  std::vector<uint8_t>& plain = context_->plain_;
  size_t have = 0;
  for (;;) {
    size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), plain.data() + have, plain.size() - have, &got);
    if (result <= 0) {
      note_end(result);
      return {plain.data(), have};
    }
    have += got;
    // Asking once more, only to hear that there is no more, would cost as much as a short record.
    if (state_->in.empty() && SSL_has_pending(ssl_.get()) == 0) return {plain.data(), have};
  }
}

void Tls::encrypt(std::span<const uint8_t> plain, std::vector<uint8_t>& wire) {
  if (plain.empty()) return;
  state_->out = &wire;
  size_t written = 0;  // all of it: the wire takes whatever comes
  const int result = SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &written);
  if (result <= 0) note_end(result);
}

void Tls::note_end(int result) {
  const int why = SSL_get_error(ssl_.get(), result);
  if (why == SSL_ERROR_WANT_READ) return;
  state_->ended = true;
  if (why != SSL_ERROR_ZERO_RETURN) state_->fault = openssl_error();
}

int Tls::read_wire(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  auto* state = static_cast<State*>(BIO_get_data(bio));
  const size_t part = std::min(state->in.size(), static_cast<size_t>(size));
  if (part == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(into, state->in.data(), part);
  state->in = state->in.subspan(part);
  return static_cast<int>(part);
}

int Tls::write_wire(BIO* bio, const char* from, int size) {
  auto* state = static_cast<State*>(BIO_get_data(bio));
  state->out->insert(state->out->end(), from, from + size);
  return size;
}

long Tls::control_wire(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

}  // namespace bench

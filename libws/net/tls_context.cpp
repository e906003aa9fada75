#include "libws/net/tls_context.hpp"

#include "libws/net/tls_error.hpp"
#include "libws/net/tls_load.hpp"
#include "libws/net/tls_wire.hpp"
#include "libws/net/transport_tls.hpp"

#include <openssl/err.h>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace libws {
namespace {

constexpr uint32_t kKnownFlags =
    WS_TLS_KERNEL | WS_TLS_NO_TICKETS | WS_TLS_PARTIAL_CHAIN | WS_TLS_NO_NAME_CHECK;

// Forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

// RFC 7301 6; as a list of one, its length goes first.
constexpr unsigned char kAlpn[] = "\x08http/1.1";
constexpr unsigned kAlpnBytes = sizeof kAlpn - 1;

Error invalid(const char* why) { return fail(WS_ERR_INVALID, "ws_tls_config: %s", why); }

}  // namespace

TlsContext::~TlsContext() {
  if (keylog_fd_ >= 0) ::close(keylog_fd_);
}

Error TlsContext::create(const ws_tls_config& config, Ref<TlsContext>* out) {
  Ref<TlsContext> context = Ref<TlsContext>::adopt(new TlsContext);
  if (Error e = context->check(config)) return e;
  if (Error e = context->load(config)) return e;
  *out = std::move(context);
  return {};
}

Error TlsContext::can_serve() const {
  if (server_) return {};
  if (foreign_) return fail(WS_ERR_TLS_CONFIG, "ws_tls: the SSL_CTX is for clients only");
  return fail(WS_ERR_INVALID, "a server's ws_tls needs a certificate");
}

Error TlsContext::can_connect() const {
  return client_ ? Error() : fail(WS_ERR_TLS_CONFIG, "ws_tls: the SSL_CTX is for servers only");
}

// What can be judged without looking into a file.
Error TlsContext::check(const ws_tls_config& config) {
  if ((config.flags & ~kKnownFlags) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_tls_config.flags: 0x%x is not known to this libws",
                config.flags & ~kKnownFlags);
  }
  // C puts any number into an enum, and C++ may not read it as one.
  unsigned verify;
  static_assert(sizeof verify == sizeof config.verify);
  std::memcpy(&verify, &config.verify, sizeof verify);
  if (verify > WS_TLS_VERIFY_NONE) return invalid("verify is out of range");
  if (config.min_version != 0 && config.min_version != TLS1_2_VERSION &&
      config.min_version != TLS1_3_VERSION) {
    return invalid("min_version is 0x0303 or 0x0304");
  }
  const bool certificate = config.cert_file != nullptr || config.cert_pem != nullptr;
  const bool key = config.key_file != nullptr || config.key_pem != nullptr;
  if (key && !certificate) return invalid("a key without its certificate");
  if (config.alternative_count != 0 && config.alternatives == nullptr) {
    return invalid("alternatives is NULL");
  }
  if (config.alternative_count != 0 && !certificate) {
    return invalid("alternatives without a certificate of its own");
  }
  for (size_t i = 0; i < config.alternative_count; ++i) {
    TlsContext* other = from_handle<TlsContext>(config.alternatives[i]);
    if (other == nullptr || !other->has_certificate()) {
      return fail(WS_ERR_INVALID, "ws_tls_config.alternatives[%zu] has no certificate", i);
    }
  }
  return {};
}

Error TlsContext::load(const ws_tls_config& config) {
  verify_ = config.verify;
  any_name_ = (config.flags & WS_TLS_NO_NAME_CHECK) != 0;
  bio_method_.reset(TlsWire::make_bio_method());
  if (!bio_method_) return tls_fail(WS_ERR_NOMEM, "tls");
  if (config.keylog_file != nullptr) {
    keylog_fd_ = ::open(config.keylog_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (keylog_fd_ < 0) return fail_errno(WS_ERR_TLS_CONFIG, errno, "%s", config.keylog_file);
  }
  if (Error e = load_identity(config)) return e;
  if (Error e = load_trust(config)) return e;
  for (size_t i = 0; i < config.alternative_count; ++i) {
    alternatives_.push_back(
        Ref<TlsContext>::share(from_handle<TlsContext>(config.alternatives[i])));
  }
  if (has_certificate()) {
    if (Error e = make_server(config)) return e;
  }
  if (Error e = make_client(config)) return e;
  // Nobody but a client has use for a context without a certificate.
  if (!has_certificate() && client() == nullptr) return tls_fail(WS_ERR_TLS_CONFIG, "CA roots");
  return {};
}

Error TlsContext::load_identity(const ws_tls_config& config) {
  TlsText certificates, key;
  if (Error e = certificates.load(config.cert_file, config.cert_pem, "cert_pem")) return e;
  if (Error e = key.load(config.key_file, config.key_pem, "key_pem")) return e;
  if (!certificates.given) return {};
  TlsIdentity identity;
  if (Error e = identity.load(certificates, key, config.key_password)) return e;
  certificate_ = std::move(identity.certificate);
  chain_ = std::move(identity.chain);
  key_ = std::move(identity.key);
  return tls_print_pem(certificate_.get(), &certificate_pem_);
}

Error TlsContext::load_trust(const ws_tls_config& config) {
  TlsText text;
  if (Error e = text.load(config.ca_file, config.ca_pem, "ca_pem")) return e;
  if (!text.given) {
    if (has_certificate() &&
        (verify_ == WS_TLS_VERIFY_REQUIRE || verify_ == WS_TLS_VERIFY_OPTIONAL)) {
      return fail(WS_ERR_TLS_CONFIG, "a server that asks for certificates needs ca_file or ca_pem");
    }
    return {};
  }
  roots_.reset(X509_STORE_new());
  if (!roots_) return tls_fail(WS_ERR_NOMEM, "X509_STORE_new");
  return tls_load_roots(text, roots_.get());
}

// What both roles have in common.
Error TlsContext::set_common(SSL_CTX* ctx, const ws_tls_config& config) {
  SSL_CTX_set_app_data(ctx, this);
  // No SSL_MODE_AUTO_RETRY is needed to be told: it is OpenSSL's default.  The chain is sent as it
  // was given, instead of one that OpenSSL puts together from the roots at each handshake.
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                            SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN);
  // A record's head and body then come with one read of the BIO.
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  if ((config.flags & WS_TLS_KERNEL) != 0) SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
  if ((config.flags & WS_TLS_NO_TICKETS) != 0) SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
  SSL_CTX_set_max_early_data(ctx, 0);
  SSL_CTX_set_recv_max_early_data(ctx, 0);
  const int version =
      config.min_version != 0 ? static_cast<int>(config.min_version) : TLS1_2_VERSION;
  if (SSL_CTX_set_min_proto_version(ctx, version) != 1) {
    return tls_fail(WS_ERR_TLS_CONFIG, "min_version");
  }
  const char* ciphers = config.ciphers != nullptr ? config.ciphers : kCiphers;
  if (SSL_CTX_set_cipher_list(ctx, ciphers) != 1) return tls_fail(WS_ERR_TLS_CONFIG, "ciphers");
  if (config.ciphersuites != nullptr && SSL_CTX_set_ciphersuites(ctx, config.ciphersuites) != 1) {
    return tls_fail(WS_ERR_TLS_CONFIG, "ciphersuites");
  }
  if (keylog_fd_ >= 0) SSL_CTX_set_keylog_callback(ctx, on_keylog);
  if (has_certificate() && SSL_CTX_use_cert_and_key(ctx, certificate_.get(), key_.get(),
                                                    chain_.get(), /*override=*/1) != 1) {
    const char* name = config.cert_file != nullptr ? config.cert_file : "cert_pem";
    return tls_fail(WS_ERR_TLS_CONFIG, name);
  }
  if (roots_) SSL_CTX_set1_cert_store(ctx, roots_.get());
  if ((config.flags & WS_TLS_PARTIAL_CHAIN) != 0) {
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
  }
  return {};
}

Error TlsContext::make_server(const ws_tls_config& config) {
  server_.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* ctx = server_.get();
  if (ctx == nullptr) return tls_fail(WS_ERR_NOMEM, "SSL_CTX_new");
  if (Error e = set_common(ctx, config)) return e;
  // Tickets carry the sessions, so the server keeps none.  One ticket is enough, because a client
  // gets a new one with each connection.
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, (config.flags & WS_TLS_NO_TICKETS) != 0 ? 0 : 1);
  // OpenSSL resumes no session with a client certificate unless it knows that it was made for the
  // same purpose.  The ticket's key, which is this context's own, sees to that.
  static constexpr unsigned char kPurpose[] = "libws";
  SSL_CTX_set_session_id_context(ctx, kPurpose, sizeof kPurpose - 1);
  SSL_CTX_set_alpn_select_cb(ctx, on_alpn, this);
  // Without a callback OpenSSL would not keep the name in the session, for ws_tls_info.
  SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
  SSL_CTX_set_tlsext_servername_arg(ctx, this);
  if (verify_ == WS_TLS_VERIFY_REQUIRE || verify_ == WS_TLS_VERIFY_OPTIONAL) {
    ask_for_client_certificates(ctx);
  }
  return {};
}

void TlsContext::ask_for_client_certificates(SSL_CTX* ctx) {
  int mode = SSL_VERIFY_PEER;
  if (verify_ == WS_TLS_VERIFY_REQUIRE) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(ctx, mode, TlsSession::on_verify);
  // RFC 8446 4.2.4: whose certificates are worth choosing.
  STACK_OF(X509)* roots = X509_STORE_get1_all_certs(roots_.get());
  for (int i = 0; i < sk_X509_num(roots); ++i) SSL_CTX_add_client_CA(ctx, sk_X509_value(roots, i));
  sk_X509_pop_free(roots, X509_free);
}

Error TlsContext::make_client(const ws_tls_config& config) {
  client_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* ctx = client_.get();
  if (ctx == nullptr) return tls_fail(WS_ERR_NOMEM, "SSL_CTX_new");
  if (Error e = set_common(ctx, config)) return e;
  roots_loaded_ = roots_ != nullptr || !verifies_server();
  if (SSL_CTX_set_alpn_protos(ctx, kAlpn, kAlpnBytes) != 0) return tls_fail(WS_ERR_NOMEM, "ALPN");
  SSL_CTX_set_verify(ctx, verifies_server() ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     verifies_server() ? TlsSession::on_verify : nullptr);
  if ((config.flags & WS_TLS_NO_TICKETS) == 0) {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, TlsSession::on_new_session);
  } else {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  }
  return {};
}

SSL_CTX* TlsContext::client() {
  const std::lock_guard<std::mutex> lock(roots_mutex_);
  if (!roots_loaded_ && SSL_CTX_set_default_verify_paths(client_.get()) != 1) return nullptr;
  roots_loaded_ = true;
  return client_.get();
}

bool TlsContext::is_for(const char* name) const {
  return X509_check_host(certificate_.get(), name, 0, kNameFlags, nullptr) == 1;
}

bool TlsContext::use_for(SSL* ssl) const {
  return SSL_use_cert_and_key(ssl, certificate_.get(), key_.get(), chain_.get(),
                              /*override=*/1) == 1;
}

// Only the certificate is exchanged.  SSL_set_SSL_CTX() would bring the other's roots too, and with
// them another judgement of client certificates.
int TlsContext::on_server_name(SSL* ssl, int* alert, void* arg) {
  auto* self = static_cast<TlsContext*>(arg);
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr || self->alternatives_.empty() || self->is_for(name)) {
    return SSL_TLSEXT_ERR_OK;
  }
  for (const Ref<TlsContext>& other : self->alternatives_) {
    if (!other->is_for(name)) continue;
    if (other->use_for(ssl)) return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return SSL_TLSEXT_ERR_OK;
}

// RFC 7301 3.2: a client that offers protocols, and not this one, means another server.
int TlsContext::on_alpn(SSL*, const unsigned char** out, unsigned char* out_len,
                        const unsigned char* in, unsigned in_len, void*) {
  for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
    if (in_len - at < kAlpnBytes || std::memcmp(in + at, kAlpn, kAlpnBytes) != 0) continue;
    *out = in + at + 1;
    *out_len = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// One call a line: with O_APPEND lines of several threads and programs do not mix.
void TlsContext::on_keylog(const SSL* ssl, const char* line) {
  const auto* self = static_cast<const TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  char end = '\n';
  const iovec parts[2] = {{const_cast<char*>(line), std::strlen(line)}, {&end, 1}};
  if (::writev(self->keylog_fd_, parts, 2) < 0) return;  // a full disk ends no connection
}

}  // namespace libws

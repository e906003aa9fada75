// A TlsContext around an SSL_CTX that somebody else has made and goes on using: nothing may be
// changed in it, so what libws relies on is set on each SSL.
#include "libws/net/tls_context.hpp"
#include "libws/net/tls_error.hpp"
#include "libws/net/tls_load.hpp"
#include "libws/net/tls_wire.hpp"
#include "libws/net/transport_tls.hpp"

#include <openssl/ssl.h>

namespace libws {
namespace {

bool speaks_tls(SSL* ssl) {
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
  return SSL_is_tls(ssl) == 1;
#else
  return SSL_is_dtls(ssl) == 0;
#endif
}

void ignore_info(const SSL*, int, int) {}

SslCtxPtr share(SSL_CTX* ctx) { return SslCtxPtr(SSL_CTX_up_ref(ctx) == 1 ? ctx : nullptr); }

}  // namespace

Error TlsContext::create_from(SSL_CTX* ctx, uint32_t flags, Ref<TlsContext>* out) {
  if ((flags & ~uint32_t{WS_TLS_NO_NAME_CHECK}) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_tls_new_openssl: flags 0x%x", flags);
  }
  tls_clear_errors();
  const SslPtr probe(SSL_new(ctx));
  if (!probe) return tls_fail(WS_ERR_TLS_CONFIG, "SSL_new");
  if (!speaks_tls(probe.get())) return fail(WS_ERR_TLS_CONFIG, "the SSL_CTX is not one for TLS");
  Ref<TlsContext> context = Ref<TlsContext>::adopt(new TlsContext);
  context->foreign_ = true;
  context->any_name_ = (flags & WS_TLS_NO_NAME_CHECK) != 0;
  context->roots_loaded_ = true;
  context->bio_method_.reset(TlsWire::make_bio_method());
  if (!context->bio_method_) return tls_fail(WS_ERR_NOMEM, "tls");
  // A method of one version only can be of one role too.  That its SSL_CTX is in the wrong one is
  // found out by its first handshake.
  const SSL_METHOD* method = SSL_CTX_get_ssl_method(ctx);
  if (method != TLS_client_method()) context->server_ = share(ctx);
  if (method != TLS_server_method()) context->client_ = share(ctx);
  if (X509* own = SSL_CTX_get0_certificate(ctx)) {
    if (Error e = tls_print_pem(own, &context->certificate_pem_)) return e;
  }
  *out = std::move(context);
  return {};
}

// As TlsContext::set_common() for contexts of ours, less what the owner decides.
void TlsContext::prepare(SSL* ssl) {
  // Its owner may have done without auto retry, and may have asked for what we cannot wait for.
  SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_AUTO_RETRY);
  SSL_clear_mode(ssl, SSL_MODE_ASYNC);
  SSL_set_read_ahead(ssl, 1);
  SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_set_max_early_data(ssl, 0);
  SSL_set_recv_max_early_data(ssl, 0);
  // These look for the owner's data in each SSL, where it is not.
  SSL_set_msg_callback(ssl, nullptr);
  SSL_set_psk_client_callback(ssl, nullptr);
  SSL_set_psk_server_callback(ssl, nullptr);
  SSL_set_psk_use_session_callback(ssl, nullptr);
  SSL_set_psk_find_session_callback(ssl, nullptr);
  // Without one of its own an SSL would use that of the SSL_CTX.
  SSL_set_info_callback(ssl, ignore_info);
  if (SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE && SSL_get_verify_callback(ssl) == nullptr) {
    SSL_set_verify(ssl, SSL_get_verify_mode(ssl), TlsSession::on_verify);
  }
}

}  // namespace libws

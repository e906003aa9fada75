// What is told about a session: how it is secured, and why it failed.
#include "libws/base/log.hpp"
#include "libws/net/tls_error.hpp"
#include "libws/net/transport_tls.hpp"

#include <openssl/err.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace libws {
namespace {

constexpr size_t kDetailBytes = 256;

// RFC 2253: printable ASCII.  Empty without memory.
BioPtr print_name(const X509_NAME* name) {
  BioPtr memory(BIO_new(BIO_s_mem()));
  if (memory) X509_NAME_print_ex(memory.get(), name, 0, XN_FLAG_RFC2253);
  return memory;
}

std::string_view printed(const BioPtr& memory) {
  char* data = nullptr;
  const long len = memory ? BIO_get_mem_data(memory.get(), &data) : 0;
  return {data, len > 0 ? static_cast<size_t>(len) : 0};
}

const char* known(const char* text) { return text != nullptr ? text : ""; }

}  // namespace

// ---- failures ----

void TlsSession::explain(const char* format, ...) {
  if (own_detail_ == nullptr) own_detail_ = static_cast<char*>(try_alloc(kDetailBytes));
  if (own_detail_ == nullptr) {
    detail_ = "TLS failed, and there is no memory to say why";
    return;
  }
  va_list args;
  va_start(args, format);
  std::vsnprintf(own_detail_, kDetailBytes, format, args);
  va_end(args);
  detail_ = own_detail_;
}

void TlsSession::stop(int error, int sys_errno, const char* detail) {
  failed_ = true;
  error_ = error;
  sys_errno_ = sys_errno;
  detail_ = detail;
}

// The certificate that is refused is at hand only here, while the chain is being judged.
int TlsSession::on_verify(int ok, X509_STORE_CTX* chain) {
  if (ok == 1) return 1;
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  TlsSession* self = of(ssl);
  const int error = X509_STORE_CTX_get_error(chain);
  char asked[128] = "";
  if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    std::snprintf(asked, sizeof asked, ", \"%s\" was asked for",
                  Escaped(self->asked_name()).c_str());
  }
  const X509* certificate = X509_STORE_CTX_get_current_cert(chain);
  const BioPtr name =
      certificate != nullptr ? print_name(X509_get_subject_name(certificate)) : BioPtr();
  self->explain("certificate verify failed: %s%s (%s)", X509_verify_cert_error_string(error), asked,
                Escaped(printed(name)).c_str());
  return 0;
}

// After a call of OpenSSL's returned rc <= 0.  Not SSL_get_error(): it goes by the error queue, and
// to empty that before each call costs more than all else here.
void TlsSession::take_failure() {
  SSL* ssl = ssl_.get();
  if (SSL_want_read(ssl) && BIO_should_read(SSL_get_rbio(ssl))) return;
  if (SSL_want_write(ssl) && BIO_should_write(SSL_get_wbio(ssl))) {
    stuck_ = unasked_ = true;
    return;
  }
  if (wire_.out_of_memory()) return stop(WS_ERR_NOMEM, 0, "out of memory");
  if (wire_.broken().status != IoResult::kOk) return take_wire_failure();
  const TlsReason reason(TlsReason::kLast);
  // A fatal alert counts as a shutdown too.
  const bool shut_down = (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
  if (shut_down && reason.ssl_reason() <= SSL_AD_REASON_OFFSET) {
    ended_ = true;
    return;
  }
  take_tls_failure(reason);
}

void TlsSession::take_wire_failure() {
  tls_clear_errors();
  const IoResult& r = wire_.broken();
  if (r.status == IoResult::kEof) {
    ended_ = truncated_ = true;
    error_ = WS_ERR_EOF;
    detail_ = handshaken_ ? "the peer cut the TLS stream: no close_notify"
                          : "the peer closed the connection during the TLS handshake";
    return;
  }
  if (wire_.out_of_memory()) return stop(WS_ERR_NOMEM, 0, "out of memory");
  const TransportFault fault = wire_.lower().fault(r, wire_.broken_doing());
  stop(fault.error, fault.sys_errno, fault.detail);
}

void TlsSession::take_tls_failure(const TlsReason& reason) {
  const int ssl_reason = reason.ssl_reason();
  int error = WS_ERR_TLS;
  if (reason.out_of_memory()) return stop(WS_ERR_NOMEM, 0, "out of memory");
  if (ssl_reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    error = WS_ERR_TLS_VERIFY;
    // A callback that is not ours has judged.
    const long verdict = SSL_get_verify_result(ssl_.get());
    if (detail_[0] == '\0') {
      explain("%s: %s", reason.c_str(), X509_verify_cert_error_string(verdict));
    }
  } else if (ssl_reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
    error = WS_ERR_TLS_VERIFY;
    explain("the peer gave no certificate");
  } else if (ssl_reason == SSL_R_HTTP_REQUEST || ssl_reason == SSL_R_HTTPS_PROXY_REQUEST) {
    explain("the peer does not speak TLS: %s", "plain HTTP came");
  } else if (ssl_reason == SSL_R_WRONG_VERSION_NUMBER && !handshaken_) {
    explain("the peer does not speak TLS: %s", reason.c_str());
  } else if (ssl_reason > SSL_AD_REASON_OFFSET) {
    // Newer alerts have a reason of their own and no description.
    const char* alert = SSL_alert_desc_string_long(ssl_reason - SSL_AD_REASON_OFFSET);
    const bool described = std::strcmp(alert, "unknown") != 0;
    explain("the peer sent the TLS alert \"%s\"", described ? alert : reason.c_str());
  } else {
    explain("%s: %s", handshaken_ ? "TLS failed" : "TLS handshake failed", reason.c_str());
  }
  stop(error, 0, detail_);
  if (client_) context_->tickets().forget(server_);
}

// ---- how it is secured ----

// One allocation: the three texts, one after the other.
struct TlsSession::Names {
  const char* server_name;
  const char* subject;
  char fingerprint[2 * SHA256_DIGEST_LENGTH + 1];
  char text[1];  // and more
};

Error TlsSession::info(ws_tls_info* out) {
  if (!handshaken_) return fail(WS_ERR_STATE, "the TLS handshake is not done");
  SSL* ssl = ssl_.get();
  if (names_ == nullptr) {
    const bool asked = SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE;
    X509* peer =
        asked && SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl) : nullptr;
    const BioPtr subject = peer != nullptr ? print_name(X509_get_subject_name(peer)) : BioPtr();
    // A server's peer chose the name.
    const Escaped server_name(known(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)));
    const size_t subject_len = printed(subject).size();
    const size_t name_len = std::strlen(server_name.c_str());
    names_ = static_cast<Names*>(try_alloc(sizeof(Names) + subject_len + name_len + 1));
    if (names_ == nullptr) return fail(WS_ERR_NOMEM, "ws_tls_info");
    std::memcpy(names_->text, server_name.c_str(), name_len + 1);
    names_->server_name = names_->text;
    char* at = names_->text + name_len + 1;
    if (subject_len != 0) std::memcpy(at, printed(subject).data(), subject_len);
    at[subject_len] = '\0';
    names_->subject = at;
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (peer != nullptr) X509_digest(peer, EVP_sha256(), digest, &len);
    for (unsigned i = 0; i < len; ++i) {
      std::snprintf(names_->fingerprint + 2 * i, 3, "%02x", unsigned{digest[i]});
    }
    names_->fingerprint[2 * len] = '\0';
  }
  out->version = SSL_get_version(ssl);
  out->cipher = known(SSL_get_cipher_name(ssl));
  out->server_name = names_->server_name;
  out->peer_subject = names_->subject;
  out->peer_fingerprint = names_->fingerprint;
  out->resumed = SSL_session_reused(ssl);
  out->kernel = wire_.kernel_sends() ? 1 : 0;
  return {};
}

}  // namespace libws

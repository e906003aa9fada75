#include "tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <climits>

namespace libws_redis {
namespace {

Failure openssl_failure(int code, const std::string& what) {
  unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  ERR_clear_error();
  return fail(code, "%s: %s", what.c_str(), reason != nullptr ? reason : "unknown");
}

bool is_address(const std::string& host) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  ERR_clear_error();
  return address != nullptr;
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Failure TlsContext::load(const TlsSettings& s) {
  ERR_clear_error();
  context_ = SSL_CTX_new(TLS_client_method());
  if (context_ == nullptr) return fail(WS_ERR_NOMEM, "TLS context");
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // A connection that waits keeps no buffers, and a write takes what it can.
  SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
  if (s.verify == WS_TLS_VERIFY_NONE) {
    SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
  } else {
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    int ok = s.ca_file.empty() ? SSL_CTX_set_default_verify_paths(context_)
                               : SSL_CTX_load_verify_file(context_, s.ca_file.c_str());
    if (ok != 1) return openssl_failure(WS_ERR_TLS_CONFIG, "ca_file " + s.ca_file);
  }
  if (s.cert_file.empty()) return {};
  const std::string& key = s.key_file.empty() ? s.cert_file : s.key_file;
  if (SSL_CTX_use_certificate_chain_file(context_, s.cert_file.c_str()) != 1) {
    return openssl_failure(WS_ERR_TLS_CONFIG, "cert_file " + s.cert_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return openssl_failure(WS_ERR_TLS_CONFIG, "key " + key);
  }
  return {};
}

Tls::~Tls() { SSL_free(ssl_); }

Failure Tls::start(const TlsContext& context, const std::string& host) {
  ERR_clear_error();
  ssl_ = SSL_new(context.get());
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  if (ssl_ == nullptr || in == nullptr || out == nullptr) {
    BIO_free(in);
    BIO_free(out);
    return fail(WS_ERR_NOMEM, "TLS");
  }
  SSL_set_bio(ssl_, in, out);
  SSL_set_connect_state(ssl_);
  // RFC 9525: the name or the address that was asked for; RFC 6066 3: SNI holds names only.
  int ok = is_address(host)
               ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), host.c_str())
               : SSL_set1_host(ssl_, host.c_str()) && SSL_set_tlsext_host_name(ssl_, host.c_str());
  return ok == 1 ? Failure() : openssl_failure(WS_ERR_TLS, "TLS: host");
}

Failure Tls::feed(const char* wire, size_t len) {
  int size = static_cast<int>(len);  // a read's worth
  return BIO_write(SSL_get_rbio(ssl_), wire, size) == size ? Failure()
                                                           : fail(WS_ERR_NOMEM, "TLS input");
}

Failure Tls::handshake(bool* done) {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl_);
  *done = result == 1;
  if (*done || SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return {};
  long verify = SSL_get_verify_result(ssl_);
  if (SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE && verify != X509_V_OK) {
    ERR_clear_error();
    return fail(WS_ERR_TLS_VERIFY, "TLS: %s", X509_verify_cert_error_string(verify));
  }
  return openssl_failure(WS_ERR_TLS, "TLS handshake");
}

Failure Tls::read(char* out, size_t size, size_t* got, bool* ended) {
  *got = 0;
  *ended = false;
  ERR_clear_error();
  int result = SSL_read_ex(ssl_, out, size, got);
  if (result == 1) return {};
  int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ) return {};
  *ended = error == SSL_ERROR_ZERO_RETURN;
  return *ended ? Failure() : openssl_failure(WS_ERR_TLS, "TLS");
}

Failure Tls::write(std::string_view plain) {
  ERR_clear_error();
  size_t written = 0;
  // Memory takes it all, or there is none.
  if (plain.empty() || SSL_write_ex(ssl_, plain.data(), plain.size(), &written) == 1) return {};
  return openssl_failure(WS_ERR_TLS, "TLS");
}

void Tls::take_wire(std::string* out) {
  char* data = nullptr;
  long len = BIO_get_mem_data(SSL_get_wbio(ssl_), &data);
  if (len > 0) out->append(data, static_cast<size_t>(len));
  (void)BIO_reset(SSL_get_wbio(ssl_));
}

}  // namespace libws_redis

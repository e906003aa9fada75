// A certificate made on the spot, for tests and first steps.
#include "libws/base/log.hpp"
#include "libws/net/tls_context.hpp"
#include "libws/net/tls_error.hpp"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>

#include <arpa/inet.h>
#include <cstring>
#include <string>

namespace libws {
namespace {

constexpr long kDay = 24 * 60 * 60;
constexpr long kValid = 30 * kDay;
constexpr long kEarlier = 60 * 60;     // clocks of peers are late
constexpr size_t kMaxHost = 253;       // RFC 1035 2.3.4
constexpr size_t kMaxCommonName = 64;  // RFC 5280 A.1, ub-common-name
constexpr int kSerialBits = 127;       // RFC 5280 4.1.2.2: positive, at most 20 octets

bool is_address(const char* host) {
  uint8_t binary[16];
  return inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1;
}

// The name goes into OpenSSL's extension syntax, where a comma would begin something else.
bool is_name(std::string_view host) {
  if (host.empty() || host.size() > kMaxHost || host.front() == '.') return false;
  for (char c : host) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != '_') return false;
  }
  return true;
}

String alternative_names(const char* host) {
  String names = is_address(host) ? "IP:" : "DNS:";
  names += host;
  for (const char* local : {"DNS:localhost", "IP:127.0.0.1", "IP:::1"}) {
    if (names == local) continue;
    names += ',';
    names += local;
  }
  return names;
}

bool add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &ctx, nid, value));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_serial(X509* certificate) {
  BIGNUM* number = BN_new();
  const bool set = number != nullptr && BN_rand(number, kSerialBits, BN_RAND_TOP_ONE, 0) == 1 &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

bool fill_in(X509* c, EVP_PKEY* key, const char* host) {
  const char* common_name = std::strlen(host) <= kMaxCommonName ? host : "libws";
  X509_NAME* name = X509_get_subject_name(c);
  return X509_set_version(c, X509_VERSION_3) == 1 && set_serial(c) &&
         X509_gmtime_adj(X509_getm_notBefore(c), -kEarlier) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(c), kValid) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>(common_name), -1, -1,
                                    0) == 1 &&
         X509_set_issuer_name(c, name) == 1 && X509_set_pubkey(c, key) == 1 &&
         add_extension(c, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(c, NID_key_usage, "critical,digitalSignature") &&
         add_extension(c, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(c, NID_subject_key_identifier, "hash") &&
         add_extension(c, NID_authority_key_identifier, "keyid:always") &&
         add_extension(c, NID_subject_alt_name, alternative_names(host).c_str()) &&
         X509_sign(c, key, EVP_sha256()) != 0;
}

}  // namespace

Error TlsContext::create_self_signed(const char* host, Ref<TlsContext>* out) {
  if (!is_address(host) && !is_name(host)) {
    return fail(WS_ERR_INVALID, "self-signed certificate: \"%s\" is no name and no address",
                Escaped(host).c_str());
  }
  tls_clear_errors();
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate(X509_new());
  if (!key || !certificate || !fill_in(certificate.get(), key.get(), host)) {
    return tls_fail(WS_ERR_TLS_CONFIG, "self-signed certificate");
  }
  const BioPtr pem(BIO_new(BIO_s_mem()));
  if (!pem || PEM_write_bio_X509(pem.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      BIO_write(pem.get(), "", 1) != 1) {
    return tls_fail(WS_ERR_TLS_CONFIG, "self-signed certificate");
  }
  char* text = nullptr;
  BIO_get_mem_data(pem.get(), &text);
  ws_tls_config config;
  WS_INIT(&config);
  config.cert_pem = text;
  return create(config, out);
}

}  // namespace libws

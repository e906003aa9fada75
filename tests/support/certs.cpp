#include "certs.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

struct Cert {
  X509 *x509;
  EVP_PKEY *key;
  std::string pem, key_pem, encrypted;
};

namespace {

constexpr long kHour = 60 * 60;
long next_serial = 1000;

void must(bool ok, const char *what) {
  if (ok) return;
  std::fprintf(stderr, "making a test certificate: %s failed\n", what);
  std::abort();
}

std::string text_of(BIO *bio) {
  char *data = nullptr;
  const long len = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(len));
  BIO_free(bio);
  return text;
}

void add_extension(X509 *x509, X509 *issuer, int nid, const char *value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, issuer, x509, nullptr, nullptr, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value);
  must(extension != nullptr && X509_add_ext(x509, extension, -1) == 1, value);
  X509_EXTENSION_free(extension);
}

void add_extensions(X509 *x509, X509 *issuer, const CertSpec &spec) {
  if (spec.is_ca) {
    add_extension(x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    add_extension(x509, issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x509, issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(x509, issuer, NID_ext_key_usage, spec.is_client ? "clientAuth" : "serverAuth");
  }
  add_extension(x509, issuer, NID_subject_key_identifier, "hash");
  add_extension(x509, issuer, NID_authority_key_identifier, "keyid:always");
  if (spec.names != nullptr) add_extension(x509, issuer, NID_subject_alt_name, spec.names);
}

}  // namespace

Cert *cert_make(const CertSpec *spec, const Cert *issuer) {
  auto *c = new Cert{};
  c->key = spec->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
  c->x509 = X509_new();
  must(c->key != nullptr && c->x509 != nullptr, "key");
  X509 *signer = issuer != nullptr ? issuer->x509 : c->x509;
  X509 *x = c->x509;
  const bool usual = spec->not_before == 0 && spec->not_after == 0;
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++next_serial);
  X509_gmtime_adj(X509_getm_notBefore(x), usual ? -kHour : spec->not_before);
  X509_gmtime_adj(X509_getm_notAfter(x), usual ? 24 * kHour : spec->not_after);
  X509_NAME *name = X509_get_subject_name(x);
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char *>(spec->subject), -1, -1,
                                  0) == 1,
       "subject");
  X509_set_issuer_name(x, X509_get_subject_name(signer));
  X509_set_pubkey(x, c->key);
  add_extensions(x, signer, *spec);
  must(X509_sign(x, issuer != nullptr ? issuer->key : c->key, EVP_sha256()) != 0, "signature");

  BIO *out = BIO_new(BIO_s_mem());
  must(PEM_write_bio_X509(out, x) == 1, "certificate");
  c->pem = text_of(out);
  out = BIO_new(BIO_s_mem());
  must(PEM_write_bio_PrivateKey(out, c->key, nullptr, nullptr, 0, nullptr, nullptr) == 1, "key");
  c->key_pem = text_of(out);
  return c;
}

void cert_free(Cert *c) {
  if (c == nullptr) return;
  X509_free(c->x509);
  EVP_PKEY_free(c->key);
  delete c;
}

const char *cert_pem(const Cert *c) { return c->pem.c_str(); }
const char *cert_key(const Cert *c) { return c->key_pem.c_str(); }

const char *cert_key_encrypted(Cert *c, const char *password) {
  if (c->encrypted.empty()) {
    BIO *out = BIO_new(BIO_s_mem());
    must(PEM_write_bio_PKCS8PrivateKey(out, c->key, EVP_aes_128_cbc(), password,
                                       static_cast<int>(std::strlen(password)), nullptr,
                                       nullptr) == 1,
         "encrypted key");
    c->encrypted = text_of(out);
  }
  return c->encrypted.c_str();
}

Cert *cert_make_ca(const char *subject) {
  CertSpec spec = {};
  spec.subject = subject;
  spec.is_ca = 1;
  return cert_make(&spec, nullptr);
}

Cert *cert_make_server(const Cert *issuer, const char *names) {
  CertSpec spec = {};
  spec.subject = "test server";
  spec.names = names;
  return cert_make(&spec, issuer);
}

Cert *cert_make_client(const Cert *issuer, const char *subject) {
  CertSpec spec = {};
  spec.subject = subject;
  spec.is_client = 1;
  return cert_make(&spec, issuer);
}

char *cert_join(const char *first, const char *second) {
  const std::string both = std::string(first) + (second != nullptr ? second : "");
  char *copy = strdup(both.c_str());
  must(copy != nullptr, "memory");
  return copy;
}

#include "libws/net/tls_load.hpp"

#include "libws/net/tls_error.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <climits>
#include <cstring>

namespace libws {
namespace {

// The roots of a system are a quarter of a megabyte; a path such as /dev/zero must end somewhere.
constexpr size_t kMaxPemBytes = 16 * 1024 * 1024;
// Deeper than any chain that OpenSSL would verify (its limit is 100).
constexpr int kMaxChain = 100;

Error out_of_memory(const TlsText& text) { return fail(WS_ERR_NOMEM, "%s", text.name); }

Error unusable(const TlsText& text, const char* what) {
  const TlsReason reason;
  if (reason.out_of_memory()) return out_of_memory(text);
  return fail(WS_ERR_TLS_CONFIG, "%s: %s: %s", text.name, what, reason.c_str());
}

BioPtr reader(const TlsText& text) {
  tls_clear_errors();
  return BioPtr(BIO_new_mem_buf(text.text.data(), static_cast<int>(text.text.size())));
}

// No further PEM block is how a list ends; anything else is damage.
bool at_end() {
  const unsigned long e = ERR_peek_last_error();
  if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

Error none_in(const TlsText& text, const char* what) {
  return fail(WS_ERR_TLS_CONFIG, "%s: no %s in it", text.name, what);
}

struct Password {
  const char* text;
  bool missed = false;
};

// With a callback OpenSSL never asks on the terminal.
int give_password(char* out, int room, int /*writing*/, void* user) {
  auto* password = static_cast<Password*>(user);
  if (password->text == nullptr) {
    password->missed = true;
    return -1;
  }
  const size_t len = std::strlen(password->text);
  if (len > static_cast<size_t>(room)) return -1;
  std::memcpy(out, password->text, len);
  return static_cast<int>(len);
}

Error load_key(const TlsText& text, const char* password_text, KeyPtr* out) {
  BioPtr in = reader(text);
  if (!in) return out_of_memory(text);
  Password password{password_text};
  out->reset(PEM_read_bio_PrivateKey(in.get(), nullptr, give_password, &password));
  if (*out) {
    tls_clear_errors();
    return {};
  }
  if (password.missed) {
    ERR_clear_error();
    return fail(WS_ERR_TLS_CONFIG, "%s: the key is encrypted and key_password is not set",
                text.name);
  }
  if (text.text.find("PRIVATE KEY-----") == String::npos) {
    ERR_clear_error();
    return none_in(text, "private key");
  }
  return unusable(text, "private key");
}

}  // namespace

Error TlsText::load(const char* file, const char* pem, const char* member) {
  name = file != nullptr ? file : member;
  if (file != nullptr && pem != nullptr) {
    return fail(WS_ERR_INVALID, "%s and the file %s: give one of them", member, file);
  }
  given = file != nullptr || pem != nullptr;
  if (pem != nullptr) {
    const size_t len = strnlen(pem, kMaxPemBytes + 1);
    if (len > kMaxPemBytes) return fail(WS_ERR_TLS_CONFIG, "%s: too large", name);
    text.assign(pem, len);
  }
  if (file == nullptr) return {};
  tls_clear_errors();
  BioPtr in(BIO_new_file(file, "rb"));
  char part[4096];
  for (int n = 0; in; text.append(part, static_cast<size_t>(n))) {
    n = BIO_read(in.get(), part, sizeof part);
    if (n < 0 || ERR_peek_error() != 0) break;  // a directory opens and cannot be read
    if (n == 0) return {};
    if (text.size() > kMaxPemBytes) return fail(WS_ERR_TLS_CONFIG, "%s: too large", name);
  }
  return tls_fail(WS_ERR_TLS_CONFIG, name);
}

Error TlsIdentity::load(const TlsText& certificates, const TlsText& key_text,
                        const char* password) {
  BioPtr in = reader(certificates);
  chain.reset(sk_X509_new_null());
  if (!in || !chain) return out_of_memory(certificates);
  certificate.reset(PEM_read_bio_X509_AUX(in.get(), nullptr, nullptr, nullptr));
  if (!certificate) {
    if (at_end()) return none_in(certificates, "certificate");
    return unusable(certificates, "certificate");
  }
  for (;;) {
    CertificatePtr next(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (!next) {
      if (at_end()) break;
      return unusable(certificates, "certificate chain");
    }
    if (sk_X509_num(chain.get()) >= kMaxChain) {
      return fail(WS_ERR_TLS_CONFIG, "%s: more than %d certificates", certificates.name, kMaxChain);
    }
    if (sk_X509_push(chain.get(), next.get()) == 0) return out_of_memory(certificates);
    (void)next.release();
  }
  const TlsText& where = key_text.given ? key_text : certificates;
  if (Error e = load_key(where, password, &key)) return e;
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return fail(WS_ERR_TLS_CONFIG, "%s: the key does not match the certificate in %s", where.name,
                certificates.name);
  }
  return {};
}

Error tls_load_roots(const TlsText& text, X509_STORE* store) {
  BioPtr in = reader(text);
  if (!in) return out_of_memory(text);
  for (int count = 0;; ++count) {
    CertificatePtr root(PEM_read_bio_X509_AUX(in.get(), nullptr, nullptr, nullptr));
    if (!root) {
      if (!at_end()) return unusable(text, "CA certificate");
      if (count == 0) return none_in(text, "certificate");
      return {};
    }
    if (X509_STORE_add_cert(store, root.get()) != 1) return unusable(text, "CA certificate");
  }
}

Error tls_print_pem(X509* certificate, String* out) {
  BioPtr memory(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) {
    return tls_fail(WS_ERR_NOMEM, "printing a certificate");
  }
  const long len = BIO_get_mem_data(memory.get(), &data);
  out->assign(data, static_cast<size_t>(len));
  return {};
}

}  // namespace libws

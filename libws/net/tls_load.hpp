// Certificates, keys and roots from PEM files and texts.  Every error names the file, or the member
// of ws_tls_config, and OpenSSL's reason.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/net/tls_ptr.hpp"

namespace libws {

// PEM from where the caller has it, read once.
struct TlsText {
  const char* name = "";  // for error details: the path, or the member's name
  String text;
  bool given = false;

  // Errors: INVALID (both are given), TLS_CONFIG (unreadable, too large).
  Error load(const char* file, const char* pem, const char* member);
};

// What a program proves itself with: the certificate, those between it and a root, and its key.
struct TlsIdentity {
  CertificatePtr certificate;
  CertificatesPtr chain;  // may be empty, never null
  KeyPtr key;

  // `key` that is not given: it is in `certificates`.  `password` null: it is not encrypted.
  // Errors: TLS_CONFIG, NOMEM.
  Error load(const TlsText& certificates, const TlsText& key, const char* password);
};

// The certificates of `text` as roots.  Errors: TLS_CONFIG, NOMEM.
Error tls_load_roots(const TlsText& text, X509_STORE* store);

// Errors: NOMEM.
Error tls_print_pem(X509* certificate, String* out);

}  // namespace libws

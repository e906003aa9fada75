/*
 * Certificates for tests, made when they are needed: authorities, intermediates, leaves that are
 * good or bad in one way each.  Keys are EC P-256 unless asked otherwise.  Whatever fails aborts
 * the test program.
 */
#ifndef TESTS_SUPPORT_CERTS_H
#define TESTS_SUPPORT_CERTS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct Cert Cert; /* a certificate and its key */

typedef struct CertSpec {
  const char *subject; /* its common name */
  const char *names;   /* "DNS:localhost,IP:127.0.0.1"; NULL = no subject alternative names */
  long not_before;     /* in seconds from now; both 0 = an hour ago to tomorrow */
  long not_after;
  int is_ca;
  int is_client; /* for client authentication instead of a server's */
  int rsa;       /* RSA 2048 */
} CertSpec;

/* Signed by `issuer`, or by itself when that is NULL. */
Cert *cert_make(const CertSpec *spec, const Cert *issuer);
void cert_free(Cert *c);

/* PEM texts; valid while the certificate is. */
const char *cert_pem(const Cert *c);
const char *cert_key(const Cert *c);
/* The key encrypted with a password; made by the first call. */
const char *cert_key_encrypted(Cert *c, const char *password);

/* The most common ones. */
Cert *cert_make_ca(const char *subject);
Cert *cert_make_server(const Cert *issuer, const char *names);
Cert *cert_make_client(const Cert *issuer, const char *subject);

/* The text of one or two PEM texts, NULL left out; to be freed with free(). */
char *cert_join(const char *first, const char *second);

#ifdef __cplusplus
}
#endif
#endif /* TESTS_SUPPORT_CERTS_H */

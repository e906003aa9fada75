/*
 * libws/tls.h: certificates and TLS settings, for servers and clients (RFC 8446, RFC 5246).
 *
 * The defaults are the safe ones: TLS 1.2 or 1.3; a client checks the server's chain against the
 * system's roots and its name or address against the URL's host (RFC 9525); no renegotiation, no
 * compression, no early data; ALPN is "http/1.1" (RFC 7301).  Sessions are resumed by tickets.
 */
#ifndef LIBWS_TLS_H
#define LIBWS_TLS_H

#include <libws/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ws_tls_verify {
  WS_TLS_VERIFY_DEFAULT = 0,  /* clients check chain and name; servers ask for no certificate */
  WS_TLS_VERIFY_REQUIRE = 1,  /* servers also refuse clients without a valid certificate */
  WS_TLS_VERIFY_OPTIONAL = 2, /* servers ask; a certificate that is given must be valid */
  WS_TLS_VERIFY_NONE = 3      /* clients take any certificate: for tests only */
} ws_tls_verify;

/* ws_tls_config.flags */
enum {
  WS_TLS_KERNEL = 1u << 0,        /* let the kernel encrypt (kTLS) where it and OpenSSL can; else
                                     ignored, ws_tls_info.kernel tells */
  WS_TLS_NO_TICKETS = 1u << 1,    /* every connection makes a full handshake */
  WS_TLS_PARTIAL_CHAIN = 1u << 2, /* a certificate in the CA file is trusted even when it is not
                                     a root */
  WS_TLS_NO_NAME_CHECK = 1u << 3  /* clients check the chain, and take a certificate for any name */
};

typedef struct ws_tls_config {
  size_t size; /* WS_INIT */
  uint32_t flags;

  /* Own certificate, followed by its intermediates, and key: PEM paths or PEM text, not both.
   * Servers need one; clients only where the server asks.  The key must match and is looked for
   * in the certificate's file or text when no key is named. */
  const char *cert_file, *key_file;
  const char *cert_pem, *key_pem;
  const char *key_password; /* of an encrypted key; NULL = it is not encrypted */

  const char *ca_file, *ca_pem; /* whom to trust; NULL = the system's roots for clients; required
                                   for servers that ask for certificates */
  ws_tls_verify verify;
  uint32_t min_version;     /* 0x0303 = TLS 1.2, 0x0304 = TLS 1.3 [0x0303] */
  const char *ciphers;      /* TLS 1.2, OpenSSL list syntax; NULL = AEAD with forward secrecy */
  const char *ciphersuites; /* TLS 1.3, colon separated; NULL = OpenSSL's defaults */
  const char *keylog_file;  /* session secrets are appended, for captures (NSS key log format) */

  /* Servers: further certificates.  The first whose certificate is for the name that the client
   * asks for (SNI, RFC 6066 3) is used; otherwise this one. */
  ws_tls *const *alternatives;
  size_t alternative_count;
} ws_tls_config;

/* Settings loaded once and shared by any number of listeners, clients, loops and threads;
 * immutable after.  `cfg` NULL: a client's defaults.  ws_last_detail() names the file and
 * OpenSSL's reason.  Thread: any.  Errors: TLS_CONFIG, INVALID, NOMEM. */
WS_API int ws_tls_new(const ws_tls_config *cfg, ws_tls **out);

/* A throw-away certificate for `host` (a name or an address; "localhost", 127.0.0.1 and ::1 are
 * added), made now, signed by itself, valid for 30 days.  For tests and first steps.
 * Thread: any.  Errors: INVALID (host), TLS_CONFIG, NOMEM. */
WS_API int ws_tls_new_self_signed(const char *host, ws_tls **out);

/* The settings of an OpenSSL SSL_CTX, for programs that have one already: certificates, keys,
 * roots, verification, versions, ciphers and ALPN are what was put into it.  It must belong to
 * the libssl that libws uses.  libws takes a reference and changes nothing in it; what libws needs
 * it sets on each SSL: no renegotiation, no compression, no early data, and no message, info and
 * PSK callbacks.  Callbacks that OpenSSL knows for the SSL_CTX only (SNI, ALPN, key log,
 * sessions...) are called on the threads of the loops, with an SSL that has no app data.  Change
 * the SSL_CTX only while no connection is being made.
 *
 * Made with TLS_method() it serves both roles; with TLS_client_method() or TLS_server_method()
 * one, and the other fails with TLS_CONFIG where it is asked for.  Clients verify if the SSL_CTX
 * has SSL_VERIFY_PEER: the chain, and the name by the SSL_CTX's own rules (X509_VERIFY_PARAM).
 * Servers ask for certificates if it has, and need a certificate in it, or a callback that brings
 * one.  Clients do not resume sessions.  It cannot be one of `alternatives`.
 *
 * flags: WS_TLS_NO_NAME_CHECK or 0.  Thread: any.  Errors: INVALID, UNSUPPORTED (flags),
 * TLS_CONFIG (not TLS: DTLS, QUIC), NOMEM. */
WS_API int ws_tls_new_openssl(void *ssl_ctx, uint32_t flags, ws_tls **out);

WS_API ws_tls *ws_tls_ref(ws_tls *t); /* returns t.  Thread: any */
WS_API void ws_tls_unref(ws_tls *t);  /* Thread: any */

/* Its own certificate in PEM, for a client to trust; "" if it has none, or had none when it was
 * made.  Valid while `t` is.  Thread: any. */
WS_API const char *ws_tls_certificate(const ws_tls *t);

/* How a connection is secured.  Strings are printable ASCII and never NULL. */
struct ws_tls_info {
  size_t size;                  /* WS_INIT */
  const char *version;          /* "TLSv1.3" */
  const char *cipher;           /* OpenSSL's name of the cipher suite */
  const char *server_name;      /* the name the client asked for (SNI); "" if none */
  const char *peer_subject;     /* RFC 2253 subject of the peer's verified certificate, "" if it
                                   gave none or verification is off */
  const char *peer_fingerprint; /* SHA-256 of that certificate, 64 hex digits, or "" */
  int resumed;                  /* 1: a ticket spared the full handshake */
  int kernel;                   /* 1: the kernel encrypts what is sent */
};

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_TLS_H */

// What ws_tls stands for: certificates, keys, trust and settings, loaded once, immutable, shared
// by threads; and the tickets a client may resume with.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/ref.hpp"
#include "libws/net/tls_ptr.hpp"
#include "libws/net/tls_tickets.hpp"

#include <libws/tls.h>

#include <mutex>
#include <string_view>

namespace libws {

struct TlsText;
struct TlsIdentity;

class TlsContext : public RefCounted<TlsContext>, public Allocated {
 public:
  // `config` is complete (read_config).  One context serves both roles: it has a certificate or
  // not, and trusts somebody or not.  Errors: as ws_tls_new().
  static Error create(const ws_tls_config& config, Ref<TlsContext>* out);
  static Error create_self_signed(const char* host, Ref<TlsContext>* out);

  // What is in an SSL_CTX of somebody else's, which stays as it is.  Errors: as
  // ws_tls_new_openssl().
  static Error create_from(SSL_CTX* ctx, uint32_t flags, Ref<TlsContext>* out);

  // Errors: INVALID (it has no certificate), TLS_CONFIG (its SSL_CTX is a client's).
  Error can_serve() const;
  // Errors: TLS_CONFIG (its SSL_CTX is a server's).
  Error can_connect() const;
  bool has_certificate() const { return certificate_ != nullptr; }
  const char* certificate_pem() const { return certificate_pem_.c_str(); }  // "" if none

  // ---- for TlsSession ----

  // Null unless can_serve().
  SSL_CTX* server() const { return server_.get(); }
  // Null unless can_connect(), and with OpenSSL's error.  With the system's roots, which a context
  // that also serves loads only when it is asked to connect: they cost tens of milliseconds.
  SSL_CTX* client();
  const BIO_METHOD* bio_method() const { return bio_method_.get(); }
  bool verifies_server() const { return verify_ != WS_TLS_VERIFY_NONE; }
  bool checks_name() const { return !any_name_; }
  // The settings are somebody else's: prepare() sets on each SSL what is ours.
  bool foreign() const { return foreign_; }
  static void prepare(SSL* ssl);
  TlsTickets& tickets() { return tickets_; }

  // How names are compared (RFC 9525 6.3): whole labels only, and never the subject's CN.
  static constexpr unsigned kNameFlags =
      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

 private:
  friend class RefCounted<TlsContext>;
  TlsContext() = default;
  ~TlsContext();

  Error check(const ws_tls_config& config);
  Error load(const ws_tls_config& config);
  Error load_identity(const ws_tls_config& config);
  Error load_trust(const ws_tls_config& config);
  Error make_server(const ws_tls_config& config);
  Error make_client(const ws_tls_config& config);
  Error set_common(SSL_CTX* ctx, const ws_tls_config& config);
  void ask_for_client_certificates(SSL_CTX* ctx);
  bool is_for(const char* name) const;
  bool use_for(SSL* ssl) const;

  static int on_server_name(SSL* ssl, int* alert, void* self);
  static int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_len,
                     const unsigned char* in, unsigned in_len, void* self);
  static void on_keylog(const SSL* ssl, const char* line);

  SslCtxPtr server_, client_;
  BioMethodPtr bio_method_;
  CertificatePtr certificate_;
  CertificatesPtr chain_;
  KeyPtr key_;
  StorePtr roots_;  // null: the system's
  String certificate_pem_;
  Vector<Ref<TlsContext>> alternatives_;
  ws_tls_verify verify_ = WS_TLS_VERIFY_DEFAULT;
  int keylog_fd_ = -1;
  bool any_name_ = false;
  bool foreign_ = false;
  std::mutex roots_mutex_;
  bool roots_loaded_ = false;
  TlsTickets tickets_;
};
LIBWS_HANDLE(TlsContext, ws_tls);

}  // namespace libws

// TLS for a connection to Redis, on memory buffers: the socket stays with the connection.
#pragma once

#include "error.hpp"

#include <libws/tls.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace libws_redis {

struct TlsSettings {
  std::string ca_file, cert_file, key_file;
  ws_tls_verify verify = WS_TLS_VERIFY_DEFAULT;
};

// Shared by the connections of a bridge.
class TlsContext {
 public:
  TlsContext() = default;
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();
  Failure load(const TlsSettings& settings);
  ssl_ctx_st* get() const { return context_; }

 private:
  ssl_ctx_st* context_ = nullptr;
};

class Tls {
 public:
  Tls() = default;
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;
  ~Tls();

  Failure start(const TlsContext& context, const std::string& host);
  Failure feed(const char* wire, size_t len);  // what came from the socket
  Failure handshake(bool* done);
  // How many bytes were decrypted: 0, more is needed.  After Close: `ended`.
  Failure read(char* out, size_t size, size_t* got, bool* ended);
  Failure write(std::string_view plain);
  void take_wire(std::string* out);  // appends what is to be sent

 private:
  ssl_st* ssl_ = nullptr;
};

}  // namespace libws_redis

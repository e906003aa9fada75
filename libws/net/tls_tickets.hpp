// The sessions a client may resume, by server: of each the newest few, because those of TLS 1.3 are
// used up and several connections may begin at once; bounded.  Thread: any.
#pragma once

#include "libws/base/alloc.hpp"

#include <openssl/ssl.h>

#include <mutex>
#include <string_view>

namespace libws {

class TlsTickets {
 public:
  static constexpr size_t kMaxTickets = 64;
  static constexpr size_t kMaxPerServer = 4;

  TlsTickets() = default;
  ~TlsTickets();
  TlsTickets(const TlsTickets&) = delete;
  TlsTickets& operator=(const TlsTickets&) = delete;

  // Keeps a copy, because connections on other threads go on changing the original.  The oldest
  // makes room.  Without memory nothing is kept.
  void remember(std::string_view server, SSL_SESSION* session);
  // The caller's own, or null.  RFC 8446 C.4: a TLS 1.3 ticket is used once, or connections could
  // be linked with each other.
  SSL_SESSION* take(std::string_view server);
  // RFC 5246 7.2.2: a session that ended with a fatal alert is not resumed; nor is any other of
  // that server.
  void forget(std::string_view server);
  size_t size();

 private:
  struct Entry {
    String server;
    SSL_SESSION* session;
  };
  using Entries = Vector<Entry>;

  Entries::iterator newest(std::string_view server);
  void drop_oldest(std::string_view server);
  void erase(Entries::iterator at);

  std::mutex mutex_;
  Entries entries_;  // the newest, or used last, stands last
};

}  // namespace libws

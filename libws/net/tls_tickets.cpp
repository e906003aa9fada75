#include "libws/net/tls_tickets.hpp"

#include <openssl/ssl.h>

#include <algorithm>

namespace libws {

TlsTickets::~TlsTickets() {
  for (Entry& e : entries_) SSL_SESSION_free(e.session);
}

TlsTickets::Entries::iterator TlsTickets::newest(std::string_view server) {
  const auto found = std::find_if(entries_.rbegin(), entries_.rend(),
                                  [server](const Entry& e) { return e.server == server; });
  return found == entries_.rend() ? entries_.end() : found.base() - 1;
}

void TlsTickets::erase(Entries::iterator at) {
  SSL_SESSION_free(at->session);
  entries_.erase(at);
}

void TlsTickets::drop_oldest(std::string_view server) {
  erase(std::find_if(entries_.begin(), entries_.end(),
                     [server](const Entry& e) { return e.server == server; }));
}

void TlsTickets::remember(std::string_view server, SSL_SESSION* session) {
  SSL_SESSION* copy = SSL_SESSION_dup(session);
  if (copy == nullptr) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  try {
    entries_.push_back({String(server), copy});
  } catch (const std::bad_alloc&) {
    SSL_SESSION_free(copy);
    return;
  }
  const auto count = std::count_if(entries_.begin(), entries_.end(),
                                   [server](const Entry& e) { return e.server == server; });
  // One of TLS 1.2 is used again and again, so the newest is enough.
  const bool again = SSL_SESSION_get_protocol_version(copy) < TLS1_3_VERSION;
  if (count > (again ? 1 : static_cast<ptrdiff_t>(kMaxPerServer))) drop_oldest(server);
  if (entries_.size() > kMaxTickets) erase(entries_.begin());
}

SSL_SESSION* TlsTickets::take(std::string_view server) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto at = newest(server);
  if (at == entries_.end()) return nullptr;
  SSL_SESSION* session = at->session;
  if (SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION) {
    std::rotate(at, at + 1, entries_.end());
    return SSL_SESSION_dup(session);
  }
  entries_.erase(at);
  return session;
}

void TlsTickets::forget(std::string_view server) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto at = newest(server); at != entries_.end(); at = newest(server)) erase(at);
}

size_t TlsTickets::size() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return entries_.size();
}

}  // namespace libws

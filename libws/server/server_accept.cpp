// From an accepted socket to a connection: who may come, who came, and what a refusal looks like.
#include "libws/net/transport_tls.hpp"
#include "libws/protocol/forwarded.hpp"
#include "libws/server/server.hpp"

#include <new>

namespace libws {
namespace {

constexpr uint64_t kRefusalLogUs = 1'000'000;

}  // namespace

void Server::on_accept(Listener& from, int fd, const Address& peer) {
  (void)adopt(fd, peer, from.tls(), from.proxies());
}

bool Server::adopt(int fd, const Address& address, TlsContext* tls, const AddressBlocks& proxies) {
  if (freed_) {
    socket_close(fd);
    return false;
  }
  const PackedAddress peer(address);
  if (proxies.empty()) return take(fd, peer, tls, loop_.fresh_now_us());
  if (!proxies.contain(peer)) return refuse_socket(fd, peer, "not in proxy_from");
  return introduce(fd, peer, tls);
}

bool Server::introduce(int fd, const PackedAddress& proxy, TlsContext* tls) {
  ProxyIntro* intro = nullptr;
  try {
    intro = new ProxyIntro(loop_, *this, fd, proxy, Ref<TlsContext>::share(tls));
  } catch (const std::bad_alloc&) {
    return refuse_socket(fd, proxy, "out of memory");
  }
  if (intro->start(options_.policy->limits.handshake_us)) {
    loop_.log().write(WS_LOG_ERROR, "accept: %s", last_detail());
    intro->close();
    return false;
  }
  intros_.push_back(intro);
  ++held_;
  return true;
}

void Server::on_introduced(ProxyIntro& intro, int fd, const PackedAddress& peer,
                           uint64_t began_us) {
  if (!take(fd, peer, intro.tls(), began_us)) return left();
  --held_;  // its place is the connection's now
}

void Server::on_intro_failed(ProxyIntro& intro, const char* why) {
  if (why != nullptr) log_refused_socket(intro.proxy(), why);
  left();
}

// A descriptor is free again, and a place: listeners that paused for either go on.
void Server::left() {
  --held_;
  if (keeper_ != nullptr) keeper_->on_place_free();
  if (shutdown_ != nullptr) return;
  for (Listener* l : listeners_) l->resume();
}

void Server::close_intros() {
  while (ProxyIntro* intro = intros_.front()) {
    intro->close();
    left();
  }
}

bool Server::take(int fd, const PackedAddress& peer, TlsContext* tls, uint64_t began_us) {
  using Verdict = AddressLimits::Verdict;
  switch (addresses_.admit(peer, loop_.fresh_now_us())) {
    case Verdict::kOk: break;
    case Verdict::kTooMany: return refuse_socket(fd, peer, "max_connections_per_ip");
    case Verdict::kTooFast: return refuse_socket(fd, peer, "max_accept_rate_per_ip");
    case Verdict::kNoMemory: return refuse_socket(fd, peer, "out of memory");
  }
  if (open(fd, peer, tls, began_us)) return true;
  addresses_.release(peer, loop_.fresh_now_us());
  return false;
}

bool Server::open(int fd, const PackedAddress& peer, TlsContext* tls, uint64_t began_us) {
  Conn* conn = nullptr;
  try {
    Transport transport(fd);
    if (tls != nullptr) {
      TlsSession* session = nullptr;
      if (TlsSession::accept(*tls, loop_.tls_buffers(), std::move(transport), &session)) {
        loop_.log().write(WS_LOG_ERROR, "accept: %s", last_detail());
        return false;
      }
      transport = Transport(fd, session);
    }
    conn = new Conn(ConnShared::of(loop_), *this, options_.policy, Role::kServer,
                    std::move(transport), peer);
  } catch (const std::bad_alloc&) {
    loop_.log().write(WS_LOG_ERROR, "accept: out of memory, the connection was dropped");
    return false;
  }
  // Where that is the router, it is none of the connections' business.
  conn->set_user(options_.routed ? nullptr : options_.user);
  if (conn->start(began_us)) {
    loop_.log().write(WS_LOG_ERROR, "accept: %s", last_detail());
    conn->unref();
    return false;
  }
  conns_.push_back(conn);
  ++held_;
  totals_.accepted();
  conn->unref();  // the loop holds it now
  return true;
}

bool Server::refuse_socket(int fd, const PackedAddress& peer, const char* why) {
  socket_reset(fd);
  log_refused_socket(peer, why);
  return false;
}

// One line a second at most: whoever is refused may be trying to fill the log as well.
void Server::log_refused_socket(const PackedAddress& peer, const char* why) {
  const uint64_t now_us = loop_.fresh_now_us();
  if (refused_logged_us_ != 0 && now_us - refused_logged_us_ < kRefusalLogUs) {
    ++refused_unlogged_;
    return;
  }
  refused_logged_us_ = now_us;
  if (!loop_.log().enabled(WS_LOG_WARN)) return;
  char text[kAddressTextBytes];
  peer.print(text);
  loop_.log().write(WS_LOG_WARN, "drop peer=%s why=\"%s\" not_logged=%llu", text, why,
                    static_cast<unsigned long long>(std::exchange(refused_unlogged_, 0)));
}

// A proxy's word counts as far as the next address: that one may be a proxy again.
void Server::name_client(const Conn& conn, Request& request) const {
  PackedAddress client = conn.peer();
  if (options_.trusted_proxies.contain(client)) {
    ForwardedWalk walk(request.head(), options_.proxy_field);
    std::string_view text;
    PackedAddress before;
    while (options_.trusted_proxies.contain(client) && walk.next(&text) &&
           parse_ip(text, &before)) {
      client = before;
    }
  }
  char printed[kAddressTextBytes];
  client.print_host(printed);
  request.set_client(printed);
}

}  // namespace libws

#include "libws/server/server.hpp"

#include "libws/protocol/handshake.hpp"
#include "libws/protocol/origin.hpp"
#include "libws/server/memory_budget.hpp"
#include "libws/server/shutdown.hpp"

#include <cassert>
#include <new>

namespace libws {
namespace {

// Also makes what the loop's connections share, now, so that accepting does not fail for it later.
// Without random bytes, which nothing works without, any seed will do.
uint64_t random_seed(Loop& loop) {
  uint64_t seed = 0;
  ConnShared::of(loop).resources.random.take(&seed, sizeof seed);
  return seed;
}

}  // namespace

Server::Server(Loop& loop, ServerOptions options)
    : loop_(loop),
      options_(std::move(options)),
      addresses_(options_.max_connections_per_ip, options_.max_accept_rate_per_ip,
                 random_seed(loop)) {
  for (const String& o : options_.origins) origin_views_.push_back(o);
  if (!options_.server_header.empty()) {
    options_.policy->limits.server_header = options_.server_header.c_str();
  }
  if (options_.memory_budget != WS_UNLIMITED) {
    budget_ = new MemoryBudget(loop, conns_, options_.memory_budget);
    options_.policy->counts_memory = true;
  }
  loop_.add_member(this);
}

Server::~Server() { assert(conns_.empty() && listeners_.empty()); }

void Server::free() {
  if (freed_) return;
  freed_ = true;
  if (linked()) unlink();
  if (shutdown_ != nullptr) std::exchange(shutdown_, nullptr)->cancel();
  close_listeners();
  close_intros();
  if (budget_ != nullptr) std::exchange(budget_, nullptr)->close();
  // The header text goes with this object, the connections' policy does not.
  options_.policy->limits.server_header = nullptr;
  while (Conn* c = conns_.pop_front()) {
    c->disown();
    c->abort();
  }
  unref();
}

void Server::on_loop_abandoned() {
  freed_ = true;
  if (shutdown_ != nullptr) std::exchange(shutdown_, nullptr)->cancel();
  for (Listener* l : listeners_) l->abandon();
  listeners_.clear();
  close_intros();
  if (budget_ != nullptr) std::exchange(budget_, nullptr)->close();
  options_.policy->limits.server_header = nullptr;
  while (Conn* c = conns_.pop_front()) c->on_abandoned();
  unref();
}

void Server::abort_all() {
  close_intros();
  for (Conn* c = conns_.front(); c != nullptr; c = conns_.next(c)) c->abort();
}

void Server::on_request(Conn& conn, Request& request) {
  Ref<Server> self = Ref<Server>::share(this);
  if (shutdown_ != nullptr) return conn.refuse(503, "shutting down");
  name_client(conn, request);
  if (request.is_upgrade() && !origin_allowed(conn, request)) {
    return conn.refuse(403, "origin not allowed");
  }
  if (options_.on_request != nullptr) {
    options_.on_request(to_handle(&request), options_.user);
    if (freed_) return;
  }
  if (!request.answered() && request.unique()) answer_by_default(conn, request);
}

bool Server::origin_allowed(const Conn& conn, const Request& request) const {
  std::string_view origin = request.origin();
  if (origin.empty()) return true;  // not a browser (RFC 6455 4.2.1-7)
  if (!origin_views_.empty()) return origin_is_allowed(origin, origin_views_);
  return origin_is_same_host(origin, request.host(), conn.secure());
}

void Server::answer_by_default(Conn& conn, Request& request) {
  if (!request.is_upgrade()) return conn.refuse(426, "this is a WebSocket endpoint");
  AcceptOptions how;
  for (const String& protocol : options_.subprotocols) {
    if (!request.offers(protocol)) continue;
    how.subprotocol = protocol.c_str();
    break;
  }
  if (request.accept(how)) conn.refuse(500, "the handshake could not be answered");
}

void Server::on_opened(Conn&) {
  ++opened_;
  totals_.opened();
}

void Server::on_ended(Conn& conn) {
  totals_.ended(conn);
  if (conn.was_opened()) --opened_;
}

void Server::on_gone(Conn& conn) {
  List<Conn, ConnLink>::remove(&conn);
  addresses_.release(conn.peer(), loop_.fresh_now_us());
  if (shutdown_ != nullptr && conns_.empty()) shutdown_->finish();
  left();
}

void Server::on_memory(Conn&, int64_t bytes) {
  if (budget_ != nullptr) budget_->changed(bytes);
}

ws_server_stats Server::stats() const {
  ws_server_stats all = totals_.past();
  all.connections = opened_;
  all.opening = held_ - opened_;
  for (const Conn* c = conns_.front(); c != nullptr; c = conns_.next(c)) {
    if (c->opened()) Totals::add_open(*c, &all);
  }
  return all;
}

int Server::each(int (*fn)(ws_conn* c, void* arg), void* arg) {
  Ref<Server> self = Ref<Server>::share(this);
  for (Conn* c = conns_.front(); c != nullptr && !freed_; c = conns_.next(c)) {
    if (!c->opened()) continue;
    if (int result = fn(to_handle(c), arg)) return result;
    if (freed_) break;
  }
  return 0;
}

Error Server::shut_down(uint16_t code, uint32_t timeout_ms, void (*done)(ws_server*, void*),
                        void* arg) {
  if (shutdown_ != nullptr) return fail(WS_ERR_STATE, "shutdown: already under way");
  if (!Engine::may_send_code(code) || code == 1010) {
    return fail(WS_ERR_INVALID, "shutdown: close code %u must not be sent", code);
  }
  if (timeout_ms != WS_NEVER && timeout_ms > INT32_MAX) {
    return fail(WS_ERR_INVALID, "shutdown: timeout of %u ms is out of range", timeout_ms);
  }
  auto* shutdown = new Shutdown(*this, done, arg);
  shutdown_ = shutdown;
  close_listeners();
  close_intros();
  for (Conn* c = conns_.front(); c != nullptr; c = conns_.next(c)) {
    // Closing one that is still shaking hands drops it.
    (void)c->close(code, {}).failed();
  }
  shutdown->start(timeout_ms);
  if (conns_.empty()) shutdown->finish();
  return Error();
}

}  // namespace libws

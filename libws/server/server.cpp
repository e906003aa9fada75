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
  if (shutdown_ != nullptr && !shutdown_->finishes()) return conn.refuse(503, "shutting down");
  name_client(conn, request);
  if (request.is_upgrade() && !origin_allowed(conn, request)) {
    if (!options_.routed) return conn.refuse(403, "origin not allowed");
    request.set_origin_refused();
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
  const RequestTerms* terms = request.terms();
  const bool of_route = terms != nullptr && !terms->subprotocols.empty();
  for (const String& protocol : of_route ? terms->subprotocols : options_.subprotocols) {
    if (!request.offers(protocol)) continue;
    how.subprotocol = protocol.c_str();
    break;
  }
  if (request.accept(how)) conn.refuse(500, "the handshake could not be answered");
}

// One thread writes, so that a load and a store do what a locked instruction would.
void Server::on_opened(Conn&) {
  opened_.store(count() + 1, std::memory_order_relaxed);
  totals_.opened();
  if (shutdown_ != nullptr) shutdown_->opened();
}

void Server::on_ended(Conn& conn) {
  totals_.ended(conn);
  if (conn.was_opened()) opened_.store(count() - 1, std::memory_order_relaxed);
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
  all.connections = count();
  all.opening = held_ - count();
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

Error Server::drain(DrainOptions how, void (*done)(ws_server*, void*), void* arg) {
  if (shutdown_ != nullptr) return fail(WS_ERR_STATE, "shutdown: already under way");
  if (Error e = check_drain(how)) return e;
  shutdown_ = new Shutdown(*this, std::move(how), done, arg);
  if (keeper_ != nullptr) keeper_->on_no_more_places();
  close_listeners();
  close_intros();
  shutdown_->start();
  return Error();
}

size_t Server::turn_away_new() {
  for (Conn* c = conns_.front(); c != nullptr; c = conns_.next(c)) {
    (void)c->turn_away("shutting down").failed();  // CLOSED: not one of them
  }
  return held_;
}

// Those that were closed go to the back, so the front is always who comes next.  With nobody left
// who was not asked yet this begins again, and asking twice does nothing.
void Server::close_next(size_t count, const DrainOptions& how) {
  for (; count != 0 && !conns_.empty(); --count) {
    Conn* c = conns_.pop_front();
    conns_.push_back(c);
    // Closing one that is still shaking hands would drop it.
    if (!how.finish || c->opened()) (void)c->close(how.code, how.reason).failed();
  }
}

void Server::close_rest(const DrainOptions& how) {
  for (Conn* c = conns_.front(); c != nullptr; c = conns_.next(c)) {
    if (c->opened() && !c->asked_to_close()) (void)c->close(how.code, how.reason).failed();
  }
}

}  // namespace libws

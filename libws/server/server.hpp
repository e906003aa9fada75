// A server: listeners, the connections they accepted, the default answers, the way to stop.
//
// Counted, because a callback of one of its connections may free it: the method that made the
// callback then still stands on the stack.  The owner's handle is one reference, each such method
// another for its duration.
#pragma once

#include "libws/conn/conn.hpp"
#include "libws/net/listener.hpp"
#include "libws/protocol/forwarded.hpp"
#include "libws/server/address_limits.hpp"
#include "libws/server/proxy_intro.hpp"
#include "libws/server/totals.hpp"

#include <libws/server.h>

#include <atomic>

namespace libws {

class MemoryBudget;
class Shutdown;

// Whoever gives a server its connections instead of listeners of its own.
class PlaceKeeper {
 public:
  virtual void on_place_free() = 0;      // a connection that adopt() took is gone
  virtual void on_no_more_places() = 0;  // the server is stopping; what still comes gets 503

 protected:
  ~PlaceKeeper() = default;
};

// How to stop gracefully; ws_drain with the defaults put in.
struct DrainOptions {
  uint16_t code = 1001;
  String reason;
  uint32_t spread_ms = 0;
  uint32_t timeout_ms = 10000;  // WS_NEVER: no end
  bool finish = false;          // WS_DRAIN_FINISH
};

struct ServerOptions {
  Ref<ConnPolicy> policy;
  void* user = nullptr;
  void (*on_request)(ws_request* r, void* user) = nullptr;
  Vector<String> subprotocols;
  Vector<String> origins;
  bool routed = false;  // on_request is ws_router_on_request: the routes judge Origin
  uint32_t max_connections = 65536;
  uint32_t max_connections_per_ip = WS_NEVER;
  uint32_t max_accept_rate_per_ip = WS_NEVER;
  uint64_t memory_budget = uint64_t{1} << 30;
  AddressBlocks trusted_proxies;
  ForwardedField proxy_field = ForwardedField::kXForwardedFor;
  String server_header;  // policy->limits.server_header points into it; "" = none
};

class Server final : public ConnOwner,
                     public AcceptSink,
                     public IntroSink,
                     public LoopMember,
                     public RefCounted<Server>,
                     public Allocated {
 public:
  // Throws std::bad_alloc.
  Server(Loop& loop, ServerOptions options);

  // ---- the public calls of server.h, same contracts ----
  // The caller's reference goes too.
  void free();
  Error listen(const ws_listen_config& config, Listener** out);
  Error listen_fd(int fd, const ws_listen_config& config, Listener** out);
  size_t count() const { return opened_.load(std::memory_order_relaxed); }  // Thread: any
  ws_server_stats stats() const;
  int each(int (*fn)(ws_conn* c, void* arg), void* arg);
  Error drain(DrainOptions how, void (*done)(ws_server*, void*), void* arg);

  Loop& loop() const { return loop_; }
  void abort_all();

  // ---- for a pool ----
  // From here on it does not listen; the keeper counts what it gives, up to max_connections().
  void set_keeper(PlaceKeeper* keeper) { keeper_ = keeper; }
  uint32_t max_connections() const { return options_.max_connections; }
  // A connection that was accepted elsewhere.  False: it could not be kept, the log says why, and
  // the descriptor is closed.
  bool adopt(int fd, const Address& peer, TlsContext* tls, const AddressBlocks& proxies);

  // ---- for Shutdown ----
  bool empty() { return conns_.empty(); }
  // Those that are still shaking hands get 503.  Returns how many there are, these included.
  size_t turn_away_new();
  size_t held() const { return held_; }
  // Close frames to those that have opened since.
  void close_rest(const DrainOptions& how);
  // Close frames to the next `count` of those, the oldest first.
  void close_next(size_t count, const DrainOptions& how);

  // ConnOwner
  void on_request(Conn& conn, Request& request) override;
  void on_opened(Conn& conn) override;
  void on_ended(Conn& conn) override;
  void on_gone(Conn& conn) override;
  void on_memory(Conn& conn, int64_t bytes) override;
  // AcceptSink
  void on_accept(Listener& from, int fd, const Address& peer) override;
  bool can_accept() override { return held_ < options_.max_connections; }
  void close_listener(Listener* listener) override;
  // IntroSink
  void on_introduced(ProxyIntro& intro, int fd, const PackedAddress& peer,
                     uint64_t began_us) override;
  void on_intro_failed(ProxyIntro& intro, const char* why) override;
  // LoopMember
  void on_loop_stop() override { abort_all(); }
  void on_loop_free() override { free(); }
  void on_loop_abandoned() override;

 private:
  friend class RefCounted<Server>;
  ~Server();

  Error start_listener(int fd, std::string_view unix_path, const ws_listen_config& config,
                       Listener** out);
  Error may_listen(const char* what) const;
  void close_listeners();

  // server_accept.cpp
  bool introduce(int fd, const PackedAddress& proxy, TlsContext* tls);
  bool take(int fd, const PackedAddress& peer, TlsContext* tls, uint64_t began_us);
  bool open(int fd, const PackedAddress& peer, TlsContext* tls, uint64_t began_us);
  void left();
  void close_intros();
  bool refuse_socket(int fd, const PackedAddress& peer, const char* why);
  void log_refused_socket(const PackedAddress& peer, const char* why);
  void name_client(const Conn& conn, Request& request) const;

  bool origin_allowed(const Conn& conn, const Request& request) const;
  void answer_by_default(Conn& conn, Request& request);

  Loop& loop_;
  ServerOptions options_;
  Vector<std::string_view> origin_views_;  // into options_.origins
  List<Conn, ConnLink> conns_;
  List<ProxyIntro, IntroLink> intros_;  // not connections yet
  AddressLimits addresses_;
  MemoryBudget* budget_ = nullptr;  // null: none
  Vector<Listener*> listeners_;
  Shutdown* shutdown_ = nullptr;
  Totals totals_;
  PlaceKeeper* keeper_ = nullptr;
  std::atomic<size_t> opened_{0};  // written by the loop's thread only
  size_t held_ = 0;                // all connections, those still shaking hands or closing included
  uint64_t refused_logged_us_ = 0;
  uint64_t refused_unlogged_ = 0;
  bool freed_ = false;
};
// Errors: INVALID, when it has no certificate to show.  Null is plain, and fine.
Error check_server_tls(const TlsContext* tls);

LIBWS_HANDLE(Server, ws_server);
LIBWS_HANDLE(Listener, ws_listener);

}  // namespace libws

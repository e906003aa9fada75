// A server: listeners, the connections they accepted, the default answers, the way to stop.
//
// Counted, because a callback of one of its connections may free it: the method that made the
// callback then still stands on the stack.  The owner's handle is one reference, each such method
// another for its duration.
#pragma once

#include "libws/conn/conn.hpp"
#include "libws/net/listener.hpp"
#include "libws/server/totals.hpp"

#include <libws/server.h>

namespace libws {

class Shutdown;

struct ServerOptions {
  Ref<ConnPolicy> policy;
  void* user = nullptr;
  void (*on_request)(ws_request* r, void* user) = nullptr;
  Vector<String> subprotocols;
  Vector<String> origins;
  uint32_t max_connections = 65536;
  String server_header;  // policy->limits.server_header points into it; "" = none
};

class Server final : public ConnOwner,
                     public AcceptSink,
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
  Error listen_fd(int fd, Listener** out);
  size_t count() const { return opened_; }
  ws_server_stats stats() const;
  int each(int (*fn)(ws_conn* c, void* arg), void* arg);
  Error shut_down(uint16_t code, uint32_t timeout_ms, void (*done)(ws_server*, void*), void* arg);

  Loop& loop() const { return loop_; }
  void abort_all();

  // ConnOwner
  void on_request(Conn& conn, Request& request) override;
  void on_opened(Conn& conn) override;
  void on_ended(Conn& conn) override;
  void on_gone(Conn& conn) override;
  // AcceptSink
  void on_accept(Listener& from, int fd, const Address& peer) override;
  bool can_accept() const override { return held_ < options_.max_connections; }
  void close_listener(Listener* listener) override;
  // LoopMember
  void on_loop_stop() override { abort_all(); }
  void on_loop_free() override { free(); }
  void on_loop_abandoned() override;

 private:
  friend class RefCounted<Server>;
  ~Server();

  Error start_listener(int fd, std::string_view unix_path, TlsContext* tls, Listener** out);
  Error listen_tcp(const ws_listen_config& config, Listener** out);
  Error listen_unix(const ws_listen_config& config, Listener** out);
  void close_listeners();
  bool origin_allowed(const Conn& conn, const Request& request) const;
  void answer_by_default(Conn& conn, Request& request);

  Loop& loop_;
  ServerOptions options_;
  Vector<std::string_view> origin_views_;  // into options_.origins
  List<Conn, ConnLink> conns_;
  Vector<Listener*> listeners_;
  Shutdown* shutdown_ = nullptr;
  Totals totals_;
  size_t opened_ = 0;
  size_t held_ = 0;  // all connections, those still shaking hands or closing included
  bool freed_ = false;
};
// Errors: INVALID, when it has no certificate to show.  Null is plain, and fine.
Error check_server_tls(const TlsContext* tls);

LIBWS_HANDLE(Server, ws_server);
LIBWS_HANDLE(Listener, ws_listener);

}  // namespace libws

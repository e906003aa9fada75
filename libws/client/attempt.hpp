// One attempt to reach a server: dial, go through the proxy, make TLS.  What comes out is a
// transport on which the WebSocket handshake may begin.
//
//   kDialing -> [kProxyTls] -> [kTunnel] -> [kTls] -> done
//
// There is no time limit here: the client, who knows how long it all may take, cancels.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/ref.hpp"
#include "libws/client/proxy.hpp"
#include "libws/client/proxy_talk.hpp"
#include "libws/net/dialer.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/tls_context.hpp"
#include "libws/net/transport.hpp"

#include <memory>

namespace libws {

// Where to, and by which way.
struct DialRoute {
  String unix_path;  // "" = TCP
  String host;       // of the server, as Url::host
  uint16_t port = 0;
  String dial_host;  // dialed instead of `host` when there is no proxy; "" = `host`
  uint16_t dial_port = 0;
  Proxy proxy;
  Ref<TlsContext> tls;        // null: plain
  String tls_name;            // asked for and verified
  Ref<TlsContext> proxy_tls;  // for an https proxy
  int fd = -1;                // connected already, and the attempt's; -1: to be dialed
};

class AttemptSink {
 public:
  virtual void on_connected(Transport&& transport, const Address& peer) = 0;
  // `fault.detail` is valid during the call; `status` is a proxy's HTTP status or 0.
  virtual void on_connect_failed(const TransportFault& fault, int status) = 0;

 protected:
  ~AttemptSink() = default;
};

class Attempt final : public Watcher, private DialSink, public Allocated {
 public:
  // The sink is told once, from the loop, and never from inside this call; the attempt is gone by
  // itself after that; route.fd stays the caller's until this has succeeded.  Errors: INVALID (a
  // unix path).  Throws std::bad_alloc.
  static Error start(Loop& loop, AttemptSink& sink, DialRoute route, Attempt** out);
  // Ends it without telling the sink.
  void cancel();
  // The same in the child of a fork, where the dialer goes by itself.
  void abandon();
  // For the detail of a timeout: "looking up or connecting", "TLS handshake"...
  const char* doing() const;

  void on_ready(uint32_t events) override;
  void on_timeout() override {}
  void on_deferred() override;
  void on_retired() override { delete this; }

 private:
  enum class Step : uint8_t { kDialing, kProxyTls, kTunnel, kTls };

  Attempt(Loop& loop, AttemptSink& sink, DialRoute route);
  ~Attempt() override = default;
  void on_dialed(int fd, const Address& peer) override;
  void on_dial_failed(int error, int sys_errno, const char* detail) override;

  bool begin_tls(TlsContext& context, const String& name, uint16_t port);
  void enter_tunnel_or_tls();
  void enter_tls_or_finish();
  void advance();
  bool wait_for(const IoResult& r);
  bool shake_hands();
  bool talk();
  void finish();
  void fail_with(const TransportFault& fault, int status);
  void fail_with_last_detail(int error);
  bool done() const { return sink_ == nullptr; }

  Loop& loop_;
  AttemptSink* sink_;  // null once it was told, or cancelled
  DialRoute route_;
  Dialer* dialer_ = nullptr;  // while kDialing
  Address peer_;
  Transport transport_;
  std::unique_ptr<ProxyTalk> talk_;
  Step step_ = Step::kDialing;
};

}  // namespace libws

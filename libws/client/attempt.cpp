#include "libws/client/attempt.hpp"

#include "libws/net/transport_tls.hpp"

#include <utility>

namespace libws {

Attempt::Attempt(Loop& loop, AttemptSink& sink, DialRoute route)
    : loop_(loop), sink_(&sink), route_(std::move(route)) {}

Error Attempt::start(Loop& loop, AttemptSink& sink, DialRoute route, Attempt** out) {
  auto* a = new Attempt(loop, sink, std::move(route));
  Error e;
  try {
    const DialRoute& r = a->route_;
    if (r.fd >= 0) {
      loop.defer(a);
    } else if (!r.unix_path.empty()) {
      e = Dialer::unix_socket(loop, *a, r.unix_path.c_str(), &a->dialer_);
    } else if (r.proxy.kind != ProxyKind::kNone) {
      a->dialer_ = Dialer::tcp(loop, *a, r.proxy.host, r.proxy.port);
    } else if (!r.dial_host.empty()) {
      a->dialer_ = Dialer::tcp(loop, *a, r.dial_host, r.dial_port);
    } else {
      a->dialer_ = Dialer::tcp(loop, *a, r.host, r.port);
    }
  } catch (...) {
    delete a;
    throw;
  }
  if (e) {
    delete a;
    return e;
  }
  *out = a;
  return Error();
}

void Attempt::cancel() {
  sink_ = nullptr;
  if (dialer_ != nullptr) std::exchange(dialer_, nullptr)->cancel();
  loop_.retire(this);  // before the descriptor goes
  transport_.close();
  if (route_.fd >= 0) socket_close(std::exchange(route_.fd, -1));
}

void Attempt::abandon() {
  dialer_ = nullptr;
  cancel();
}

const char* Attempt::doing() const {
  switch (step_) {
    case Step::kDialing: return "connecting";
    case Step::kProxyTls: return "the proxy's TLS handshake";
    case Step::kTunnel: return "asking the proxy";
    case Step::kTls: break;
  }
  return "the TLS handshake";
}

// The descriptor that somebody else has connected.
void Attempt::on_deferred() {
  if (done()) return;
  const int fd = std::exchange(route_.fd, -1);
  Address peer;
  socket_peer_address(fd, &peer);
  on_dialed(fd, peer);
}

void Attempt::on_dial_failed(int error, int sys_errno, const char* detail) {
  dialer_ = nullptr;
  fail_with({error, sys_errno, detail}, 0);
}

void Attempt::on_dialed(int fd, const Address& peer) {
  dialer_ = nullptr;
  peer_ = peer;
  transport_ = Transport(fd);
  socket_set_nodelay(fd);
  if (loop_.watch(this, fd, kReadable)) return fail_with_last_detail(WS_ERR_IO);
  if (route_.proxy.kind == ProxyKind::kHttps) {
    step_ = Step::kProxyTls;
    if (!begin_tls(*route_.proxy_tls, route_.proxy.host, route_.proxy.port)) return;
  } else {
    enter_tunnel_or_tls();
  }
  advance();
}

// A session around what there is; nested, for wss through an https proxy.
bool Attempt::begin_tls(TlsContext& context, const String& name, uint16_t port) {
  const int fd = transport_.fd();
  TlsSession* session = nullptr;
  Error e = TlsSession::connect(context, loop_.tls_buffers(), std::move(transport_), name.c_str(),
                                port, &session);
  if (e) {
    fail_with_last_detail(e.code());
    return false;
  }
  transport_ = Transport(fd, session);
  return true;
}

void Attempt::enter_tunnel_or_tls() {
  if (done()) return;
  if (route_.proxy.kind == ProxyKind::kNone) return enter_tls_or_finish();
  step_ = Step::kTunnel;
  try {
    talk_ = make_proxy_talk(route_.proxy, route_.host, route_.port);
  } catch (const std::bad_alloc&) {
    fail_with({WS_ERR_NOMEM, 0, "out of memory for the proxy's request"}, 0);
  }
}

void Attempt::enter_tls_or_finish() {
  if (done()) return;
  if (!route_.tls) return finish();
  step_ = Step::kTls;
  begin_tls(*route_.tls, route_.tls_name, route_.port);
}

void Attempt::on_ready(uint32_t events) {
  if ((events & kWritable) != 0) {
    const IoResult r = transport_.flush();
    if (r.status != IoResult::kOk && !wait_for(r)) return;
  }
  advance();
}

// As far as it goes without waiting.
void Attempt::advance() {
  while (!done()) {
    switch (step_) {
      case Step::kDialing: return;
      case Step::kProxyTls:
        if (!shake_hands()) return;
        enter_tunnel_or_tls();
        break;
      case Step::kTunnel:
        if (!talk()) return;
        enter_tls_or_finish();
        break;
      case Step::kTls:
        if (!shake_hands()) return;
        finish();
        break;
    }
  }
}

// False: the attempt has failed.
bool Attempt::wait_for(const IoResult& r) {
  if (r.status != IoResult::kWouldBlock) {
    fail_with(transport_.fault(r, "the connection failed"), 0);
    return false;
  }
  uint32_t interest = transport_.read_waits() ? 0u : uint32_t{kReadable};
  const bool more_to_say =
      talk_ != nullptr && !talk_->output().empty() && !transport_.write_waits();
  if (transport_.unsent() != 0 || more_to_say) interest |= kWritable;
  if (loop_.set_interest(this, interest)) {
    fail_with_last_detail(WS_ERR_IO);
    return false;
  }
  return true;
}

bool Attempt::shake_hands() {
  const IoResult r = transport_.tls()->handshake();
  if (r.status == IoResult::kOk) return true;
  wait_for(r);
  return false;
}

// True when the tunnel stands.
bool Attempt::talk() {
  for (;;) {
    IoResult r{IoResult::kWouldBlock, 0, 0};
    while (!talk_->output().empty()) {
      r = transport_.write(talk_->output().data(), talk_->output().size());
      if (r.status != IoResult::kOk) return wait_for(r) && false;
      talk_->sent(r.bytes);
    }
    uint8_t answer[1024];
    r = transport_.read(answer, sizeof answer);
    ProxyTalk::Step step = ProxyTalk::Step::kMore;
    try {
      if (r.status == IoResult::kEof) {
        step = talk_->feed_eof();
      } else if (r.status != IoResult::kOk) {
        return wait_for(r) && false;
      } else {
        step = talk_->feed({answer, r.bytes});
      }
    } catch (const std::bad_alloc&) {
      fail_with({WS_ERR_NOMEM, 0, "out of memory for the proxy's answer"}, 0);
      return false;
    }
    if (step == ProxyTalk::Step::kFailed) {
      fail_with({WS_ERR_PROXY, 0, talk_->detail()}, talk_->status());
      return false;
    }
    if (step == ProxyTalk::Step::kDone) {
      talk_.reset();
      return true;
    }
  }
}

void Attempt::finish() {
  loop_.retire(this);
  std::exchange(sink_, nullptr)->on_connected(std::move(transport_), peer_);
}

void Attempt::fail_with(const TransportFault& fault, int status) {
  loop_.retire(this);
  if (sink_ != nullptr) std::exchange(sink_, nullptr)->on_connect_failed(fault, status);
  transport_.close();
}

void Attempt::fail_with_last_detail(int error) { fail_with({error, 0, last_detail()}, 0); }

}  // namespace libws

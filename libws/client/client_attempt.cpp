// Towards an open connection: the route, the attempt, the request.
#include "libws/client/client.hpp"

#include "libws/base/log.hpp"
#include "libws/client/basic_auth.hpp"
#include "libws/protocol/handshake.hpp"

#include <cstdio>
#include <cstdlib>
#include <new>

namespace libws {
namespace {

const char* environment(const char* name) { return std::getenv(name); }

}  // namespace

void Client::begin_attempt() {
  state_ = State::kConnecting;
  drop_conn();
  was_open_ = false;
  redirects_ = 0;
  ++number_;
  bool has_url = true;
  try {
    url_ = options_.url;
    url_text_ = url_.text();
  } catch (const std::bad_alloc&) {
    has_url = false;  // on_attempt comes before on_down
  }
  if (options_.on_attempt != nullptr) {
    call_user([this] { options_.on_attempt(to_handle(this), number_, options_.user); });
    if (freed_ || state_ != State::kConnecting) return;
  }
  if (!has_url) return failed(WS_ERR_NOMEM, 0, 0, "out of memory for the URL");
  try {
    if (options_.take_turns && wait_for_turn()) return;
  } catch (const std::bad_alloc&) {
    return failed(WS_ERR_NOMEM, 0, 0, "out of memory for a place in the line");
  }
  connect();
}

bool Client::wait_for_turn() {
  Proxy proxy;
  (void)find_proxy(&proxy).failed();  // find_route() tells
  const bool direct = proxy.kind == ProxyKind::kNone;
  char port[16];
  std::snprintf(port, sizeof port, " %u", unsigned{direct ? url_.port : proxy.port});
  String place = (direct ? url_.unix_path + url_.host : proxy.host) + port;
  waiting_turn_ = !ConnShared::of(loop_).connect_turns.take(turn_, std::move(place));
  return waiting_turn_;
}

void Client::connect() {
  waiting_turn_ = false;
  began_us_ = loop_.fresh_now_us();
  follow_route();
}

// Towards url_, also after a redirect: the deadline is that of the whole attempt.
void Client::follow_route() {
  const uint64_t timeout_us = options_.policy->limits.handshake_us;
  if (timeout_us != kNeverUs) loop_.arm(this, (began_us_ + timeout_us + 999) / 1000);
  Error e;
  try {
    loop_.log().write(WS_LOG_DEBUG, "client url=%s", url_text_.c_str());
    DialRoute route;
    e = find_route(&route);
    route.fd = fd_;
    if (!e) e = Attempt::start(loop_, *this, std::move(route), &attempt_);
    if (!e) fd_ = -1;
  } catch (const std::bad_alloc&) {
    e = fail(WS_ERR_NOMEM, "out of memory for an attempt");
  }
  if (e) failed(e.code(), 0, 0, last_detail());
}

Error Client::find_proxy(Proxy* out) const {
  *out = options_.proxy;
  const bool ask = out->kind == ProxyKind::kNone && options_.proxy_from_environment;
  return ask ? proxy_from_environment(url_, environment, out) : Error();
}

Error Client::find_route(DialRoute* out) {
  DialRoute& r = *out;
  // What was said about the server of the URL is not true of one that a redirect names.
  const bool as_configured = url_.same_origin(options_.url);
  r.unix_path = url_.unix_path;
  r.host = url_.host;
  r.port = url_.port;
  if (as_configured && r.unix_path.empty()) {
    r.dial_host = options_.dial_host;
    r.dial_port = options_.dial_port;
  }
  if (Error e = find_proxy(&r.proxy)) return e;
  if (r.proxy.kind != ProxyKind::kNone && !r.dial_host.empty()) {
    r.host = r.dial_host;  // the proxy is to dial it
    r.port = r.dial_port;
  }
  if (r.proxy.kind == ProxyKind::kHttps) {
    r.proxy_tls = options_.proxy_tls;
    if (Error e = default_tls(&r.proxy_tls)) return e;
  }
  if (!url_.secure) return Error();
  r.tls = options_.tls;
  r.tls_name = as_configured && !options_.tls_name.empty() ? options_.tls_name : url_.host;
  return default_tls(&r.tls);
}

// The system's roots take tens of milliseconds to load: the clients of a loop share them, and the
// first one that will need them loads them in ws_client_new().
Error Client::load_roots() {
  const bool for_server = options_.url.secure && !options_.tls;
  const bool for_proxy = options_.proxy.kind == ProxyKind::kHttps && !options_.proxy_tls;
  Ref<TlsContext> context;
  return for_server || for_proxy ? default_tls(&context) : Error();
}

Error Client::default_tls(Ref<TlsContext>* context) {
  if (*context) return Error();
  return ConnShared::of(loop_).default_tls(context);
}

void Client::on_connect_failed(const TransportFault& fault, int status) {
  attempt_ = nullptr;
  failed(fault.error, fault.sys_errno, status, fault.detail);
}

void Client::on_connected(Transport&& transport, const Address& peer) {
  attempt_ = nullptr;
  Error e;
  try {
    e = open_conn(std::move(transport), peer);
  } catch (const std::bad_alloc&) {
    e = fail(WS_ERR_NOMEM, "out of memory for a connection");
  }
  if (e) failed(e.code(), 0, 0, last_detail());
}

Error Client::open_conn(Transport&& transport, const Address& peer) {
  const Ref<Conn> conn =
      Ref<Conn>::adopt(new Conn(ConnShared::of(loop_), *this, options_.policy, Role::kClient,
                                std::move(transport), PackedAddress(peer)));
  conn->set_user(options_.user);
  const String authorization =
      url_.has_credentials ? basic_credentials(url_.user, url_.password) : String();
  const Vector<ws_header> headers = request_headers(authorization);
  Vector<const char*> subprotocols;
  for (const String& s : options_.subprotocols) subprotocols.push_back(s.c_str());
  const String host = url_.host_field();
  if (Error e = conn->start({host, url_.target, headers, subprotocols}, began_us_)) return e;
  loop_.disarm(this);  // the engine's timeout goes on from the same beginning
  conn_ = conn;
  state_ = State::kShaking;
  return Error();
}

Vector<ws_header> Client::request_headers(const String& authorization) const {
  const bool same = url_.same_origin(options_.url);
  bool authorized = false;
  Vector<ws_header> headers = options_.headers.views([&](std::string_view name) {
    const bool is_authorization = equals_ignore_case(name, "Authorization");
    if (!same && (is_authorization || equals_ignore_case(name, "Cookie"))) return false;
    authorized = authorized || is_authorization;
    return true;
  });
  if (!authorization.empty() && !authorized) {
    headers.push_back({"Authorization", authorization.c_str()});
  }
  return headers;
}

// The attempt is over before it was a connection.
void Client::failed(int error, int sys_errno, int status, const char* detail) {
  outcome_.set(error, sys_errno, status, detail);
  cancel_attempt();
  close_descriptor();
  loop_.disarm(this);
  state_ = State::kDown;
  loop_.defer(this);
}

}  // namespace libws

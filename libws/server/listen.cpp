// Listening: the descriptors a server accepts from.
#include "libws/server/server.hpp"

#include <fcntl.h>
#include <cerrno>
#include <new>

namespace libws {
namespace {

constexpr int kDefaultBacklog = 511;
constexpr uint32_t kDefaultUnixMode = 0600;

ListenOptions options_from(const ws_listen_config& c) {
  ListenOptions o;
  o.reuse_port = (c.flags & WS_LISTEN_REUSEPORT) != 0;
  o.v6_only = (c.flags & WS_LISTEN_V6ONLY) != 0;
  o.backlog = c.backlog != 0 ? static_cast<int>(c.backlog) : kDefaultBacklog;
  o.unix_mode = c.unix_mode != 0 ? c.unix_mode : kDefaultUnixMode;
  return o;
}

TlsContext* tls_of(const ws_listen_config& c) {
  return c.tls != nullptr ? from_handle<TlsContext>(c.tls) : nullptr;
}

// Errors: INVALID.  Throws std::bad_alloc.
Error read_proxies(const ws_listen_config& c, AddressBlocks* out) {
  if (c.proxy_from == nullptr && c.proxy_from_count != 0) {
    return fail(WS_ERR_INVALID, "listen: proxy_from is NULL");
  }
  if (((c.flags & WS_LISTEN_PROXY) != 0) != (c.proxy_from_count != 0)) {
    return fail(WS_ERR_INVALID, "listen: WS_LISTEN_PROXY and proxy_from need each other");
  }
  for (size_t i = 0; i < c.proxy_from_count; ++i) {
    if (c.proxy_from[i] == nullptr) return fail(WS_ERR_INVALID, "listen: NULL in proxy_from");
    if (Error e = out->add(c.proxy_from[i], "proxy_from")) return e;
  }
  return Error();
}

}  // namespace

Error check_server_tls(const TlsContext* tls) {
  return tls != nullptr ? tls->can_serve() : Error();
}

Error Server::listen(const ws_listen_config& c, Listener** out) {
  if (shutdown_ != nullptr) return fail(WS_ERR_STATE, "listen: shutting down");
  constexpr uint32_t kKnownFlags = WS_LISTEN_REUSEPORT | WS_LISTEN_V6ONLY | WS_LISTEN_PROXY;
  if ((c.flags & ~kKnownFlags) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "listen: unknown flags 0x%x", c.flags & ~kKnownFlags);
  }
  if (c.backlog > INT32_MAX) return fail(WS_ERR_INVALID, "listen: backlog %u", c.backlog);
  if (c.unix_mode > 0777) return fail(WS_ERR_INVALID, "listen: unix_mode 0%o", c.unix_mode);
  if (c.unix_path != nullptr && (c.host != nullptr || c.port != 0)) {
    return fail(WS_ERR_INVALID, "listen: unix_path and host or port exclude each other");
  }
  if (Error e = check_server_tls(tls_of(c))) return e;
  AddressBlocks proxies;
  if (Error e = read_proxies(c, &proxies)) return e;
  return c.unix_path != nullptr ? listen_unix(c, out) : listen_tcp(c, out);
}

Error Server::listen_tcp(const ws_listen_config& c, Listener** out) {
  Vector<Address> addresses;
  if (Error e = address_for_listening(c.host, c.port, &addresses)) return e;
  // A name may stand for several addresses; the first that works is the one.
  Error result = fail(WS_ERR_ADDR, "listen: no address");
  for (const Address& a : addresses) {
    int fd = -1;
    result = socket_listen(a, options_from(c), &fd);
    if (!result) return start_listener(fd, {}, c, out);
  }
  return result;
}

Error Server::listen_unix(const ws_listen_config& c, Listener** out) {
  Address address;
  if (Error e = address_unix(c.unix_path, &address)) return e;
  int fd = -1;
  if (Error e = socket_listen(address, options_from(c), &fd)) return e;
  return start_listener(fd, c.unix_path[0] == '@' ? "" : c.unix_path, c, out);
}

Error Server::listen_fd(int fd, const ws_listen_config& c, Listener** out) {
  if (shutdown_ != nullptr) return fail(WS_ERR_STATE, "listen_fd: shutting down");
  if (c.host != nullptr || c.port != 0 || c.unix_path != nullptr || c.unix_mode != 0 ||
      c.backlog != 0 || (c.flags & ~uint32_t{WS_LISTEN_PROXY}) != 0) {
    return fail(WS_ERR_INVALID, "listen_fd: only tls, WS_LISTEN_PROXY and proxy_from may be set");
  }
  if (Error e = check_server_tls(tls_of(c))) return e;
  AddressBlocks proxies;
  if (Error e = read_proxies(c, &proxies)) return e;
  if (Error e = socket_adopt_listening(fd)) return e;
  // On a copy, so that a failure leaves the caller's descriptor to the caller.
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_errno(WS_ERR_IO, errno, "listen_fd");
  if (Error e = start_listener(copy, {}, c, out)) return e;
  socket_close(fd);
  return Error();
}

// The configuration was checked.
Error Server::start_listener(int fd, std::string_view unix_path, const ws_listen_config& c,
                             Listener** out) {
  Listener* listener = nullptr;
  AddressBlocks proxies;
  try {
    if (Error e = read_proxies(c, &proxies)) {
      socket_close(fd);
      return e;
    }
    listeners_.reserve(listeners_.size() + 1);
    listener = new Listener(loop_, *this, fd, unix_path);
  } catch (const std::bad_alloc&) {
    socket_close(fd);
    return fail(WS_ERR_NOMEM, "listen");
  }
  if (Error e = listener->start()) {
    listener->close();
    return e;
  }
  listener->set_tls(Ref<TlsContext>::share(tls_of(c)));
  listener->set_proxies(std::move(proxies));
  listeners_.push_back(listener);
  if (out != nullptr) *out = listener;
  return Error();
}

void Server::close_listener(Listener* listener) {
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (listeners_[i] != listener) continue;
    listeners_.erase(listeners_.begin() + static_cast<ptrdiff_t>(i));
    listener->close();
    return;
  }
}

void Server::close_listeners() {
  for (Listener* l : listeners_) l->close();
  listeners_.clear();
}

}  // namespace libws

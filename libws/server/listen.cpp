// Listening: the descriptors a server accepts from.
#include "libws/server/listen.hpp"

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

// The first socket picks the port if that is 0; the others follow it there.
Error open_at(Address a, const ws_listen_config& c, std::span<int> fds) {
  ListenOptions options = options_from(c);
  if (fds.size() > 1) options.reuse_port = true;
  for (size_t i = 0; i < fds.size(); ++i) {
    Error e = socket_listen(a, options, &fds[i]);
    Address local;
    if (!e && i == 0 && a.family() != AF_UNIX && socket_local_address(fds[0], &local)) {
      a.set_port(local.port());
    }
    if (!e) continue;
    while (i != 0) socket_close(fds[--i]);
    return e;
  }
  return Error();
}

Error open_tcp(const ws_listen_config& c, std::span<int> fds) {
  Vector<Address> addresses;
  if (Error e = address_for_listening(c.host, c.port, &addresses)) return e;
  // A name may stand for several addresses; the first that works is the one.
  Error result = fail(WS_ERR_ADDR, "listen: no address");
  for (const Address& a : addresses) {
    result = open_at(a, c, fds);
    if (!result) break;
  }
  return result;
}

}  // namespace

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

Error check_server_tls(const TlsContext* tls) {
  return tls != nullptr ? tls->can_serve() : Error();
}

TlsContext* listen_tls(const ws_listen_config& c) {
  return c.tls != nullptr ? from_handle<TlsContext>(c.tls) : nullptr;
}

std::string_view listen_file(const ws_listen_config& c) {
  return c.unix_path == nullptr || c.unix_path[0] == '@' ? "" : c.unix_path;
}

Error check_listen(const ws_listen_config& c) {
  constexpr uint32_t kKnownFlags = WS_LISTEN_REUSEPORT | WS_LISTEN_V6ONLY | WS_LISTEN_PROXY;
  if ((c.flags & ~kKnownFlags) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "listen: unknown flags 0x%x", c.flags & ~kKnownFlags);
  }
  if (c.backlog > INT32_MAX) return fail(WS_ERR_INVALID, "listen: backlog %u", c.backlog);
  if (c.unix_mode > 0777) return fail(WS_ERR_INVALID, "listen: unix_mode 0%o", c.unix_mode);
  if (c.unix_path != nullptr && (c.host != nullptr || c.port != 0)) {
    return fail(WS_ERR_INVALID, "listen: unix_path and host or port exclude each other");
  }
  AddressBlocks proxies;
  if (Error e = read_proxies(c, &proxies)) return e;
  return check_server_tls(listen_tls(c));
}

Error check_listen_fd(const ws_listen_config& c) {
  if (c.host != nullptr || c.port != 0 || c.unix_path != nullptr || c.unix_mode != 0 ||
      c.backlog != 0 || (c.flags & ~uint32_t{WS_LISTEN_PROXY}) != 0) {
    return fail(WS_ERR_INVALID, "listen_fd: only tls, WS_LISTEN_PROXY and proxy_from may be set");
  }
  return check_listen(c);
}

Error open_listening(const ws_listen_config& c, std::span<int> fds) {
  if (c.unix_path == nullptr) return open_tcp(c, fds);
  Address address;
  if (Error e = address_unix(c.unix_path, &address)) return e;
  return open_at(address, c, fds);
}

Error copy_listening(int fd, int* out) {
  if (Error e = socket_adopt_listening(fd)) return e;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_errno(WS_ERR_IO, errno, "listen_fd");
  *out = copy;
  return Error();
}

Error Server::may_listen(const char* what) const {
  if (shutdown_ != nullptr) return fail(WS_ERR_STATE, "%s: shutting down", what);
  if (keeper_ != nullptr) return fail(WS_ERR_STATE, "%s: a pool's server; the pool listens", what);
  return Error();
}

Error Server::listen(const ws_listen_config& c, Listener** out) {
  if (Error e = may_listen("listen")) return e;
  if (Error e = check_listen(c)) return e;
  int fd = -1;
  if (Error e = open_listening(c, {&fd, 1})) return e;
  return start_listener(fd, listen_file(c), c, out);
}

Error Server::listen_fd(int fd, const ws_listen_config& c, Listener** out) {
  if (Error e = may_listen("listen_fd")) return e;
  if (Error e = check_listen_fd(c)) return e;
  // On a copy, so that a failure leaves the caller's descriptor to the caller.
  int copy = -1;
  if (Error e = copy_listening(fd, &copy)) return e;
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
  listener->set_tls(Ref<TlsContext>::share(listen_tls(c)));
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

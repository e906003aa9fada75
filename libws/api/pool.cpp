#include "libws/server/pool.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/api/loop.hpp"
#include "libws/api/server.hpp"
#include "libws/protocol/limits.hpp"

#include <libws/pool.h>

using namespace libws;

namespace {

constexpr uint32_t kMaxThreads = 1024;

Pool* impl(const ws_pool* p) { return from_handle<Pool>(p); }
PoolListener* impl(const ws_pool_listener* ln) { return from_handle<PoolListener>(ln); }

TlsContext* context(ws_tls* tls) { return tls != nullptr ? from_handle<TlsContext>(tls) : nullptr; }

// Each loop and each server reads its config for itself, so that threads share nothing of it.
Error make_part(const ws_pool_config& c, Pool::Part* out) {
  if (Error e = make_loop(c.loop, &out->loop)) return e;
  ws_server_config server;
  if (Error e = read_config(c.server, &server, "ws_server_config")) return e;
  return read_server_options(server, &out->options);
}

// A loop that never ran has to be told that nobody will.
void drop_parts(Vector<Pool::Part>& parts) {
  for (Pool::Part& part : parts) {
    if (part.loop != nullptr) (void)part.loop->shut_down().failed();
  }
}

Error make_pool(const ws_pool_config& c, Vector<Pool::Part>& parts, Pool** out) {
  const uint32_t threads = c.threads != 0 ? c.threads : processors();
  if (threads > kMaxThreads) {
    return fail(WS_ERR_INVALID, "pool: %u threads, at most %u", threads, kMaxThreads);
  }
  parts.reserve(threads);
  for (uint32_t i = 0; i < threads; ++i) {
    if (Error e = make_part(c, &parts.emplace_back())) return e;
  }
  PoolHooks hooks;
  hooks.on_start = c.on_start;
  hooks.on_stop = c.on_stop;
  hooks.user = c.user;
  return Pool::start(parts, hooks, out);
}

}  // namespace

int ws_pool_new(const ws_pool_config* cfg, ws_pool** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    ws_pool_config c;
    if (Error e = read_config(cfg, &c, "ws_pool_config")) return e;
    Vector<Pool::Part> parts;
    Pool* pool = nullptr;
    Error e;
    try {
      e = make_pool(c, parts, &pool);
    } catch (const std::bad_alloc&) {
      e = fail(WS_ERR_NOMEM, "pool");
    }
    drop_parts(parts);
    if (!e) *out = to_handle(pool);
    return e;
  });
}

int ws_pool_free(ws_pool* p) {
  return guarded([&] { return p != nullptr ? impl(p)->free() : Error(); });
}

int ws_pool_listen(ws_pool* p, const ws_listen_config* cfg, ws_spread spread,
                   ws_pool_listener** out) {
  return guarded([&] {
    if (p == nullptr) return null_argument("pool");
    ws_listen_config c;
    if (Error e = read_config(cfg, &c, "ws_listen_config")) return e;
    const int number = number_in(spread);
    if (number != WS_SPREAD_HANDOVER && number != WS_SPREAD_REUSEPORT) {
      return fail(WS_ERR_INVALID, "listen: spread %d", number);
    }
    PoolListener* listener = nullptr;
    if (Error e = impl(p)->listen(c, spread, &listener)) return e;
    if (out != nullptr) *out = to_handle(listener);
    return Error();
  });
}

int ws_pool_listen_fd(ws_pool* p, int fd, ws_tls* tls, ws_pool_listener** out) {
  return guarded([&] {
    if (p == nullptr) return null_argument("pool");
    PoolListener* listener = nullptr;
    if (Error e = impl(p)->listen_fd(fd, context(tls), &listener)) return e;
    if (out != nullptr) *out = to_handle(listener);
    return Error();
  });
}

int ws_pool_set_tls(ws_pool_listener* ln, ws_tls* tls) {
  return guarded([&] {
    if (ln == nullptr) return null_argument("listener");
    if (Error e = check_server_tls(context(tls))) return e;
    impl(ln)->set_tls(Ref<TlsContext>::share(context(tls)));
    return Error();
  });
}

uint16_t ws_pool_port(const ws_pool_listener* ln) {
  return ln != nullptr ? impl(ln)->port() : uint16_t{0};
}

size_t ws_pool_listener_fds(const ws_pool_listener* ln, int* fds, size_t room) {
  return ln != nullptr ? impl(ln)->descriptors(fds, room) : 0;
}

void ws_pool_leave_file(ws_pool_listener* ln) {
  if (ln != nullptr) impl(ln)->leave_file();
}

ws_loop* ws_pool_loop(const ws_pool* p, uint32_t index) {
  PoolWorker* w = p != nullptr ? impl(p)->worker(index) : nullptr;
  return w != nullptr ? w->loop().handle() : nullptr;
}

ws_server* ws_pool_server(const ws_pool* p, uint32_t index) {
  PoolWorker* w = p != nullptr ? impl(p)->worker(index) : nullptr;
  return w != nullptr ? to_handle(&w->server()) : nullptr;
}

uint32_t ws_pool_size(const ws_pool* p) { return p != nullptr ? impl(p)->size() : 0; }

size_t ws_pool_count(const ws_pool* p) { return p != nullptr ? impl(p)->count() : 0; }

int ws_pool_post(ws_pool* p, ws_task_fn fn, void* arg) {
  return guarded([&] {
    if (p == nullptr) return null_argument("pool");
    if (fn == nullptr) return null_argument("fn");
    return impl(p)->post(fn, arg);
  });
}

int ws_pool_shutdown(ws_pool* p, const ws_drain* how, void (*done)(ws_pool* p, void* arg),
                     void* arg) {
  return guarded([&] {
    if (p == nullptr) return null_argument("pool");
    DrainOptions options;
    if (Error e = read_drain(how, &options)) return e;
    return impl(p)->shut_down(std::move(options), done, arg);
  });
}

void ws_pool_stop(ws_pool* p) {
  if (p != nullptr) impl(p)->stop();
}

int ws_pool_wait(ws_pool* p) {
  return guarded([&] { return p != nullptr ? impl(p)->wait() : null_argument("pool"); });
}

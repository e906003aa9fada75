// A pool's listeners: opening them from outside, and who gets the next connection.
#include "libws/server/listen.hpp"
#include "libws/server/pool_accept.hpp"

#include <cstdio>
#include <new>

namespace libws {
namespace {

// A call on a worker's thread that somebody waits for.
class Call final : public PostedTask {
 public:
  Call(Error (*fn)(void* arg), void* arg) : PostedTask(run, this), fn_(fn), arg_(arg) {}

  Error wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    return code_ < 0 ? fail(code_, "%s", detail_) : Error();
  }

 private:
  static void run(ws_loop*, void* self, int cancelled) {
    auto* call = static_cast<Call*>(self);
    Error e;
    try {
      e = cancelled ? fail(WS_ERR_STATE, "listen: the pool is stopping") : call->fn_(call->arg_);
    } catch (const std::bad_alloc&) {
      e = fail(WS_ERR_NOMEM, "listen");
    }
    std::lock_guard<std::mutex> lock(call->mutex_);
    call->code_ = e.code();
    std::snprintf(call->detail_, sizeof call->detail_, "%s", e ? last_detail() : "");
    call->done_ = true;
    call->changed_.notify_one();  // with the mutex: the caller takes all this off its stack
  }

  Error (*fn_)(void* arg);
  void* arg_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  int code_ = 0;
  char detail_[256] = "";
};

struct StartArgs {
  PoolAcceptor* acceptor;
  int fd;
  std::string_view file;
};

Error start_acceptor(void* arg) {
  auto* a = static_cast<StartArgs*>(arg);
  return a->acceptor->start(std::exchange(a->fd, -1), a->file);
}

Error close_acceptor(void* arg) {
  static_cast<PoolAcceptor*>(arg)->close();
  return Error();
}

}  // namespace

// ---- PoolListener ----

PoolListener::PoolListener(Pool& pool, ws_spread spread, AddressBlocks proxies)
    : pool_(pool), spread_(spread), proxies_(std::move(proxies)) {}

PoolListener::~PoolListener() = default;

void PoolListener::set_tls(Ref<TlsContext> tls) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::swap(tls_, tls);
}

Ref<TlsContext> PoolListener::tls() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return tls_;
}

uint16_t PoolListener::port() const {
  std::lock_guard<std::mutex> lock(pool_.mutex());
  const int fd = acceptors_.front()->descriptor();
  Address local;
  return fd >= 0 && socket_local_address(fd, &local) ? local.port() : 0;
}

size_t PoolListener::descriptors(int* fds, size_t room) const {
  std::lock_guard<std::mutex> lock(pool_.mutex());
  size_t count = 0;
  for (const auto& a : acceptors_) {
    if (a->descriptor() < 0) continue;
    if (count < room) fds[count] = a->descriptor();
    ++count;
  }
  return count;
}

void PoolListener::leave_file() {
  std::lock_guard<std::mutex> lock(pool_.mutex());
  for (const auto& a : acceptors_) a->leave_file();
}

// ---- places ----

bool Pool::has_place() const {
  for (const auto& w : workers_) {
    if (w->has_place()) return true;
  }
  return false;
}

// Others take places at the same time, so the best may be full by now: then the next best is tried,
// and each round that fails had one place less to give.
PoolWorker* Pool::take_place() {
  const uint32_t n = size();
  for (;;) {
    const uint32_t first = next_worker_.load(std::memory_order_relaxed);
    PoolWorker* best = nullptr;
    for (uint32_t i = 0; i < n; ++i) {
      PoolWorker* w = workers_[(first + i) % n].get();
      if (w->has_place() && (best == nullptr || w->load() < best->load())) best = w;
    }
    if (best == nullptr) return nullptr;
    if (!best->take_place()) continue;
    next_worker_.store((best->index() + 1) % n, std::memory_order_relaxed);
    return best;
  }
}

void Pool::wake_acceptors(bool gone) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& l : listeners_) {
    for (const auto& a : l->acceptors_) a->wake(gone);
  }
}

// ---- listening ----

Error Pool::call(PoolWorker& worker, Error (*fn)(void* arg), void* arg) {
  Call call(fn, arg);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // From there on nobody would run it.
    if (worker.over_) return fail(WS_ERR_STATE, "listen: the pool is stopping");
    worker.loop_->post(call);
  }
  return call.wait();
}

Error Pool::listen(const ws_listen_config& c, ws_spread spread, PoolListener** out) {
  if (Error e = refuse_here("listen")) return e;
  if (Error e = check_listen(c)) return e;
  if (spread == WS_SPREAD_REUSEPORT && c.unix_path != nullptr) {
    return fail(WS_ERR_INVALID, "listen: a unix socket cannot be spread with REUSEPORT");
  }
  AddressBlocks proxies;
  if (Error e = read_proxies(c, &proxies)) return e;
  auto listener = std::make_unique<PoolListener>(*this, spread, std::move(proxies));
  listener->set_tls(Ref<TlsContext>::share(listen_tls(c)));
  Vector<int> fds(spread == WS_SPREAD_REUSEPORT ? workers_.size() : 1, -1);
  if (Error e = prepare(*listener, fds.size())) return e;
  if (Error e = open_listening(c, fds)) return e;
  return add(std::move(listener), fds, listen_file(c), out);
}

Error Pool::listen_fd(int fd, TlsContext* tls, PoolListener** out) {
  if (Error e = refuse_here("listen_fd")) return e;
  if (Error e = check_server_tls(tls)) return e;
  auto listener = std::make_unique<PoolListener>(*this, WS_SPREAD_HANDOVER, AddressBlocks());
  listener->set_tls(Ref<TlsContext>::share(tls));
  if (Error e = prepare(*listener, 1)) return e;
  int copy = -1;
  if (Error e = copy_listening(fd, &copy)) return e;
  if (Error e = add(std::move(listener), {&copy, 1}, {}, out)) return e;
  socket_close(fd);
  return Error();
}

// Everything that needs memory, so that opened sockets have somewhere to go.
Error Pool::prepare(PoolListener& listener, size_t sockets) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_ || running_ != workers_.size()) {
    return fail(WS_ERR_STATE, "listen: the pool is stopping");
  }
  listeners_.reserve(listeners_.size() + 1);
  for (size_t i = 0; i < sockets; ++i) {
    const size_t on = listener.spread() == WS_SPREAD_REUSEPORT ? i : next_acceptor_++ % size();
    listener.acceptors_.push_back(std::make_unique<PoolAcceptor>(listener, *workers_[on]));
  }
  return Error();
}

// A listener that failed stays in the list, closed: loops may still have tasks of its acceptors.
Error Pool::add(std::unique_ptr<PoolListener> listener, std::span<int> fds, std::string_view file,
                PoolListener** out) {
  PoolListener* added = listener.get();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    listeners_.push_back(std::move(listener));
  }
  Error result;
  for (size_t i = 0; i < fds.size(); ++i) {
    PoolAcceptor* acceptor = added->acceptors_[i].get();
    StartArgs args = {acceptor, fds[i], file};
    if (!result) result = call(acceptor->worker(), start_acceptor, &args);
    if (args.fd >= 0) socket_close(args.fd);
  }
  if (result) {
    const int code = result.code();
    const String why = last_detail();
    for (auto& a : added->acceptors_) (void)call(a->worker(), close_acceptor, a.get()).failed();
    return fail(code, "%s", why.c_str());
  }
  if (out != nullptr) *out = added;
  return Error();
}

// The list may grow meanwhile; what is added is not started any more, see PoolAcceptor::start().
void Pool::close_acceptors_of(const PoolWorker& worker) {
  for (size_t i = 0;; ++i) {
    PoolListener* listener;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (i == listeners_.size()) return;
      listener = listeners_[i].get();
    }
    for (auto& a : listener->acceptors_) {
      if (&a->worker() == &worker) a->close();
    }
  }
}

}  // namespace libws

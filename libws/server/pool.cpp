#include "libws/server/pool.hpp"

#include "libws/base/system.hpp"
#include "libws/server/pool_accept.hpp"
#include "libws/server/shutdown.hpp"

#include <cassert>
#include <cstdio>
#include <new>

namespace libws {
namespace {

thread_local const Pool* this_threads_pool = nullptr;

void name_this_thread(uint32_t index) {
#ifdef __linux__
  char name[16];
  std::snprintf(name, sizeof name, "ws-pool-%u", index % 10000000u);
  pthread_setname_np(pthread_self(), name);
#else
  (void)index;
#endif
}

// One of the calls of a ws_pool_post().
class EachTask final : public PostedTask {
 public:
  EachTask(ws_task_fn fn, void* arg) : PostedTask(run, this), fn_(fn), arg_(arg) {}

 private:
  static void run(ws_loop* l, void* self, int cancelled) {
    auto* task = static_cast<EachTask*>(self);
    ws_task_fn fn = task->fn_;
    void* arg = task->arg_;
    delete task;
    fn(l, arg, cancelled);
  }
  ws_task_fn fn_;
  void* arg_;
};

}  // namespace

// ---- workers ----

PoolWorker::PoolWorker(Pool& pool, uint32_t index, std::unique_ptr<Loop> loop,
                       ServerOptions options)
    : pool_(pool), index_(index), loop_(std::move(loop)) {
  try {
    // The first reference is the loop's, as of every server.
    server_ = Ref<Server>::share(new Server(*loop_, std::move(options)));
  } catch (const std::bad_alloc&) {
    (void)loop_->shut_down().failed();
    throw;
  }
  server_->set_keeper(this);
}

PoolWorker::~PoolWorker() { (void)loop_->shut_down().failed(); }

bool PoolWorker::take_place() {
  if (!open_.load(std::memory_order_relaxed)) return false;
  if (load_.fetch_add(1) < server_->max_connections()) return true;
  load_.fetch_sub(1);  // nobody was refused for this one
  return false;
}

void PoolWorker::give_place() {
  load_.fetch_sub(1);
  pool_.place_given(true);
}

// Only where there was none before can somebody have missed it.
void PoolWorker::return_place() {
  if (load_.fetch_sub(1) >= server_->max_connections()) pool_.place_given(false);
}

void PoolWorker::adopt(int fd, const Address& peer, TlsContext* tls, const AddressBlocks& proxies) {
  if (!server_->adopt(fd, peer, tls, proxies)) give_place();
}

void* PoolWorker::main(void* self) {
  static_cast<PoolWorker*>(self)->run();
  return nullptr;
}

void PoolWorker::run() {
  this_threads_pool = &pool_;
  name_this_thread(index_);
  const PoolHooks& hooks = pool_.hooks_;
  int result = WS_OK;
  if (hooks.on_start != nullptr) {
    result = hooks.on_start(loop_->handle(), to_handle(server_.get()), index_, hooks.user);
  }
  pool_.started(*this, result);
  if (result >= 0) {
    if (Error e = loop_->run()) pool_.failed(e, last_detail());
  }
  closed_ = true;
  pool_.close_acceptors_of(*this);
  (void)loop_->shut_down().failed();
  {
    std::lock_guard<std::mutex> lock(pool_.mutex());
    over_ = true;
  }
  (void)loop_->shut_down().failed();  // for calls that came in between
  if (result >= 0 && hooks.on_stop != nullptr) hooks.on_stop(loop_->handle(), index_, hooks.user);
  pool_.ended();
}

// Whatever this thread accepted is with its worker by now, so what the last of these starts finds
// every connection in its place.
void PoolWorker::run_close(ws_loop*, void* self, int cancelled) {
  auto* w = static_cast<PoolWorker*>(self);
  if (cancelled) return;
  w->closed_ = true;
  w->pool_.close_acceptors_of(*w);
  w->pool_.worker_closed();
}

void PoolWorker::run_drain(ws_loop*, void* self, int cancelled) {
  auto* w = static_cast<PoolWorker*>(self);
  if (cancelled) return;
  bool begun = false;
  try {
    begun = !w->server_->drain(w->pool_.drain_, Pool::on_drained, &w->pool_).failed();
  } catch (const std::bad_alloc&) {
    w->loop_->log().write(WS_LOG_ERROR, "shutdown: out of memory, connections are dropped");
  }
  if (begun) return;
  w->server_->abort_all();
  w->pool_.worker_drained();
}

// ---- start and end ----

Pool::~Pool() = default;

Error Pool::start(Vector<Part>& parts, const PoolHooks& hooks, Pool** out) {
  std::unique_ptr<Pool> pool(new Pool(hooks));
  for (Part& part : parts) {
    const auto index = static_cast<uint32_t>(pool->workers_.size());
    pool->workers_.push_back(
        std::make_unique<PoolWorker>(*pool, index, std::move(part.loop), std::move(part.options)));
  }
  if (Error e = pool->start_threads()) return e;
  *out = pool.release();
  return Error();
}

Error Pool::start_threads() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (auto& w : workers_) {
    ++starting_;
    ++running_;
    if (int e = sys().start_joinable(&w->thread_, PoolWorker::main, w.get())) {
      --starting_;
      --running_;
      if (failure_ == 0) failure_ = fail_errno(WS_ERR_IO, e, "pool: thread %u", w->index_).code();
      std::snprintf(failure_detail_, sizeof failure_detail_, "%s", last_detail());
      break;
    }
    w->has_thread_ = true;
  }
  changed_.wait(lock, [&] { return starting_ == 0; });
  if (failure_ == 0) return Error();
  lock.unlock();
  stop();
  join();
  settle();
  return fail(failure_, "%s", failure_detail_);
}

void Pool::started(const PoolWorker& worker, int result) {
  std::lock_guard<std::mutex> lock(mutex_);
  --starting_;
  if (result < 0 && failure_ == 0) {
    failure_ = result;
    std::snprintf(failure_detail_, sizeof failure_detail_, "pool: on_start of loop %u returned %d",
                  worker.index(), result);
  }
  changed_.notify_all();
}

void Pool::failed(Error how, const char* detail) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failure_ == 0) {
      failure_ = how.code();
      std::snprintf(failure_detail_, sizeof failure_detail_, "pool: a loop failed: %s", detail);
    }
  }
  stop();
}

void Pool::ended() {
  std::lock_guard<std::mutex> lock(mutex_);
  --running_;
  changed_.notify_all();
}

bool Pool::here() const { return this_threads_pool == this; }

Error Pool::refuse_here(const char* what) const {
  if (!here()) return Error();
  return fail(WS_ERR_REENTRANT, "%s: called on a thread of the pool", what);
}

void Pool::stop() {
  for (auto& w : workers_) w->loop_->stop();
}

Error Pool::wait() {
  if (Error e = refuse_here("wait")) return e;
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [&] { return running_ == 0; });
  return failure_ == 0 ? Error() : fail(failure_, "%s", failure_detail_);
}

void Pool::join() {
  for (auto& w : workers_) {
    if (w->has_thread_) pthread_join(w->thread_, nullptr);
    w->has_thread_ = false;
  }
}

// What was posted to a loop after its thread had ended; such a task may post another.
void Pool::settle() {
  for (bool again = true; again;) {
    again = false;
    for (auto& w : workers_) {
      if (!w->loop_->posts_waiting()) continue;
      (void)w->loop_->shut_down().failed();
      again = true;
    }
  }
}

Error Pool::free() {
  if (Error e = refuse_here("free")) return e;
  stop();
  join();
  settle();
  delete this;
  return Error();
}

// ---- any thread ----

size_t Pool::count() const {
  size_t sum = 0;
  for (const auto& w : workers_) sum += w->server_->count();
  return sum;
}

Error Pool::post(ws_task_fn fn, void* arg) {
  Vector<std::unique_ptr<EachTask>> tasks;
  for (size_t i = 0; i < workers_.size(); ++i) tasks.push_back(std::make_unique<EachTask>(fn, arg));
  for (size_t i = 0; i < workers_.size(); ++i) workers_[i]->loop_->post(*tasks[i].release());
  return Error();
}

Error Pool::shut_down(DrainOptions how, void (*done)(ws_pool*, void*), void* arg) {
  if (Error e = check_drain(how)) return e;
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_ || running_ != workers_.size()) {
    return fail(WS_ERR_STATE, "shutdown: already under way");
  }
  closing_ = true;
  drain_ = std::move(how);
  done_ = done;
  done_arg_ = arg;
  to_close_ = to_drain_ = workers_.size();
  for (auto& w : workers_) w->loop_->post(w->close_task_);
  return Error();
}

void Pool::worker_closed() {
  if (to_close_.fetch_sub(1) != 1) return;
  for (auto& w : workers_) w->loop_->post(w->drain_task_);
}

void Pool::worker_drained() {
  if (to_drain_.fetch_sub(1) != 1) return;
  if (done_ != nullptr) done_(to_handle(this), done_arg_);
  stop();
}

void Pool::on_drained(ws_server*, void* pool) { static_cast<Pool*>(pool)->worker_drained(); }

}  // namespace libws

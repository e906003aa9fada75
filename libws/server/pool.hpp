// N loops on N threads, each with a server, and the listeners that feed them.
//
//   PoolListener   one address: a PoolAcceptor for each socket, which lives on one worker's loop
//   PoolAcceptor   takes a place at a worker, accepts, hands the descriptor to that worker
//   PoolWorker     loop, server and thread; knows how many connections it has or was promised
//
// Places are taken before a connection is accepted, so that no limit is ever passed and what cannot
// be served waits in the kernel.  An acceptor that finds no place pauses and says so (waiting_);
// the next connection that goes, on whichever thread, wakes all that wait.
//
// Workers are made before the first thread starts and die after the last has been joined; listeners
// and acceptors live as long.  So any thread may follow any pointer among them.
#pragma once

#include "libws/server/server.hpp"

#include <libws/pool.h>

#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>

namespace libws {

class Pool;
class PoolAcceptor;

struct PoolHooks {
  int (*on_start)(ws_loop* l, ws_server* s, uint32_t index, void* user) = nullptr;
  void (*on_stop)(ws_loop* l, uint32_t index, void* user) = nullptr;
  void* user = nullptr;
};

class PoolWorker final : public PlaceKeeper, public Allocated {
 public:
  // Throws std::bad_alloc.
  PoolWorker(Pool& pool, uint32_t index, std::unique_ptr<Loop> loop, ServerOptions options);
  ~PoolWorker();

  Loop& loop() const { return *loop_; }
  Server& server() const { return *server_; }
  uint32_t index() const { return index_; }

  // ---- places; Thread: any ----
  size_t load() const { return load_.load(); }
  bool has_place() const {
    return open_.load(std::memory_order_relaxed) && load() < server_->max_connections();
  }
  bool take_place();
  void give_place();    // the connection is gone
  void return_place();  // none came for it
  // Listeners are not started any more.  On the worker's thread.
  bool closed() const { return closed_; }
  // Gives a connection to this worker, whose place was taken; here: this is its thread.
  void adopt(int fd, const Address& peer, TlsContext* tls, const AddressBlocks& proxies);

  // PlaceKeeper
  void on_place_free() override { give_place(); }
  void on_no_more_places() override { open_.store(false, std::memory_order_relaxed); }

 private:
  friend class Pool;
  static void* main(void* self);
  void run();
  static void run_close(ws_loop*, void* self, int cancelled);
  static void run_drain(ws_loop*, void* self, int cancelled);

  Pool& pool_;
  const uint32_t index_;
  std::unique_ptr<Loop> loop_;
  Ref<Server> server_;
  pthread_t thread_{};
  bool has_thread_ = false;  // to be joined
  bool closed_ = false;
  bool over_ = false;  // nothing posted will run any more; with the pool's mutex
  std::atomic<size_t> load_{0};
  std::atomic<bool> open_{true};
  PostedTask close_task_{run_close, this};
  PostedTask drain_task_{run_drain, this};
};

class PoolListener final : public Allocated {
 public:
  PoolListener(Pool& pool, ws_spread spread, AddressBlocks proxies);
  ~PoolListener();

  Pool& pool() const { return pool_; }
  ws_spread spread() const { return spread_; }
  const AddressBlocks& proxies() const { return proxies_; }

  // ---- Thread: any ----
  void set_tls(Ref<TlsContext> tls);
  Ref<TlsContext> tls() const;
  uint16_t port() const;
  size_t descriptors(int* fds, size_t room) const;
  void leave_file();

 private:
  friend class Pool;
  Pool& pool_;
  const ws_spread spread_;
  const AddressBlocks proxies_;
  mutable std::mutex mutex_;  // tls_
  Ref<TlsContext> tls_;
  Vector<std::unique_ptr<PoolAcceptor>> acceptors_;
};

class Pool final : public Allocated {
 public:
  struct Part {
    std::unique_ptr<Loop> loop;
    ServerOptions options;
  };
  // Takes the loops out of `parts` as far as it comes.  Errors: IO, NOMEM, on_start's own.  Throws
  // std::bad_alloc before a thread was started.
  static Error start(Vector<Part>& parts, const PoolHooks& hooks, Pool** out);

  // ---- the public calls of pool.h, same contracts ----
  Error free();
  Error listen(const ws_listen_config& config, ws_spread spread, PoolListener** out);
  Error listen_fd(int fd, TlsContext* tls, PoolListener** out);
  Error post(ws_task_fn fn, void* arg);
  Error shut_down(DrainOptions how, void (*done)(ws_pool*, void*), void* arg);
  void stop();
  Error wait();
  size_t count() const;
  uint32_t size() const { return static_cast<uint32_t>(workers_.size()); }
  PoolWorker* worker(uint32_t i) const { return i < size() ? workers_[i].get() : nullptr; }

  // ---- for acceptors and workers ----
  // A place at the worker with the fewest connections; null: none has one.
  PoolWorker* take_place();
  bool has_place() const;
  void acceptor_waits() { waiting_.fetch_add(1); }
  void acceptor_goes_on() { waiting_.fetch_sub(1); }
  // `gone`: with a connection, so that there is a descriptor too.
  void place_given(bool gone) {
    if (waiting_.load() != 0) wake_acceptors(gone);
  }
  std::mutex& mutex() const { return mutex_; }

 private:
  friend class PoolWorker;
  friend struct std::default_delete<Pool>;
  explicit Pool(const PoolHooks& hooks) : hooks_(hooks) {}
  ~Pool();

  // workers' threads
  void started(const PoolWorker& worker, int result);
  void failed(Error how, const char* detail);
  void ended();
  void worker_closed();
  void worker_drained();
  void close_acceptors_of(const PoolWorker& worker);
  static void on_drained(ws_server*, void* pool);

  void wake_acceptors(bool gone);
  bool here() const;  // on one of the threads
  Error call(PoolWorker& worker, Error (*fn)(void* arg), void* arg);
  Error add(std::unique_ptr<PoolListener> listener, std::span<int> fds, std::string_view file,
            PoolListener** out);
  Error prepare(PoolListener& listener, size_t sockets);
  Error refuse_here(const char* what) const;
  Error start_threads();
  void join();
  void settle();

  const PoolHooks hooks_;
  Vector<std::unique_ptr<PoolWorker>> workers_;  // as they are from before the first thread
  std::atomic<uint32_t> next_worker_{0};         // first choice among equals
  std::atomic<uint32_t> waiting_{0};             // acceptors that found no place

  mutable std::mutex mutex_;  // what follows
  std::condition_variable changed_;
  Vector<std::unique_ptr<PoolListener>> listeners_;
  uint32_t next_acceptor_ = 0;
  size_t starting_ = 0;  // on_start has not returned
  size_t running_ = 0;   // threads that have not called on_stop
  int failure_ = 0;      // the first on_start's, or loop's
  char failure_detail_[256] = "";
  bool closing_ = false;  // shut_down() was called

  // shut_down(); written before the tasks that read them are posted
  DrainOptions drain_;
  void (*done_)(ws_pool*, void*) = nullptr;
  void* done_arg_ = nullptr;
  std::atomic<size_t> to_close_{0}, to_drain_{0};
};

LIBWS_HANDLE(Pool, ws_pool);
LIBWS_HANDLE(PoolListener, ws_pool_listener);

}  // namespace libws

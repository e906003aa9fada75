// Accepting for a pool: one listening socket, on the loop of one worker.
#pragma once

#include "libws/server/pool.hpp"

namespace libws {

// A descriptor on its way to another worker's loop.  Made before the connection is accepted, so
// that handing it over cannot fail; a loop that stops closes what was handed to it.
class Handed final : public PostedTask {
 public:
  Handed() : PostedTask(run, this, true) {}
  ~Handed();
  void send(PoolWorker& to, int fd, const Address& peer, const PoolListener& of);

 private:
  static void run(ws_loop* l, void* self, int cancelled);

  PoolWorker* to_ = nullptr;
  int fd_ = -1;
  Address peer_;
  const PoolListener* of_ = nullptr;  // which the pool keeps to its end
  Ref<TlsContext> tls_;
};

class PoolAcceptor final : public AcceptSink, public Allocated {
 public:
  PoolAcceptor(PoolListener& of, PoolWorker& on) : of_(of), on_(on) {}
  ~PoolAcceptor();

  // ---- on the worker's thread ----
  // Owns fd from here on.  Errors: IO, NOMEM.
  Error start(int fd, std::string_view file);
  void close();
  PoolWorker& worker() const { return on_; }

  // AcceptSink
  void on_accept(Listener& from, int fd, const Address& peer) override;
  bool can_accept() override;
  uint32_t retry_ms() const override;
  void on_batch_end(Listener& from) override;
  void close_listener(Listener*) override { close(); }

  // ---- with the pool's mutex; Thread: any ----
  // `gone`: a connection went, so that descriptors may be had again.
  void wake(bool gone);
  int descriptor() const { return fd_; }  // -1: closed
  void leave_file();

 private:
  static void run_resume(ws_loop*, void* self, int cancelled);
  void give_back();

  PoolListener& of_;
  PoolWorker& on_;
  Listener* listener_ = nullptr;
  PoolWorker* place_ = nullptr;  // taken for what is accepted next
  std::unique_ptr<Handed> spare_;
  bool no_memory_ = false;
  int fd_ = -1;                       // written with the pool's mutex
  std::atomic<bool> failing_{false};  // the system refused: a place alone does not help
  std::atomic<bool> waiting_{false};
  std::atomic<bool> posted_{false};  // resume_ is on its way
  PostedTask resume_{run_resume, this};
};

}  // namespace libws

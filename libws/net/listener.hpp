// Accepting sockets and handing them on.  Backs off when descriptors run out, without a busy
// loop, and goes on as soon as some are free again.
#pragma once

#include "libws/net/address_block.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/socket.hpp"
#include "libws/net/tls_context.hpp"

#include <sys/types.h>
#include <sys/un.h>
#include <atomic>
#include <string_view>

namespace libws {

class Listener;

// Who takes the sockets.
class AcceptSink {
 public:
  // Takes ownership of fd.
  virtual void on_accept(Listener& from, int fd, const Address& peer) = 0;
  // False: the sink is full; the listener pauses until resume(), or for retry_ms() if that is not
  // 0. True: on_accept() may follow, or on_batch_end() when nobody was waiting.
  virtual bool can_accept() = 0;
  virtual uint32_t retry_ms() const { return 0; }
  // What was waiting has been accepted, or the listener has paused.
  virtual void on_batch_end(Listener&) {}
  // Somebody who only has the listener wants it closed and forgotten.
  virtual void close_listener(Listener* listener) = 0;

 protected:
  ~AcceptSink() = default;
};

class Listener final : public Watcher, public Allocated {
 public:
  // Owns fd from the start, also when starting fails; it cannot throw, so only a failed operator
  // new leaves fd with the caller.  `unix_path` (may be empty) is removed at close if the file is
  // still the one we made.
  Listener(Loop& loop, AcceptSink& sink, int fd, std::string_view unix_path) noexcept;

  // Errors: IO, NOMEM; close() is still the caller's to call.
  Error start();
  // Stops, closes the descriptor and retires; the object is gone at the end of the turn.
  void close();
  // The same in the child of a fork: the socket's file is the parent's.
  void abandon();
  // The sink has room again, or descriptors were freed: accept now instead of at the back-off's
  // end.
  void resume();

  // Its socket's file is somebody else's from now on: close() leaves it.  Thread: any.
  void leave_file() { file_left_.store(true, std::memory_order_relaxed); }

  AcceptSink& sink() const { return sink_; }
  bool paused() const { return paused_; }
  bool failing() const { return failing_; }        // the system refused; a timer tries again
  int listening_fd() const { return listen_fd_; }  // -1 after close()
  // For sockets accepted from now on; null: plain.
  void set_tls(Ref<TlsContext> tls) { tls_ = std::move(tls); }
  TlsContext* tls() const { return tls_.get(); }
  // Who may connect, beginning with a PROXY protocol header; empty: everybody, without one.
  void set_proxies(AddressBlocks proxies) { proxies_ = std::move(proxies); }
  const AddressBlocks& proxies() const { return proxies_; }
  uint16_t port() const;  // 0 for unix, or after close()

  void on_ready(uint32_t events) override;
  void on_timeout() override;
  void on_retired() override;

 private:
  ~Listener() override;
  void pause(uint32_t retry_ms);  // 0: until resume()
  void out_of_resources(int sys_errno);
  void accept_batch();
  void remove_socket_file();

  Loop& loop_;
  AcceptSink& sink_;
  Ref<TlsContext> tls_;
  AddressBlocks proxies_;
  int listen_fd_;
  char unix_path_[sizeof(sockaddr_un::sun_path)] = {};  // empty: no file of ours
  dev_t unix_dev_ = 0;
  ino_t unix_ino_ = 0;
  std::atomic<bool> file_left_{false};
  bool paused_ = false;
  bool failing_ = false;  // from the first failed accept until the kernel's queue was emptied
};

}  // namespace libws

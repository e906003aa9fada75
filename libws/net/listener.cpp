// A listener is level-triggered like everything else, so each state in which connections wait but
// cannot be taken must remove its interest, or the loop would spin: no descriptors left (a timer
// tries again), and a full sink (resume() ends it).
#include "libws/net/listener.hpp"

#include "libws/base/system.hpp"

#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace libws {
namespace {

// Accepted in one wake-up; then the connections there already are get their turn.
constexpr int kAcceptsPerTurn = 64;

// Short enough that nobody notices once descriptors are free, long enough to cost nothing.
constexpr uint32_t kRetryMs = 100;

}  // namespace

Listener::Listener(Loop& loop, AcceptSink& sink, int fd, std::string_view unix_path) noexcept
    : loop_(loop), sink_(sink), listen_fd_(fd) {
  if (unix_path.empty() || unix_path[0] == '@' || unix_path.size() >= sizeof unix_path_) return;
  std::memcpy(unix_path_, unix_path.data(), unix_path.size());
  // The file, not the name, is ours: by the time we close, a successor may have replaced it.
  struct stat file;
  if (lstat(unix_path_, &file) == 0 && S_ISSOCK(file.st_mode)) {
    unix_dev_ = file.st_dev;
    unix_ino_ = file.st_ino;
  } else {
    unix_path_[0] = '\0';
  }
}

Listener::~Listener() {
  if (listen_fd_ >= 0) socket_close(listen_fd_);
}

Error Listener::start() { return loop_.watch(this, listen_fd_, kReadable); }

void Listener::close() {
  if (retired()) return;
  loop_.retire(this);
  remove_socket_file();
  socket_close(listen_fd_);
  listen_fd_ = -1;
}

void Listener::abandon() {
  unix_path_[0] = '\0';
  close();
}

void Listener::remove_socket_file() {
  if (unix_path_[0] == '\0' || file_left_.load(std::memory_order_relaxed)) return;
  struct stat file;
  if (lstat(unix_path_, &file) == 0 && file.st_dev == unix_dev_ && file.st_ino == unix_ino_) {
    ::unlink(unix_path_);  // not the list node's
  }
  unix_path_[0] = '\0';
}

uint16_t Listener::port() const {
  Address local;
  return listen_fd_ >= 0 && socket_local_address(listen_fd_, &local) ? local.port() : 0;
}

void Listener::on_ready(uint32_t) {
  accept_batch();
  if (!retired()) sink_.on_batch_end(*this);
}

void Listener::accept_batch() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    if (!sink_.can_accept()) return pause(sink_.retry_ms());
    int fd = -1;
    Address peer;
    IoResult r = socket_accept(listen_fd_, &fd, &peer);
    if (r.status == IoResult::kWouldBlock) {
      failing_ = false;
      return;
    }
    if (r.status == IoResult::kFailed) return out_of_resources(r.sys_errno);
    sink_.on_accept(*this, fd, peer);
    if (retired()) return;  // it closed us; the object lives until the end of the turn
  }
}

// One line an episode, and an episode ends only when nobody is waiting any more: a server at its
// limit gets a descriptor back, takes one connection, and is out of them again, many times a
// second.
void Listener::out_of_resources(int sys_errno) {
  if (!failing_) {
    failing_ = true;
    Error reason = fail_errno(WS_ERR_IO, sys_errno, "accept");
    (void)reason;
    loop_.log().write(WS_LOG_WARN, "%s; trying again every %u ms", last_detail(), kRetryMs);
  }
  pause(kRetryMs);
}

void Listener::pause(uint32_t retry_ms) {
  paused_ = true;
  // Unwatching cannot fail, and this happens rarely enough.
  loop_.unwatch(this);
  if (retry_ms != 0) loop_.arm(this, loop_.now_ms() + retry_ms);
}

void Listener::resume() {
  if (!paused_ || retired()) return;
  loop_.disarm(this);
  if (Error e = loop_.watch(this, listen_fd_, kReadable)) {
    loop_.arm(this, loop_.fresh_now_ms() + kRetryMs);
    return;
  }
  paused_ = false;
}

void Listener::on_timeout() { resume(); }

void Listener::on_retired() { delete this; }

}  // namespace libws

#include "libws/server/handover.hpp"

#include "libws/net/socket_pass.hpp"
#include "libws/server/handover_wire.hpp"

#include <new>

namespace libws {
namespace {

void append_name(Vector<uint8_t>& out, int fd) {
  char text[kMaxHandoverName + 1];
  socket_print_local(fd, text);
  const std::string_view name = text;
  out.push_back(static_cast<uint8_t>(name.size()));
  out.insert(out.end(), name.begin(), name.end());
}

}  // namespace

// ---- the offer ----

Error Handover::start(const char* path) {
  Address address;
  if (Error e = address_unix(path, &address)) return e;
  size_t count = options_.listeners.size();
  for (PoolListener* l : options_.pool_listeners) count += l->descriptors(nullptr, 0);
  if (count == 0) return fail(WS_ERR_INVALID, "handover: there is nothing to hand over");
  if (count > WS_HANDOVER_MAX) {
    return fail(WS_ERR_TOO_BIG, "handover: %zu sockets, at most %d", count, WS_HANDOVER_MAX);
  }
  int fd = -1;
  if (Error e = socket_listen(address, ListenOptions(), &fd)) return e;
  door_ = new (std::nothrow) Listener(loop_, *this, fd, path);
  if (door_ == nullptr) {
    socket_close(fd);
    return fail(WS_ERR_NOMEM, "handover");
  }
  return door_->start();
}

void Handover::let_go() {
  if (linked()) unlink();
  if (taker_ != nullptr) std::exchange(taker_, nullptr)->end();
}

void Handover::free() {
  let_go();
  if (door_ != nullptr) door_->close();
  delete this;
}

void Handover::on_loop_abandoned() {
  let_go();
  if (door_ != nullptr) door_->abandon();
  delete this;
}

// ---- a taker ----

void Handover::on_accept(Listener&, int fd, const Address&) {
  taker_ = new (std::nothrow) Taker(*this, fd);
  if (taker_ == nullptr) {
    socket_close(fd);
    return loop_.log().write(WS_LOG_ERROR, "handover: out of memory");
  }
  if (!socket_peer_is_trusted(fd)) return taker_failed("it is another user's");
  Error e;
  try {
    e = send_to(fd);
  } catch (const std::bad_alloc&) {
    e = fail(WS_ERR_NOMEM, "out of memory");
  }
  if (!e) e = taker_->start();
  if (e) return taker_failed(last_detail());
  loop_.arm(taker_, loop_.now_ms() + options_.timeout_ms);
}

// Asked for now, because sockets may have been closed since the offer was made.
Error Handover::send_to(int fd) {
  int fds[WS_HANDOVER_MAX];
  size_t count = 0;
  for (Listener* l : options_.listeners) {
    if (l->listening_fd() >= 0) fds[count++] = l->listening_fd();
  }
  for (PoolListener* l : options_.pool_listeners) {
    count += l->descriptors(fds + count, WS_HANDOVER_MAX - count);
  }
  if (count == 0) return fail(WS_ERR_STATE, "there is nothing to hand over any more");
  Vector<uint8_t> message(kHandoverMagic.begin(), kHandoverMagic.end());
  message.push_back(static_cast<uint8_t>(count));
  for (size_t i = 0; i < count; ++i) append_name(message, fds[i]);
  return socket_send_fds(fd, message, {fds, count});
}

void Handover::taker_failed(const char* why) {
  loop_.log().write(WS_LOG_WARN, "handover: the process that asked has failed: %s", why);
  std::exchange(taker_, nullptr)->end();
  door_->resume();
}

// The path is free before the taker is told so: it makes its own offer there.
void Handover::promised() {
  for (Listener* l : options_.listeners) l->leave_file();
  for (PoolListener* l : options_.pool_listeners) l->leave_file();
  std::exchange(door_, nullptr)->close();
}

void Handover::taken() {
  std::exchange(taker_, nullptr)->end();
  options_.on_taken(options_.user);  // which may free this
}

Handover::Taker::~Taker() {
  if (fd_ >= 0) socket_close(fd_);
}

Error Handover::Taker::start() { return owner_->loop_.watch(this, fd_, kReadable); }

void Handover::Taker::end() {
  Loop& loop = owner_->loop_;
  owner_ = nullptr;
  loop.retire(this);
  socket_close(std::exchange(fd_, -1));
}

// A taker that is gone by now has promised to serve, so that does not matter any more.
void Handover::Taker::answer() {
  const IoResult r = socket_write(fd_, &kHandoverTaken, 1);
  if (r.status == IoResult::kWouldBlock && !owner_->loop_.set_interest(this, kWritable)) return;
  owner_->taken();
}

void Handover::Taker::on_ready(uint32_t) {
  if (promised_) return answer();
  uint8_t word = 0;
  const IoResult r = socket_read(fd_, &word, 1);
  if (r.status == IoResult::kWouldBlock) return;
  if (r.status != IoResult::kOk) return owner_->taker_failed("it ended before it was ready");
  if (word != kHandoverReady) return owner_->taker_failed("it does not speak our protocol");
  promised_ = true;
  owner_->loop_.disarm(this);
  owner_->promised();
  answer();
}

void Handover::Taker::on_timeout() { owner_->taker_failed("it was not ready in time"); }

}  // namespace libws

#include "libws/server/pool_accept.hpp"

#include <cassert>
#include <new>

namespace libws {
namespace {

// Without memory to hand a connection over, as the listener waits when descriptors are short.
constexpr uint32_t kRetryMs = 100;

}  // namespace

// ---- Handed ----

Handed::~Handed() {
  if (fd_ >= 0) socket_close(fd_);
}

void Handed::send(PoolWorker& to, int fd, const Address& peer, const PoolListener& of) {
  to_ = &to;
  fd_ = fd;
  peer_ = peer;
  of_ = &of;
  tls_ = of.tls();
  to.loop().post(*this);
}

// In the child of a fork there is no loop to speak of, and no pool.
void Handed::run(ws_loop* l, void* self, int cancelled) {
  std::unique_ptr<Handed> handed(static_cast<Handed*>(self));
  if (l == nullptr) return;
  if (cancelled) return handed->to_->give_place();
  handed->to_->adopt(std::exchange(handed->fd_, -1), handed->peer_, handed->tls_.get(),
                     handed->of_->proxies());
}

// ---- PoolAcceptor ----

PoolAcceptor::~PoolAcceptor() { assert(listener_ == nullptr); }

Error PoolAcceptor::start(int fd, std::string_view file) {
  if (on_.closed()) {
    socket_close(fd);
    return fail(WS_ERR_STATE, "listen: the pool is stopping");
  }
  listener_ = new (std::nothrow) Listener(on_.loop(), *this, fd, file);
  if (listener_ == nullptr) {
    socket_close(fd);
    return fail(WS_ERR_NOMEM, "listen");
  }
  if (Error e = listener_->start()) {
    std::exchange(listener_, nullptr)->close();
    return e;
  }
  std::lock_guard<std::mutex> lock(of_.pool().mutex());
  fd_ = fd;
  return Error();
}

void PoolAcceptor::close() {
  if (listener_ == nullptr) return;
  {
    std::lock_guard<std::mutex> lock(of_.pool().mutex());
    fd_ = -1;
    if (waiting_.exchange(false)) of_.pool().acceptor_goes_on();
    std::exchange(listener_, nullptr)->close();
  }
  give_back();
}

bool PoolAcceptor::can_accept() {
  no_memory_ = false;
  if (place_ == nullptr) {
    if (of_.spread() == WS_SPREAD_HANDOVER) {
      place_ = of_.pool().take_place();
    } else if (on_.take_place()) {
      place_ = &on_;
    }
  }
  if (place_ == nullptr) return false;
  if (place_ == &on_ || spare_ != nullptr) return true;
  spare_.reset(new (std::nothrow) Handed);
  no_memory_ = spare_ == nullptr;
  return !no_memory_;
}

uint32_t PoolAcceptor::retry_ms() const { return no_memory_ ? kRetryMs : 0; }

void PoolAcceptor::on_accept(Listener&, int fd, const Address& peer) {
  PoolWorker* to = std::exchange(place_, nullptr);
  if (to == &on_) return on_.adopt(fd, peer, of_.tls().get(), of_.proxies());
  spare_.release()->send(*to, fd, peer, of_);
}

void PoolAcceptor::give_back() {
  if (place_ != nullptr) std::exchange(place_, nullptr)->return_place();
}

void PoolAcceptor::on_batch_end(Listener& from) {
  give_back();
  if (!from.paused()) return;
  // Whoever ends a connection from here on sees it; who did before has left a place to be seen.
  failing_.store(no_memory_ || from.failing());
  if (!waiting_.exchange(true)) of_.pool().acceptor_waits();
  const bool place = of_.spread() == WS_SPREAD_HANDOVER ? of_.pool().has_place() : on_.has_place();
  if (!place) return;
  std::lock_guard<std::mutex> lock(of_.pool().mutex());
  wake(false);
}

void PoolAcceptor::wake(bool gone) {
  if (!gone && failing_.load()) return;
  if (!waiting_.exchange(false)) return;
  of_.pool().acceptor_goes_on();
  if (!posted_.exchange(true)) on_.loop().post(resume_);
}

void PoolAcceptor::run_resume(ws_loop*, void* self, int cancelled) {
  auto* acceptor = static_cast<PoolAcceptor*>(self);
  acceptor->posted_.store(false);
  if (!cancelled && acceptor->listener_ != nullptr) acceptor->listener_->resume();
}

void PoolAcceptor::leave_file() {
  if (fd_ >= 0) listener_->leave_file();
}

}  // namespace libws

#include "libws/conn/conn.hpp"

#include <cassert>

namespace libws {
namespace {

std::atomic<uint64_t> next_id{1};

// What a connection holds is told in units of so many bytes.
constexpr uint64_t kHeldUnit = 64;

// Something that holds what *how names for as long as the connection wants it: the route's, which
// all its connections share, or a copy.  Null: out of memory.
Ref<ConnPolicy> keep_policy(AcceptOptions* how) {
  ConnPolicy* p = how->policy;
  if (p != nullptr && (how->limits == nullptr || how->limits == &p->limits) &&
      (how->handlers == nullptr || how->handlers == &p->handlers)) {
    return Ref<ConnPolicy>::share(p);
  }
  p = new (std::nothrow) ConnPolicy();
  if (p == nullptr) return {};
  if (how->limits != nullptr) {
    p->limits = *how->limits;
    how->limits = &p->limits;
  }
  if (how->handlers != nullptr) {
    p->handlers = *how->handlers;
    how->handlers = &p->handlers;
  }
  return Ref<ConnPolicy>::adopt(p);
}

}  // namespace

Conn::Conn(ConnShared& shared, ConnOwner& owner, Ref<ConnPolicy> policy, Role role,
           Transport&& transport, const PackedAddress& peer)
    : shared_(Ref<ConnShared>::share(&shared)),
      policy_(std::move(policy)),
      owner_(&owner),
      id_(next_id.fetch_add(1, std::memory_order_relaxed)),
      peer_(peer),
      transport_(std::move(transport)),
      engine_(role, policy_->limits, shared.resources, false) {
  managed_ = managed_by_policy();
  use_handlers(&policy_->handlers);
}

Conn::~Conn() {
  assert(attachments_ == nullptr);
  transport_.close();
  delete backlog_;
}

void Conn::use_handlers(const ws_handlers* handlers) {
  handlers_ = handlers;
  engine_.set_chunks(handlers->on_chunk != nullptr);
  engine_.set_rooms(handlers->on_room != nullptr && handlers->on_message != nullptr);
}

void Conn::take_policy(Ref<ConnPolicy> own, const AcceptOptions& how) {
  own_policy_ = std::move(own);
  if (how.handlers != nullptr) use_handlers(how.handlers);
  if (how.limits == nullptr) return;
  managed_ = managed_by_policy();
  const uint32_t changed = how.limits->flags ^ policy_->limits.flags;
  if ((changed & WS_CONN_NAGLE) != 0) {
    socket_set_nodelay(transport_.fd(), (how.limits->flags & WS_CONN_NAGLE) == 0);
  }
}

Error Conn::start(uint64_t began_us) {
  if (Error e = watch()) return e;
  engine_.began_at(began_us);
  arm_timer();
  return Error();
}

Error Conn::start(const OpenRequest& open, uint64_t began_us) {
  use_clock();
  if (Error e = engine_.start_client(open)) return e;
  if (Error e = watch()) return e;
  engine_.began_at(began_us);
  arm_timer();
  tell_later();
  return Error();
}

Error Conn::watch() {
  use_clock();
  if ((policy_->limits.flags & WS_CONN_NAGLE) == 0) socket_set_nodelay(transport_.fd());
  if (Error e = loop().watch(this, transport_.fd(), kReadable)) return e;
  loop().connection_added();
  ref();
  return Error();
}

void Conn::use_clock() { resources().now_us = loop().fresh_now_us(); }

void Conn::on_ready(uint32_t events) {
  resources().now_us = loop().now_us();
  if ((events & kWritable) != 0) {
    blocked_ = false;
    flush_transport();
    write_out();
  }
  if ((events & (kReadable | kHangup)) != 0) {
    read_in(events);
    if (blocked_ && transport_.write_waits()) blocked_ = false;
  }
  settle();
}

void Conn::on_timeout() {
  use_clock();
  engine_.tick();
  pump();
  settle();
}

void Conn::on_deferred() {
  use_clock();
  pump();
  if ((transport_.has_unread() || end_seen_) && wants_input()) read_in(0);
  settle();
}

// End of the turn: what other callbacks queued here.  No callback may run now, so what this finds
// out is told later.
void Conn::on_flush() {
  use_clock();
  write_out();
  if (blocked_ || uses_memory_) tell_memory();
  if (engine_.ended()) return tell_later();
  watch_what_is_wanted();
  arm_timer();
}

// After anything that ran inside the loop.
void Conn::settle() {
  if (retired()) return;
  write_out();
  // What most turns leave behind: everything is written, and what is watched and armed will do.
  if (engine_.at_rest() && !blocked_ && !gated_ && interest() == kReadable && armed() &&
      !transport_.has_unread()) {
    return;
  }
  // Once a turn: an application that refills the queue in on_drain must not hold the loop.
  if (backlog_ == nullptr && engine_.take_drained() && opened()) {
    call_back([this] {
      if (owner_ != nullptr) owner_->on_drained(*this);
      if (handlers_->on_drain != nullptr) handlers_->on_drain(to_handle(this), user_);
    });
    if (retired()) return;
    write_out();
  }
  // Writing may have failed, and a callback may have closed: tell before waiting.
  if (engine_.ended() && !closed_given_) pump();
  uint32_t want = engine_.want();
  if ((want & WS_WANT_CLOSE) != 0) return tear_down();
  if ((want & WS_WANT_EOF) != 0 && !write_ended_) {
    write_ended_ = true;
    transport_.end_writing();
    if (transport_.unsent() != 0) blocked_ = true;
  }
  tell_hold();
  tell_memory();
  if ((engine_.yielded() && !holding()) ||
      ((transport_.has_unread() || end_seen_) && wants_input())) {
    tell_later();
  }
  watch_what_is_wanted();
  arm_timer();
}

void Conn::watch_what_is_wanted() {
  tell_hold();
  uint32_t interest = wants_input() ? uint32_t{kReadable} : 0u;
  if (blocked_ && !transport_.write_waits()) interest |= kWritable;
  if (loop().set_interest(this, interest).failed()) {
    engine_.abort(WS_ERR_IO, 0, "the poller refused a change");
    tell_later();
  }
}

// The wheel is touched only when the deadline comes nearer; one that has moved away is found by
// the timer when it fires.  So a connection that receives a message a microsecond costs no
// timer work.
void Conn::arm_timer() {
  uint64_t deadline_us = engine_.take_deadline_us();
  if (uses_memory_) engine_.ask_again();
  if (deadline_us == kNeverUs) return;
  uint64_t deadline_ms = (deadline_us + 999) / 1000;
  if (!armed() || deadline_ms < this->deadline_ms()) loop().arm(this, deadline_ms);
}

void Conn::tell_memory() {
  if (!policy_->counts_memory) return;
  const uint64_t waiting = backlog_ != nullptr ? backlog_->held() : 0;
  tell_memory(engine_.held_at_most() + transport_.unsent() + waiting);
}

// Rarely called: what is written and delivered at once is never told.
void Conn::tell_memory(uint64_t bytes) {
  const uint64_t units = (bytes + kHeldUnit - 1) / kHeldUnit;
  const uint32_t now = units < UINT32_MAX ? static_cast<uint32_t>(units) : UINT32_MAX;
  if (now == memory_told_) return;
  const int64_t more = (int64_t{now} - int64_t{memory_told_}) * int64_t{kHeldUnit};
  memory_told_ = now;
  uses_memory_ = now != 0;
  if (uses_memory_) engine_.ask_again();
  if (owner_ != nullptr) owner_->on_memory(*this, more);
}

uint64_t Conn::memory_bytes() const {
  const uint64_t waiting = backlog_ != nullptr ? backlog_->held() : 0;
  return engine_.held_bytes() + transport_.unsent() + waiting;
}

void Conn::end_for_memory() {
  use_clock();
  drop_waiting();
  engine_.end_for_memory();
  tell_memory();
  tell_later();
}

void Conn::tell_later() { loop().defer(this); }

void Conn::tear_down() {
  assert(closed_given_);
  if (shared_->tracer != nullptr) shared_->tracer->forget(id_);
  inert_.store(true, std::memory_order_release);
  engine_.release_buffers();
  if (uses_memory_) tell_memory(0);
  loop().retire(this);
  // RFC 8446 6.1: our close_notify, when the peer ended first.  An aborted stream is not told
  // to be whole.
  if (secure() && engine_.closed_cleanly() && !write_ended_) transport_.end_writing();
  transport_.close();
  loop().connection_removed();
  if (owner_ != nullptr) std::exchange(owner_, nullptr)->on_gone(*this);
}

void Conn::detach(ConnAttachment& a) {
  ConnAttachment** at = &attachments_;
  while (*at != &a) at = &(*at)->next_;
  *at = a.next_;
}

ConnAttachment* Conn::attachment(const void* tag) const {
  ConnAttachment* a = attachments_;
  while (a != nullptr && a->tag() != tag) a = a->next_;
  return a;
}

void Conn::end_attachments() {
  while (ConnAttachment* a = attachments_) {
    attachments_ = a->next_;
    a->on_conn_ended();
  }
}

// Without an owner it is found on the list of deferred work only, where its end is told.
void Conn::disown() {
  owner_ = nullptr;
  if (!inert_.load(std::memory_order_relaxed)) tell_later();
}

// What a callback on the stack was given stays readable until on_retired().
void Conn::on_abandoned() {
  if (inert_.exchange(true, std::memory_order_release)) return;
  owner_ = nullptr;
  attachments_ = nullptr;  // their own loop member forgets them
  closed_given_ = true;
  engine_.abandon();
  loop().retire(this);
  transport_.close_descriptor();
  loop().connection_removed();
}

void Conn::on_retired() {
  drop_waiting();
  engine_.release_buffers();
  transport_.close();
  unref();
}

// Every call of the application begins here.  After the end there may be no loop and no clock.
Error Conn::enter(const char* what) {
  if (engine_.ended() || loop().abandoned()) {
    return fail(WS_ERR_CLOSED, "%s: the connection is closed", what);
  }
  use_clock();
  return Error();
}

Error Conn::close(uint16_t code, std::string_view reason) {
  if (Error e = enter("close")) return e;
  if (backlog_ != nullptr) {
    if (Error e = Engine::check_close(engine_.role(), code, reason)) return e;
    if (Error e = move_all()) return e;
  }
  if (Error e = engine_.close(code, reason)) return e;
  asked_to_close_ = true;
  // The answer must be read, and messages are dropped from here on, so a pause has no purpose.
  set_gate(gate_ & kMetered);
  hold_ended();
  output_queued(0);
  if (!pumping_) tell_later();  // to arm the timer, and to tell what needs no answer
  return Error();
}

Error Conn::turn_away(const char* why) {
  if (Error e = enter("turn away")) return e;
  if (Error e = engine_.turn_away(why)) return e;
  asked_to_close_ = true;
  if (!pumping_) tell_later();
  return Error();
}

Error Conn::set_chunks(bool on) {
  if (Error e = enter("set_chunks")) return e;
  if (on ? handlers_->on_chunk == nullptr : handlers_->on_message == nullptr) {
    return fail(WS_ERR_INVALID, "set_chunks: the handlers have no %s",
                on ? "on_chunk" : "on_message");
  }
  engine_.set_chunks(on);
  return Error();
}

void Conn::abort() {
  if (inert_.load(std::memory_order_relaxed)) return;
  use_clock();
  asked_to_close_ = true;
  engine_.abort(WS_ERR_CANCELLED, 0, "aborted by this side");
  drop_waiting();
  if (!pumping_) tell_later();
}

void Conn::get_stats(ws_conn_stats* out) const {
  out->messages_in = engine_.messages_in();
  out->messages_out = engine_.messages_out();
  out->bytes_in = bytes_in_;
  out->bytes_out = bytes_out_;
  out->messages_dropped = dropped_;
  out->rtt_us = engine_.rtt_us();
  if (backlog_ == nullptr) return;
  out->waiting_messages = backlog_->count();
  out->waiting_bytes = backlog_->bytes();
}

// Asked of the system each time: a copy would make every idle connection larger.
void Conn::print_local(char (&out)[kAddressTextBytes]) const {
  Address local;  // none
  if (transport_.fd() >= 0) socket_local_address(transport_.fd(), &local);
  address_print(local, out);
}

Error Conn::get_tls(ws_tls_info* out) {
  if ((closed_given_ && !pumping_) || inert_.load(std::memory_order_relaxed)) {
    return fail(WS_ERR_CLOSED, "get_tls: the connection is closed");
  }
  return transport_.info(out);
}

Error Conn::accept(const AcceptOptions& how) {
  if (Error e = enter("accept")) return e;
  Ref<ConnPolicy> own;
  AcceptOptions kept = how;
  if (how.handlers != nullptr || how.limits != nullptr) {
    own = keep_policy(&kept);
    if (!own) return fail(WS_ERR_NOMEM, "accept");
  }
  if (Error e = engine_.accept(kept)) return e;
  if (own) take_policy(std::move(own), kept);
  if (how.user != nullptr) user_ = how.user;
  if (!pumping_) tell_later();
  return Error();
}

void Conn::refuse(int status, const char* why) {
  if (engine_.ended() || loop().abandoned()) return;
  use_clock();
  engine_.refuse(status, why);
  if (!pumping_) tell_later();
}

Error Conn::respond(const Response& response) {
  if (Error e = enter("respond")) return e;
  if (Error e = engine_.respond(response)) return e;
  if (!pumping_) tell_later();
  return Error();
}

}  // namespace libws

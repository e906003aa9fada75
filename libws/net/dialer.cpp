// One rule decides when an attempt begins: there is an address left, and `next_at_ms_` has come.
//
//   IPv4 answers first      now + kResolutionDelayMs          (RFC 8305 3)
//   IPv6 answers, or fails  now, if nothing was tried yet
//   an attempt has begun    now + kConnectionAttemptDelayMs   (RFC 8305 5)
//   an attempt has failed   now
//   a unix queue is full    now + a growing wait
//
// advance() is the only place that looks at it, in a loop: addresses that fail inside connect()
// cost no recursion, and there are at most 2 * kMaxAddressesPerFamily.
#include "libws/net/dialer.hpp"

#include "libws/base/log.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace libws {
namespace {

// These say nothing about the address.
int error_of(int sys_errno) {
  switch (sys_errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return WS_ERR_IO;
    default: return WS_ERR_CONNECT;
  }
}

}  // namespace

// A socket on its way.
class Dialer::Attempt final : public Watcher, public AttemptTag, public Allocated {
 public:
  Attempt(Dialer& dialer, int fd, const Address& to) noexcept
      : dialer_(dialer), socket_(fd), to_(to) {}
  ~Attempt() override {
    if (socket_ >= 0) socket_close(socket_);
  }

  const Address& to() const { return to_; }

  // Ends it; the socket is the caller's.
  int take_socket() {
    dialer_.loop_.retire(this);
    return std::exchange(socket_, -1);
  }

  void on_ready(uint32_t) override {
    IoResult result = socket_connect_result(socket_, to_);
    if (result.status != IoResult::kWouldBlock) dialer_.attempt_ended(this, result);
  }
  void on_timeout() override {}
  void on_retired() override { delete this; }

 private:
  Dialer& dialer_;
  int socket_;
  Address to_;
};

Dialer* Dialer::tcp(Loop& loop, DialSink& sink, std::string_view host, uint16_t port) {
  Resolver& resolver = loop.resolver();
  auto* dialer = new Dialer(loop, sink);
  dialer->port_ = port;
  Escaped name(host);
  bool v6_literal = host.find(':') != host.npos;
  std::snprintf(dialer->host_, sizeof host_, "%s", name.c_str());
  std::snprintf(dialer->target_, sizeof target_, v6_literal ? "[%s]:%u" : "%s:%u", name.c_str(),
                unsigned{port});
  try {
    // RFC 8305 3: the question for IPv6 first.
    dialer->lookups_[kV6] = resolver.start(*dialer, host, AF_INET6);
    dialer->lookups_[kV4] = resolver.start(*dialer, host, AF_INET);
  } catch (const std::bad_alloc&) {
    dialer->cancel_lookups();
    delete dialer;
    throw;
  }
  loop.add_member(dialer);
  return dialer;
}

Error Dialer::unix_socket(Loop& loop, DialSink& sink, const char* path, Dialer** out) {
  Address address;
  if (Error e = address_unix(path, &address)) return e;
  auto* dialer = new Dialer(loop, sink);
  dialer->unix_ = address;
  dialer->unix_due_ = true;
  Escaped name(path);
  std::snprintf(dialer->host_, sizeof host_, "unix:%s", name.c_str());
  std::snprintf(dialer->target_, sizeof target_, "unix:%s", name.c_str());
  loop.add_member(dialer);
  loop.defer(dialer);
  *out = dialer;
  return {};
}

void Dialer::cancel() { finish(); }

void Dialer::on_lookup(Lookup* lookup, const LookupAnswer& answer) {
  Which family = lookup == lookups_[kV6] ? kV6 : kV4;
  lookups_[family] = nullptr;
  log_lookup(family, answer);
  for (size_t i = 0; i < answer.count; ++i) {
    Address a = answer.addresses[i];
    a.set_port(port_);
    order_.add(a);
  }
  // A name that has only IPv4 addresses is the usual case, so that IPv6 has none says less than
  // why IPv4 could not be looked up.
  if (answer.error != WS_OK && (lookup_error_ == WS_OK || lookup_no_address_)) {
    lookup_error_ = answer.error;
    lookup_errno_ = answer.sys_errno;
    lookup_no_address_ = answer.no_such_address;
    std::snprintf(lookup_reason_, sizeof lookup_reason_, "%s", answer.reason);
  }
  if (!attempted_) {
    bool wait = family == kV4 && lookups_[kV6] != nullptr;
    next_at_ms_ = wait ? loop_.now_ms() + kResolutionDelayMs : 0;
  }
  advance();
}

Address Dialer::next() {
  if (!unix_due_) return order_.take();
  unix_due_ = false;
  return unix_;
}

void Dialer::advance() {
  if (stopping_) return;
  while (!finished_ && has_next()) {
    if (loop_.now_ms() < next_at_ms_) return loop_.arm(this, next_at_ms_);
    try_address(next());
  }
  if (finished_) return;
  loop_.disarm(this);
  bool looking_up = lookups_[kV6] != nullptr || lookups_[kV4] != nullptr;
  if (attempts_.empty() && !looking_up) give_up();
}

void Dialer::try_address(const Address& to) {
  attempted_ = true;
  next_at_ms_ = 0;
  int fd = -1;
  IoResult result = socket_connect(to, &fd);
  if (result.status == IoResult::kOk) return connected(fd, to);
  if (result.status == IoResult::kFailed) {
    if (result.sys_errno == EAGAIN && to.family() == AF_UNIX) {
      unix_due_ = true;
      next_at_ms_ = loop_.now_ms() + unix_wait_ms_;
      unix_wait_ms_ = std::min(unix_wait_ms_ * 2, kUnixRetryMaxMs);
      return log_address(to, "queue full, trying again");
    }
    return attempt_failed(to, error_of(result.sys_errno), result.sys_errno);
  }
  auto* attempt = new (std::nothrow) Attempt(*this, fd, to);
  if (attempt == nullptr) {
    socket_close(fd);
    return attempt_failed(to, WS_ERR_NOMEM, ENOMEM);
  }
  if (Error e = loop_.watch(attempt, fd, kWritable)) {
    int sys_errno = e.code() == WS_ERR_NOMEM ? ENOMEM : errno;
    delete attempt;
    return attempt_failed(to, e.code(), sys_errno);
  }
  attempts_.push_back(attempt);
  next_at_ms_ = loop_.now_ms() + kConnectionAttemptDelayMs;
  log_address(to, "connecting");
}

void Dialer::attempt_ended(Attempt* attempt, const IoResult& result) {
  Address to = attempt->to();
  attempts_.remove(attempt);
  int fd = attempt->take_socket();
  if (result.status == IoResult::kOk) return connected(fd, to);
  socket_close(fd);
  attempt_failed(to, error_of(result.sys_errno), result.sys_errno);
  next_at_ms_ = 0;
  advance();
}

void Dialer::attempt_failed(const Address& to, int error, int sys_errno) {
  char buffer[128];
  const char* reason = errno_text(sys_errno, buffer);
  log_address(to, reason);
  if (error != WS_ERR_CONNECT && local_error_ == WS_OK) {
    local_error_ = error;
    local_errno_ = sys_errno;
  }
  if (first_errno_ == 0) first_errno_ = sys_errno;

  char address[kAddressTextBytes];
  address_print(to, address);
  // Where the target is an address, it is not said twice.
  bool named = to.family() != AF_UNIX && std::strcmp(address, target_) != 0;
  size_t used = std::strlen(failures_);
  char one[kAddressTextBytes + 128];
  int n = std::snprintf(one, sizeof one, "%s%s%s%s", used != 0 ? "; " : "", named ? address : "",
                        named ? ": " : "", reason);
  constexpr char kMore[] = "; ...";
  if (failures_full_) return;
  failures_full_ = used + static_cast<size_t>(n) + sizeof kMore > sizeof failures_;
  std::snprintf(failures_ + used, sizeof failures_ - used, "%s", failures_full_ ? kMore : one);
}

void Dialer::connected(int fd, const Address& to) {
  log_address(to, "connected");
  finish();
  sink_.on_dialed(fd, to);
}

void Dialer::give_up() {
  char detail[sizeof target_ + sizeof failures_ + 16];
  finish();
  if (!attempted_) {
    std::snprintf(detail, sizeof detail, "look up %s: %s", host_, lookup_reason_);
    return sink_.on_dial_failed(lookup_error_, lookup_errno_, detail);
  }
  std::snprintf(detail, sizeof detail, "connect %s: %s", target_, failures_);
  if (local_error_ != WS_OK) return sink_.on_dial_failed(local_error_, local_errno_, detail);
  sink_.on_dial_failed(WS_ERR_CONNECT, first_errno_, detail);
}

void Dialer::cancel_lookups() {
  for (Lookup*& lookup : lookups_) {
    if (lookup != nullptr) loop_.resolver().cancel(std::exchange(lookup, nullptr));
  }
}

// The object is there until the end of the turn, but nothing calls it any more.
void Dialer::finish() {
  if (finished_) return;
  finished_ = true;
  cancel_lookups();
  while (Attempt* attempt = attempts_.pop_front()) {
    log_address(attempt->to(), "abandoned");
    socket_close(attempt->take_socket());
  }
  static_cast<LoopMember*>(this)->unlink();
  loop_.retire(this);
}

void Dialer::on_loop_abandoned() {
  finished_ = true;
  lookups_[kV6] = lookups_[kV4] = nullptr;  // they go with the resolver
  while (Attempt* attempt = attempts_.pop_front()) socket_close(attempt->take_socket());
  loop_.retire(this);
}

void Dialer::log_lookup(Which family, const LookupAnswer& answer) const {
  if (!loop_.log().enabled(WS_LOG_DEBUG)) return;
  const char* name = family == kV6 ? "ipv6" : "ipv4";
  if (answer.error != WS_OK) {
    loop_.log().write(WS_LOG_DEBUG, "dial host=%s %s: %s", host_, name, answer.reason);
  } else {
    loop_.log().write(WS_LOG_DEBUG, "dial host=%s %s: %zu addresses", host_, name, answer.count);
  }
}

void Dialer::log_address(const Address& to, const char* outcome) const {
  if (!loop_.log().enabled(WS_LOG_DEBUG)) return;
  char address[kAddressTextBytes];
  address_print(to, address);
  loop_.log().write(WS_LOG_DEBUG, "dial host=%s address=%s: %s", host_, address, outcome);
}

}  // namespace libws

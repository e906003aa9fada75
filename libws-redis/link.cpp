#include "link.hpp"

#ifdef __linux__
#include <linux/sockios.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>

namespace libws_redis {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
// One turn takes at most this much of one connection: others wait.
constexpr int kReadsPerTurn = 8, kWritesPerTurn = 16;

Address unix_address(const std::string& path) {
  Address address;
  auto* un = reinterpret_cast<sockaddr_un*>(&address.storage);
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path.c_str(), path.size() + 1);
  address.len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

}  // namespace

void Link::open() {
  close();
  state_ = State::kResolving;
  next_address_ = 0;
  addresses_.clear();
  if (!config_.url.path.empty()) {
    addresses_.push_back(unix_address(config_.url.path));
    return connect_next();
  }
  if (Failure f = lookup_.start(config_.url.host, config_.url.port)) return fail(f);
  if (lookup_.fd() < 0) return resolved();
  watch(lookup_.fd(), WS_WATCH_READ);
}

void Link::close() {
  state_ = State::kClosed;
  close_socket();
  lookup_.cancel();
  tls_.reset();
  reader_.reset();
  plain_ = std::string();
  wire_ = std::string();
  wire_sent_ = 0;
  heard_ = false;
  given_ = taken_ = 0;
}

void Link::close_socket() {
  ws_watch_free(watch_);
  watch_ = nullptr;
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void Link::fail(const Failure& failure) {
  if (state_ == State::kClosed) return;
  close();
  owner_.on_link_failed(failure);
}

bool Link::watch(int fd, uint32_t events) {
  wanted_ = events;
  int code = ws_watch_new(loop_, fd, events, on_watch, this, &watch_);
  if (code < 0) fail(fail_libws(code));
  return code >= 0;
}

void Link::want(uint32_t events) {
  if (wanted_ == events || watch_ == nullptr) return;
  wanted_ = events;
  int code = ws_watch_set(watch_, events);
  if (code < 0) fail(fail_libws(code));
}

// Called by C, which knows no exceptions.
void Link::on_watch(ws_watch*, uint32_t ready, void* user) {
  Link* link = static_cast<Link*>(user);
  try {
    link->on_ready(ready);
  } catch (const std::bad_alloc&) {
    link->fail({WS_ERR_NOMEM, "out of memory"});
  }
}

void Link::on_ready(uint32_t ready) {
  switch (state_) {
    case State::kClosed: return;
    case State::kResolving: return resolved();
    case State::kConnecting: return connect_finished();
    case State::kTls:
    case State::kLogin:
    case State::kReady: break;
  }
  if (ready & (WS_WATCH_READ | WS_WATCH_HANGUP)) receive();
  if (state_ != State::kClosed && (ready & WS_WATCH_WRITE)) flush();
}

// ---- connecting ----

void Link::resolved() {
  ws_watch_free(watch_);
  watch_ = nullptr;
  LookupResult result = lookup_.take();
  if (result.failure) return fail(result.failure);
  addresses_ = std::move(result.addresses);
  connect_next();
}

Failure Link::refused(const char* reason) const {
  const Url& url = config_.url;
  std::string where = url.path.empty() ? url.host + ":" + url.port : url.path;
  return libws_redis::fail(WS_ERR_CONNECT, "%s: %s", printable(where.data(), where.size()).c_str(),
                           reason);
}

void Link::connect_next() {
  Failure last = refused("no address");
  while (next_address_ < addresses_.size()) {
    last = connect_to(addresses_[next_address_++]);
    if (last) continue;
    state_ = State::kConnecting;
    watch(fd_, WS_WATCH_WRITE);
    return;
  }
  fail(last);
}

Failure Link::connect_to(const Address& address) {
  close_socket();
  fd_ = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) return refused(strerror(errno));
  if (address.storage.ss_family != AF_UNIX) {
    int on = 1;
    (void)setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  const auto* to = reinterpret_cast<const sockaddr*>(&address.storage);
  if (connect(fd_, to, address.len) == 0 || errno == EINPROGRESS) return {};
  return refused(strerror(errno));
}

void Link::connect_finished() {
  int error = 0;
  socklen_t len = sizeof error;
  if (getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
  if (error != 0) {
    close_socket();
    if (next_address_ < addresses_.size()) return connect_next();
    return fail(refused(strerror(error)));
  }
  reader_ = std::make_unique<Reader>(config_.max_message_bytes);
  if (config_.tls == nullptr) return login();
  state_ = State::kTls;
  tls_ = std::make_unique<Tls>();
  if (Failure f = tls_->start(*config_.tls, config_.url.host)) return fail(f);
  handshake();
}

void Link::handshake() {
  bool done = false;
  Failure failure = tls_->handshake(&done);
  tls_->take_wire(&wire_);  // an alert, when it failed
  if (failure) {
    (void)write_wire();
    return fail(failure);
  }
  if (done) return login();
  flush();
}

void Link::login() {
  state_ = State::kLogin;
  const Url& url = config_.url;
  login_replies_ = 1;
  if (!url.password.empty()) {
    ++login_replies_;
    if (url.user.empty()) {
      append_command(&out(), {"AUTH", url.password});
    } else {
      append_command(&out(), {"AUTH", url.user, url.password});
    }
  }
  if (!url.database.empty()) {
    ++login_replies_;
    append_command(&out(), {"SELECT", url.database});
  }
  append_command(&out(), {"PING"});  // refused where a password is missing
  flush();
}

// ---- reading ----

void Link::receive() {
  char data[kReadBytes];
  for (int i = 0; i < kReadsPerTurn; ++i) {
    ssize_t got = recv(fd_, data, sizeof data, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got < 0) return fail(libws_redis::fail(WS_ERR_IO, "Redis: %s", strerror(errno)));
    if (got == 0) return fail(libws_redis::fail(WS_ERR_EOF, "Redis closed the connection"));
    heard_ = true;
    size_t len = static_cast<size_t>(got);
    if (tls_ == nullptr) {
      take_plain(data, len);
    } else if (!take_wire(data, len)) {
      return;
    }
    if (state_ == State::kClosed || len < sizeof data) return;
  }
}

// False: closed.
bool Link::take_wire(const char* data, size_t len) {
  if (Failure f = tls_->feed(data, len)) return fail(f), false;
  if (state_ == State::kTls) handshake();
  if (state_ == State::kClosed || state_ == State::kTls) return state_ != State::kClosed;
  char plain[16 * 1024];  // a record
  for (;;) {
    size_t got = 0;
    bool ended = false;
    if (Failure f = tls_->read(plain, sizeof plain, &got, &ended)) return fail(f), false;
    if (ended) return fail({WS_ERR_EOF, "Redis closed the connection"}), false;
    if (got == 0) break;
    take_plain(plain, got);
    if (state_ == State::kClosed) return false;
  }
  // Reading may have made an answer: a key update.
  tls_->take_wire(&wire_);
  if (wire_.size() != wire_sent_) flush_soon();
  return state_ != State::kClosed;
}

void Link::take_plain(const char* data, size_t len) {
  if (!reader_->feed(data, len)) return fail({WS_ERR_NOMEM, "out of memory"});
  while (state_ != State::kClosed) {
    Reply reply;
    switch (reader_->next(&reply)) {
      case Reader::Got::kMore: return;
      case Reader::Got::kReply: take_reply(*reply); break;
      case Reader::Got::kTooBig:
        return fail({WS_ERR_TOO_BIG, "an answer of Redis exceeds max_message_bytes"});
      case Reader::Got::kBroken: {
        std::string why = reader_->error();
        return fail(libws_redis::fail(WS_ERR_PROTOCOL, "this is not Redis: %s",
                                      printable(why.data(), why.size()).c_str()));
      }
    }
  }
}

void Link::take_reply(const redisReply& reply) {
  if (state_ == State::kReady) return owner_.on_link_reply(*this, reply);
  std::string text = printable(text_of(reply).data(), text_of(reply).size());
  if (reply.type == REDIS_REPLY_ERROR) return fail(refused(text.c_str()));
  if (reply.type != REDIS_REPLY_STATUS) {
    return fail({WS_ERR_PROTOCOL, "this is not Redis: no status where one is due"});
  }
  if (--login_replies_ != 0) return;
  state_ = State::kReady;
  owner_.on_link_ready(*this);
}

// ---- writing ----

bool Link::moved() {
  bool moved = std::exchange(heard_, false);
  int queued = 0;
#ifdef SIOCOUTQ
  if (ioctl(fd_, SIOCOUTQ, &queued) != 0) queued = 0;
#endif
  // Where nothing waits any more, only an answer counts: the system takes a ping for a process that
  // hangs.
  int64_t taken = given_ - queued;
  if (taken > taken_ && (queued > 0 || unsent() != 0)) moved = true;
  taken_ = taken;
  return moved;
}

void Link::flush_soon() {
  if (unsent() != 0) want(WS_WATCH_READ | WS_WATCH_WRITE);
}

void Link::flush() {
  for (int i = 0; i < kWritesPerTurn; ++i) {
    if (!plain_.empty()) {
      if (Failure f = tls_->write(plain_)) return fail(f);
      plain_.clear();
      tls_->take_wire(&wire_);
    }
    if (!write_wire()) return;
    if (unsent() == 0 && state_ == State::kReady) owner_.on_link_room(*this);
    if (state_ == State::kClosed) return;
    if (unsent() == 0) return want(WS_WATCH_READ);
  }
  want(WS_WATCH_READ | WS_WATCH_WRITE);
}

// False: the socket takes no more now, or failed.
bool Link::write_wire() {
  while (wire_sent_ < wire_.size()) {
    ssize_t put = send(fd_, wire_.data() + wire_sent_, wire_.size() - wire_sent_, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      want(WS_WATCH_READ | WS_WATCH_WRITE);
      return false;
    }
    if (put < 0) {
      // What Redis said before it closed tells more, and a read is due: the hang-up is reported.
      int error = errno;
      receive();
      fail(libws_redis::fail(WS_ERR_IO, "Redis: %s", strerror(error)));
      return false;
    }
    wire_sent_ += static_cast<size_t>(put);
    given_ += put;
  }
  wire_.clear();
  wire_sent_ = 0;
  // A large message does not keep its room for ever.
  if (wire_.capacity() > 16 * kReadBytes) wire_ = std::string();
  return true;
}

}  // namespace libws_redis

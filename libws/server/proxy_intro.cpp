#include "libws/server/proxy_intro.hpp"

#include <cstring>

namespace libws {
namespace {

PackedAddress address_told(const ProxyHeader& header, const PackedAddress& proxy) {
  if (header.source == ProxyHeader::kSame) return proxy;
  PackedAddress a;
  if (header.source == ProxyHeader::kUnix) {
    a.family = PackedAddress::kUnix;
    return a;
  }
  const bool v4 = header.source == ProxyHeader::kV4;
  a = packed_ip(header.ip, v4 ? 4 : 16);
  std::memcpy(a.port, header.port, sizeof a.port);
  return a;
}

}  // namespace

ProxyIntro::~ProxyIntro() {
  if (socket_ >= 0) socket_close(socket_);
  release(stash_);
}

Error ProxyIntro::start(uint64_t timeout_us) {
  began_us_ = loop_.fresh_now_us();
  if (Error e = loop_.watch(this, socket_, kReadable)) return e;
  if (timeout_us != UINT64_MAX) loop_.arm(this, (began_us_ + timeout_us + 999) / 1000);
  return Error();
}

void ProxyIntro::close() {
  List<ProxyIntro, IntroLink>::remove(this);
  loop_.retire(this);
  if (socket_ >= 0) socket_close(std::exchange(socket_, -1));
}

void ProxyIntro::on_ready(uint32_t) {
  while (!retired() && step()) {
  }
}

void ProxyIntro::on_timeout() { failed("no PROXY protocol header in time"); }

// What is in the socket is looked at behind what was taken from it.  All of it is the header's
// while the header is not whole, so it is taken at once and a level-triggered poller is quiet
// again; of the last look only the header's end is taken.  False: nothing more for now.
bool ProxyIntro::step() {
  uint8_t data[kMaxProxyHeader];
  copy_bytes(data, stash_, stash_len_);
  const IoResult r = socket_peek(socket_, data + stash_len_, sizeof data - stash_len_);
  if (r.status != IoResult::kOk) {
    ended(r);
    return false;
  }
  ProxyHeader header;
  size_t used = 0;
  const char* why = "";
  const size_t seen = stash_len_ + r.bytes;
  const ProxyHeaderResult result = parse_proxy_header({data, seen}, &used, &header, &why);
  if (result == ProxyHeaderResult::kBad) {
    failed(why);
    return false;
  }
  const bool done = result == ProxyHeaderResult::kDone;
  const size_t wanted = (done ? used : seen) - stash_len_;
  size_t taken = 0;
  if (!take(data + stash_len_, wanted, &taken)) return false;
  if (done && taken == wanted) {
    hand_on(header);
    return false;
  }
  return keep(data + stash_len_, taken);
}

// What was just looked at, again; a system may give less of it.
bool ProxyIntro::take(uint8_t* data, size_t wanted, size_t* taken) {
  const IoResult r = socket_read(socket_, data, wanted);
  if (r.status != IoResult::kOk) {
    ended(r);
    return false;
  }
  *taken = r.bytes;
  return true;
}

bool ProxyIntro::keep(const uint8_t* data, size_t len) {
  auto* larger = static_cast<uint8_t*>(try_resize(stash_, stash_len_ + len));
  if (larger == nullptr) {
    failed("out of memory");
    return false;
  }
  stash_ = larger;
  std::memcpy(stash_ + stash_len_, data, len);
  stash_len_ += len;
  return true;
}

void ProxyIntro::ended(const IoResult& r) {
  if (r.status == IoResult::kWouldBlock) return;
  failed(stash_len_ != 0 ? "the PROXY protocol header was cut" : nullptr);
}

void ProxyIntro::failed(const char* why) {
  close();
  sink_.on_intro_failed(*this, why);
}

void ProxyIntro::hand_on(const ProxyHeader& header) {
  const int fd = std::exchange(socket_, -1);
  close();  // nobody watches the descriptor any more
  sink_.on_introduced(*this, fd, address_told(header, proxy_), began_us_);
}

}  // namespace libws

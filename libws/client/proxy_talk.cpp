#include "libws/client/proxy_talk.hpp"

#include <cassert>
#include <cstdarg>
#include <cstdio>

namespace libws {

void ProxyTalk::sent(size_t n) {
  assert(n <= out_.size() - sent_);
  sent_ += n;
}

ProxyTalk::Step ProxyTalk::feed(Bytes in) {
  if (in.empty()) return Step::kMore;
  heard_ = true;
  size_t used = 0;
  const Step step = take(in, &used);
  if (step != Step::kDone) return step;
  if (used != in.size()) return failed("the proxy sent bytes beyond its answer");
  // What is left of the question would go into the tunnel.
  if (!output().empty()) return failed("the proxy answered before it was asked");
  return step;
}

ProxyTalk::Step ProxyTalk::feed_eof() {
  return failed(heard_ ? "the proxy closed the connection amid its answer"
                       : "the proxy closed the connection without an answer");
}

ProxyTalk::Step ProxyTalk::failed(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::vsnprintf(detail_, sizeof detail_, format, args);
  va_end(args);
  return Step::kFailed;
}

std::unique_ptr<ProxyTalk> make_proxy_talk(const Proxy& proxy, std::string_view host,
                                           uint16_t port) {
  assert(proxy.kind != ProxyKind::kNone);
  switch (proxy.kind) {
    case ProxyKind::kSocks5: return make_socks5(proxy, host, port);
    case ProxyKind::kSocks4a: return make_socks4a(proxy, host, port);
    default: return make_http_connect(proxy, host, port);
  }
}

}  // namespace libws

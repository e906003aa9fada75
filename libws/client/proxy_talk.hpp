// What is said to a proxy before the tunnel is ours: HTTP CONNECT (RFC 9110 9.3.6), SOCKS 5 (RFC
// 1928, 1929) and SOCKS 4a, as bytes in and bytes out.  The caller owns the socket and the clock:
//
//   make_proxy_talk()
//   repeat   write output(), sent(n)
//            feed(what was read), feed_eof() at its end
//   until    kDone: the next byte either way is the tunnel's
//            kFailed: detail() says why; the socket is of no more use
//
// At most one answer of the proxy is kept, none beyond 16 KiB.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/client/proxy.hpp"

#include <cstdint>
#include <memory>
#include <string_view>

namespace libws {

class ProxyTalk : public Allocated {
 public:
  enum class Step : uint8_t { kMore, kDone, kFailed };

  virtual ~ProxyTalk() = default;
  ProxyTalk(const ProxyTalk&) = delete;
  ProxyTalk& operator=(const ProxyTalk&) = delete;

  // To write now; "" means wait for the proxy.  Valid until the next call that is not const.
  std::string_view output() const { return std::string_view(out_).substr(sent_); }
  void sent(size_t n);

  // Bytes beyond the proxy's last answer are a failure: whoever is at the tunnel's end waits for
  // us to speak first, so they are nobody's.  So is an end of the answers before everything was
  // asked.  After kDone or kFailed neither must be called again.  feed throws std::bad_alloc.
  Step feed(Bytes in);
  Step feed_eof();

  // After kFailed: "the proxy answered 403 Forbidden".  Valid as long as this object.
  const char* detail() const { return detail_; }
  // The HTTP status with which the proxy refused; 0 if it did not, or speaks SOCKS.
  int status() const { return status_; }

 protected:
  ProxyTalk() = default;
  // Takes bytes and says how many in *used; kMore only after all of them.
  virtual Step take(Bytes in, size_t* used) = 0;

  Step failed(const char* format, ...) __attribute__((format(printf, 2, 3)));
  void say(std::string_view text) { out_.append(text); }
  void refused_with(int status) { status_ = status; }

 private:
  String out_;
  size_t sent_ = 0;
  int status_ = 0;
  bool heard_ = false;
  char detail_[192] = "";
};

// `host` and `port` are what the tunnel leads to: a name, or an address without brackets whose
// "%zone", if any, is left out, because it means something on this machine only.  Hosts come from
// parse_url() or parse_host_port().  Throw std::bad_alloc.
std::unique_ptr<ProxyTalk> make_http_connect(const Proxy& proxy, std::string_view host,
                                             uint16_t port);
std::unique_ptr<ProxyTalk> make_socks5(const Proxy& proxy, std::string_view host, uint16_t port);
std::unique_ptr<ProxyTalk> make_socks4a(const Proxy& proxy, std::string_view host, uint16_t port);

// Whichever the proxy speaks; it must have a kind.
std::unique_ptr<ProxyTalk> make_proxy_talk(const Proxy& proxy, std::string_view host,
                                           uint16_t port);

}  // namespace libws

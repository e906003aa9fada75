// A tunnel through an HTTP proxy: CONNECT (RFC 9110 9.3.6), with Basic authorization (RFC 7617).
#include "libws/base/log.hpp"
#include "libws/client/basic_auth.hpp"
#include "libws/client/proxy_talk.hpp"
#include "libws/client/url_parts.hpp"
#include "libws/protocol/http.hpp"
#include "libws/protocol/http_write.hpp"
#include "libws/protocol/limits.hpp"

namespace libws {
namespace {

constexpr int kSwitchingProtocols = 101;
constexpr int kUnauthorized = 401;  // what some proxies say to a wrong password
constexpr int kProxyAuthenticationRequired = 407;

class HttpConnect final : public ProxyTalk {
 public:
  HttpConnect(const Proxy& proxy, std::string_view host, uint16_t port)
      : has_credentials_(proxy.has_credentials) {
    String destination;
    append_host(destination, host, parse_ip(host).size == 16);
    destination.push_back(':');
    append_decimal(destination, port);
    String request("CONNECT ");
    request.append(destination).append(" HTTP/1.1\r\n");
    append_field(request, "Host", destination);
    if (has_credentials_) {
      append_field(request, "Proxy-Authorization", basic_credentials(proxy.user, proxy.password));
    }
    say(request.append("\r\n"));
  }

 private:
  Step take(Bytes in, size_t* used) override;
  Step take_head(const Head& head);

  HeadParser parser_{HeadParser::Kind::kResponse, HeadLimits{}};
  unsigned interim_ = 0;
  bool has_credentials_;
};

ProxyTalk::Step HttpConnect::take(Bytes in, size_t* used) {
  *used = 0;
  while (*used != in.size()) {
    size_t n = 0;
    const HeadParser::Result result = parser_.feed(in.subspan(*used), &n);
    *used += n;
    if (result == HeadParser::Result::kNeedMore) return Step::kMore;
    if (result == HeadParser::Result::kFailed) {
      return failed("the proxy's answer is not HTTP: %s", parser_.error_text());
    }
    const Step step = take_head(parser_.take());
    if (step != Step::kMore) return step;
    parser_ = HeadParser(HeadParser::Kind::kResponse, HeadLimits{});
  }
  return Step::kMore;
}

ProxyTalk::Step HttpConnect::take_head(const Head& head) {
  const int status = head.status();
  // Content-Length and Transfer-Encoding of a 2xx mean nothing (RFC 9110 9.3.6): what follows the
  // head is the tunnel.
  if (status >= 200 && status < 300) return Step::kDone;
  if (status < 200 && status != kSwitchingProtocols) {
    if (++interim_ <= kMaxInterimResponses) return Step::kMore;
    return failed("the proxy sent too many interim responses");
  }
  refused_with(status);
  const char* hint = "";
  if (has_credentials_ && (status == kProxyAuthenticationRequired || status == kUnauthorized)) {
    hint = ": it does not take this user and password";
  } else if (status == kProxyAuthenticationRequired) {
    hint = ": it wants a user and password";
  }
  return failed("the proxy answered %d%s%s%s", status, head.reason().empty() ? "" : " ",
                Escaped(head.reason()).c_str(), hint);
}

}  // namespace

std::unique_ptr<ProxyTalk> make_http_connect(const Proxy& proxy, std::string_view host,
                                             uint16_t port) {
  return std::unique_ptr<ProxyTalk>(new HttpConnect(proxy, host, port));
}

}  // namespace libws

// After an attempt or a connection has ended: what is told, and what comes next.
#include "libws/client/client.hpp"

#include "libws/base/log.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace libws {
namespace {

// A connection that stayed open this long was a success: the next delay is the first again.
constexpr uint64_t kStableUs = 5'000'000;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Outcome::Outcome() { set(WS_OK, 0, 0, ""); }

void Outcome::set(int error, int sys_errno, int status, const char* detail) {
  info_ = {};
  info_.size = sizeof info_;
  info_.error = error;
  info_.code = 1006;  // RFC 6455 7.1.5: no Close frame was received
  info_.sys_errno = sys_errno;
  info_.http_status = status;
  reason_[0] = '\0';
  info_.reason = reason_;
  set_detail("%s", detail);
}

void Outcome::set(const ws_close_info& how) {
  info_ = how;
  info_.reason_len = std::min(how.reason_len, sizeof reason_ - 1);
  std::memcpy(reason_, how.reason, info_.reason_len);
  reason_[info_.reason_len] = '\0';
  info_.reason = reason_;
  set_detail("%s", how.detail);
}

void Outcome::set_detail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  std::vsnprintf(detail_, sizeof detail_, format, args);
  va_end(args);
  info_.detail = detail_;
}

void Client::conclude() {
  if (!leaving_ && follow_redirect()) return;
  const uint32_t delay_ms = next_delay_ms();
  if (delay_ms == WS_NEVER) {
    state_ = State::kIdle;
  } else {
    state_ = State::kWaiting;
    loop_.arm(this, loop_.now_ms() + delay_ms);
  }
  const ws_close_info& why = outcome_.info();
  if (Log log = loop_.log(); log.enabled(WS_LOG_INFO)) {
    log.write(WS_LOG_INFO,
              "client down url=%s error=%d status=%d code=%u retry_in_ms=%d why=\"%s\"",
              url_text_.c_str(), why.error, why.http_status, why.code,
              delay_ms == WS_NEVER ? -1 : static_cast<int>(delay_ms), why.detail);
  }
  if (options_.on_down == nullptr) return;
  const Outcome told = outcome_;  // a call of the callback may change ours
  ws_close_info info = told.info();
  call_user([&] { options_.on_down(to_handle(this), &info, delay_ms, options_.user); });
}

// True when the attempt goes on elsewhere (RFC 9110 15.4).
bool Client::follow_redirect() {
  const ws_close_info& why = outcome_.info();
  if (options_.max_redirects == 0 || why.error != WS_ERR_HTTP_STATUS ||
      !is_redirect(why.http_status)) {
    return false;
  }
  try {
    const Head& head = *response();
    if (head.count("Location") != 1) {
      outcome_.set_detail("a redirect without exactly one Location");
      return false;
    }
    const std::string_view location = head.value(head.find("Location"));
    if (redirects_ >= options_.max_redirects) {
      outcome_.set_detail("more than %u redirects", options_.max_redirects);
      return false;
    }
    Url next;
    if (resolve_location(url_, location, &next)) {
      outcome_.set_detail("redirect refused: %s", last_detail());
      return false;
    }
    if (url_.secure && !next.secure) {
      outcome_.set_detail("redirect from wss to ws refused: %s", Escaped(location).c_str());
      return false;
    }
    url_text_ = next.text();
    url_ = std::move(next);
  } catch (const std::bad_alloc&) {
    outcome_.set_detail("out of memory for a redirect");
    return false;
  }
  ++redirects_;
  drop_conn();
  state_ = State::kConnecting;
  follow_route();
  return true;
}

// The next attempt would end the same.
bool Client::permanent() const {
  const ws_close_info& why = outcome_.info();
  switch (why.error) {
    case WS_ERR_INVALID:
    case WS_ERR_UNSUPPORTED:
    case WS_ERR_TLS_CONFIG:
    case WS_ERR_TLS_VERIFY:
    case WS_ERR_HANDSHAKE: return true;
    case WS_ERR_HTTP_STATUS:
    case WS_ERR_PROXY: break;
    default: return false;
  }
  const int status = why.http_status;
  return status >= 300 && status < 500 && status != 408 && status != 425 && status != 429;
}

// WS_NEVER: there will be no other.
uint32_t Client::next_delay_ms() {
  if (was_open_ && loop_.now_us() - opened_us_ >= kStableUs) {
    tries_ = 0;
    backoff_.reset();
  }
  if (leaving_) return WS_NEVER;
  if (options_.retry_count != WS_NEVER && tries_ >= options_.retry_count) return WS_NEVER;
  if (!options_.retry_all && permanent()) return WS_NEVER;
  if (tries_ != UINT32_MAX) ++tries_;
  uint32_t random = UINT32_MAX;  // without random bytes the longest delay
  if (!ConnShared::of(loop_).resources.random.take(&random, sizeof random)) random = UINT32_MAX;
  uint32_t delay_ms = backoff_.next_delay_ms(random);
  if (conn_ && outcome_.info().error == WS_ERR_HTTP_STATUS) {
    const Head* head = conn_->response();
    const size_t i = head != nullptr ? head->find("Retry-After") : SIZE_MAX;
    if (i != SIZE_MAX) {
      const int64_t now_s = ConnShared::of(loop_).resources.wall_clock();
      delay_ms = std::max(delay_ms, parse_retry_after(head->value(i), now_s));
    }
  }
  return delay_ms;
}

}  // namespace libws

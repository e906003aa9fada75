// The opening handshake: heads in, the answer out, both roles.  The rules themselves are in
// handshake.cpp; this file moves the state machine.
#include "libws/protocol/engine_opening.hpp"

#include "libws/base/crypto.hpp"
#include "libws/protocol/http_write.hpp"

#include <new>

namespace libws {
namespace {

HeadLimits head_limits_of(const Limits& limits) {
  HeadLimits h;
  h.max_bytes = limits.max_header_bytes;
  h.max_fields = limits.max_header_count;
  h.max_start_line = kMaxStartLine;
  h.max_field_line = kMaxFieldLine;
  return h;
}

// A response leaves at no less than this rate, or the connection is dropped.
constexpr uint64_t kMinResponseBytesPerSecond = 16 * 1024;

}  // namespace

Engine::Opening::Opening(HeadParser::Kind kind, const Limits& limits)
    : head_limits(head_limits_of(limits)), parser(kind, head_limits) {}

Error Engine::start_client(const OpenRequest& open) {
  if (Error e = check_open_request(open)) return e;
  uint8_t random[16];
  if (!shared_.random.take(random, sizeof random)) {
    return fail(WS_ERR_IO, "no random bytes for Sec-WebSocket-Key");
  }
  base64_encode(random, opening_->key);
  for (const char* p : open.subprotocols) opening_->offered.emplace_back(p);
  for (const String& p : opening_->offered) opening_->offered_views.push_back(p.c_str());
  opening_->deflate = deflate_wish(*limits_, limits_->deflate, limits_->deflate_recv);
  String extensions;
  append_deflate_offer(extensions, opening_->deflate);
  OpenRequest request = open;
  request.extensions = extensions;
  String head;
  append_open_request(head, request, {opening_->key, kKeyChars});
  uint8_t* out = outbox_.reserve(shared_.blocks, head.size());
  if (out == nullptr) return fail(WS_ERR_NOMEM, "request");
  std::memcpy(out, head.data(), head.size());
  outbox_.commit(head.size());
  // Offered is promised: clients that wait for their answers at the same time share the budget.
  if (opening_->deflate.recv_takeover) hold_window(uint32_t{1} << limits_->deflate_window_bits);
  return Error();
}

// True when `ev` is an event.
bool Engine::open_step(Event& ev) {
  try {
    if (state_ == State::kRefused) {
      take_response_body();
      return false;
    }
    if (in_ == in_end_) return false;
    if (role_ == Role::kServer) return take_request_head(ev);
    take_response_head();
  } catch (const std::bad_alloc&) {
    abort(WS_ERR_NOMEM, 0, "out of memory in the handshake");
  }
  return false;
}

bool Engine::take_request_head(Event& ev) {
  Opening& o = *opening_;
  size_t used = 0;
  HeadParser::Result result = o.parser.feed({in_, static_cast<size_t>(in_end_ - in_)}, &used);
  in_ += used;
  if (result == HeadParser::Result::kNeedMore) return false;
  if (result == HeadParser::Result::kFailed) {
    refuse(o.parser.error_status(), o.parser.error_text());
    return false;
  }
  Head head = o.parser.take();
  Vector<std::string_view> protocols;
  RequestVerdict verdict = check_request(head, &protocols);
  if (verdict.status != 0) {
    refuse(verdict.status, verdict.why, verdict.head_only);
    return false;
  }
  if (verdict.expect_continue) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    uint8_t* out = outbox_.reserve(shared_.blocks, kContinue.size());
    if (out == nullptr) throw std::bad_alloc();
    std::memcpy(out, kContinue.data(), kContinue.size());
    outbox_.commit(kContinue.size());
  }
  o.request = Ref<Request>::adopt(new Request(std::move(head), verdict, std::move(protocols)));
  state_ = State::kAnswering;
  ev = {WS_EV_REQUEST, WS_OP_TEXT, 0, nullptr, 0};
  return true;
}

Error Engine::accept(const AcceptOptions& how) {
  if (state_ != State::kAnswering) return fail(WS_ERR_CLOSED, "accept: the peer is gone");
  Request& request = *opening_->request;
  char key[kAcceptChars];
  if (!handshake_accept(request.key(), key)) {
    return fail(WS_ERR_UNSUPPORTED, "accept: OpenSSL has no SHA-1");
  }
  std::string_view protocol = how.subprotocol != nullptr ? how.subprotocol : "";
  const Limits& limits = how.limits != nullptr ? *how.limits : *limits_;
  ws_deflate send = limits.deflate;
  ws_deflate recv = limits.deflate_recv;
  if (Error e = choose_deflate(how.deflate, how.deflate_recv, &send, &recv)) return e;
  String extensions;
  const DeflateAgreed deflate =
      accept_deflate(request.extensions(), deflate_wish(limits, send, recv), extensions);
  String head;
  append_switching_protocols(head, key, protocol, extensions, how.headers, limits_->server_header);
  if (!set_protocol(protocol)) return fail(WS_ERR_NOMEM, "accept");
  uint8_t* out = outbox_.reserve(shared_.blocks, head.size());
  if (out == nullptr) return fail(WS_ERR_NOMEM, "accept");
  std::memcpy(out, head.data(), head.size());
  outbox_.commit(head.size());
  limits_ = &limits;
  use_deflate(deflate);
  state_ = State::kOpen;
  open_pending_ = true;
  last_rx_us_ = shared_.now_us;
  return Error();
}

Error Engine::respond(const Response& response) {
  if (state_ != State::kAnswering) return fail(WS_ERR_CLOSED, "respond: the peer is gone");
  String out;
  ResponseParts parts;
  parts.status = response.status;
  parts.extra = response.headers;
  parts.body = response.body;
  parts.date = shared_.wall_clock != nullptr ? shared_.wall_clock() : 0;
  parts.server = limits_->server_header;
  // The body, which may be large, is copied once: behind the head, not through it.
  parts.head_only = true;
  append_response(out, parts);
  std::string_view body = request_is_head() ? std::string_view() : response.body;
  uint8_t* to = outbox_.reserve(shared_.blocks, out.size() + body.size());
  if (to == nullptr) return fail(WS_ERR_NOMEM, "respond");
  std::memcpy(to, out.data(), out.size());
  copy_bytes(to + out.size(), body.data(), body.size());
  outbox_.commit(out.size() + body.size());
  fail_opening(WS_ERR_HTTP_STATUS, response.status, "answered with an HTTP response");
  return Error();
}

bool Engine::request_is_head() const { return request() != nullptr && request()->head_only(); }

// Our own answer to a request that is not fit for one of the application's.
void Engine::refuse(int status, const char* why, bool head_only) {
  if (ended()) return;
  try {
    String out;
    append_refusal(out, status, why, shared_.wall_clock != nullptr ? shared_.wall_clock() : 0,
                   limits_->server_header, head_only);
    uint8_t* to = outbox_.reserve(shared_.blocks, out.size());
    if (to == nullptr) throw std::bad_alloc();
    std::memcpy(to, out.data(), out.size());
    outbox_.commit(out.size());
  } catch (const std::bad_alloc&) {
    return abort(WS_ERR_NOMEM, 0, "out of memory for a refusal");
  }
  int error = status == 408 || status == 503                    ? WS_ERR_TIMEOUT
              : status == 413 || status == 414 || status == 431 ? WS_ERR_TOO_BIG
                                                                : WS_ERR_HTTP;
  fail_opening(error, status, why);
}

Error Engine::turn_away(const char* why) {
  if (state_ == State::kOpening && !opening_->parser.started()) {
    abort(WS_ERR_CANCELLED, 0, why);
  } else if (state_ == State::kOpening) {
    refuse(503, why, false);
  } else if (state_ == State::kAnswering) {
    refuse(503, why);
  } else {
    return fail(WS_ERR_CLOSED, "turn away: the handshake is over");
  }
  return Error();
}

void Engine::fail_opening(int error, int status, const char* why) {
  http_status_ = static_cast<uint16_t>(status);
  http_drain_ = true;
  uint64_t flush_us = outbox_.bytes() * 1'000'000 / kMinResponseBytesPerSecond;
  if (limits_->close_us == kNeverUs) {
    phase_deadline_us_ = kNeverUs;
  } else {
    set_phase_deadline(limits_->close_us + flush_us);
  }
  end(State::kDrain, error, why);
}

void Engine::take_response_head() {
  Opening& o = *opening_;
  while (in_ != in_end_) {
    size_t used = 0;
    HeadParser::Result result = o.parser.feed({in_, static_cast<size_t>(in_end_ - in_)}, &used);
    in_ += used;
    if (result == HeadParser::Result::kNeedMore) return;
    if (result == HeadParser::Result::kFailed) {
      bool big = o.parser.error_status() == 431 || o.parser.error_status() == 414;
      return abort(big ? WS_ERR_TOO_BIG : WS_ERR_HTTP, 0, o.parser.error_text());
    }
    Head head = o.parser.take();
    ResponseVerdict verdict = check_response(head, {o.key, kKeyChars}, o.offered_views, o.deflate);
    if (!verdict.interim) return take_response(std::move(head), verdict);
    // RFC 9110 15.2: any number of interim responses may come; bounded here.
    if (++o.interim > kMaxInterimResponses) {
      return abort(WS_ERR_TOO_BIG, 0, "too many interim responses");
    }
    o.parser = HeadParser(HeadParser::Kind::kResponse, o.head_limits);
  }
}

void Engine::take_response(Head head, const ResponseVerdict& verdict) {
  Opening& o = *opening_;
  // Views in the verdict point into the head's buffer, which moving does not move.
  o.response = std::move(head);
  o.has_response = true;
  if (verdict.error == 0) {
    if (!set_protocol(verdict.protocol)) throw std::bad_alloc();
    use_deflate(verdict.deflate);
    state_ = State::kOpen;
    open_pending_ = true;
    return;
  }
  // A 101 that is wrong did not refuse: there is no status to tell.
  if (verdict.error != WS_ERR_HTTP_STATUS) return abort(verdict.error, 0, verdict.why);
  http_status_ = static_cast<uint16_t>(o.response.status());
  error_ = WS_ERR_HTTP_STATUS;
  detail_ = verdict.why;
  o.body_reader.begin(o.response);
  state_ = State::kRefused;
  if (o.body_reader.complete()) end(State::kDone, error_, detail_);
}

// The body of a refusal is for the caller's logs and eyes: its beginning is enough.
void Engine::take_response_body() {
  Opening& o = *opening_;
  const Bytes in = {in_, static_cast<size_t>(in_end_ - in_)};
  in_ = in_end_;
  if (o.body_reader.feed(in, kMaxRefusalBody, &o.body)) end(State::kDone, error_, detail_);
}

bool Engine::set_protocol(std::string_view name) {
  if (name.empty()) return true;
  auto* copy = static_cast<char*>(try_alloc(name.size() + 1));
  if (copy == nullptr) return false;
  std::memcpy(copy, name.data(), name.size());
  copy[name.size()] = '\0';
  release(protocol_);
  protocol_ = copy;
  return true;
}

void Engine::leave_opening() {
  opening_->request->detach();
  delete opening_;
  opening_ = nullptr;
}

const Head* Engine::response() const {
  return opening_ != nullptr && opening_->has_response ? &opening_->response : nullptr;
}

const char* Engine::response_header(std::string_view name, size_t* len) {
  const Head* head = response();
  return head != nullptr ? opening_->joined.get(*head, name, len) : nullptr;
}

Bytes Engine::response_body() const {
  if (opening_ == nullptr) return {};
  return {opening_->body.data(), opening_->body.size()};
}

}  // namespace libws

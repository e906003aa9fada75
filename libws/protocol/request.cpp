#include "libws/protocol/request.hpp"

#include "libws/base/log.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/http_write.hpp"

#include <cstring>

namespace libws {
namespace {

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && is_ows(s.front())) {
    scan_step();
    s.remove_prefix(1);
  }
  while (!s.empty() && is_ows(s.back())) {
    scan_step();
    s.remove_suffix(1);
  }
  return s;
}

// RFC 6265 4.2.1: pairs between semicolons.  What is no pair is passed over, as browsers and
// servers do; nothing in a cookie is worth refusing a request for (bad_inputs 47).
bool find_cookie(std::string_view list, std::string_view name, std::string_view* value) {
  while (!list.empty()) {
    const size_t semicolon = list.find(';');
    const std::string_view pair = list.substr(0, semicolon);
    list.remove_prefix(semicolon == std::string_view::npos ? list.size() : semicolon + 1);
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || trimmed(pair.substr(0, equals)) != name) continue;
    *value = trimmed(pair.substr(equals + 1));
    return true;
  }
  return false;
}

void copy_address(const char* text, char (&to)[kRequestAddressBytes]) {
  const size_t len = strnlen(text, sizeof to - 1);
  std::memcpy(to, text, len);
  to[len] = '\0';
}

}  // namespace

Request::Request(Head head, const RequestVerdict& verdict,
                 const Vector<std::string_view>& protocols)
    : head_(std::move(head)), verdict_(verdict) {
  const Target target = split_target(head_.target());
  path_ = target.path;
  // The query reaches to the end of the target, where the head has a NUL.
  query_ = target.query.empty() ? "" : target.query.data();
  authority_ = target.authority;

  size_t size = 0;
  for (std::string_view p : protocols) size += p.size() + 1;
  protocol_text_.reserve(size);
  protocols_.reserve(protocols.size());
  for (std::string_view p : protocols) {
    const size_t at = protocol_text_.size();
    protocol_text_.insert(protocol_text_.end(), p.begin(), p.end());
    protocol_text_.push_back('\0');
    protocols_.push_back({protocol_text_.data() + at, p.size()});
  }
}

const char* Request::header(std::string_view name, size_t* len) {
  return joined_.get(head_, name, len);
}

bool Request::header_at(size_t i, ws_header* out) const {
  if (i >= head_.field_count()) return false;
  *out = {head_.name(i).data(), head_.value(i).data()};
  return true;
}

const char* Request::cookie(std::string_view name, size_t* len) {
  if (name.empty()) return nullptr;
  for (size_t i = head_.find("Cookie"); i != SIZE_MAX; i = head_.find("Cookie", i + 1)) {
    std::string_view value;
    if (!find_cookie(head_.value(i), name, &value)) continue;
    cookie_ = value;
    if (len != nullptr) *len = cookie_.size();
    return cookie_.c_str();
  }
  return nullptr;
}

const char* Request::subprotocol(size_t i) const {
  return i < protocols_.size() ? protocols_[i].data() : nullptr;
}

bool Request::offers(std::string_view subprotocol) const {
  for (std::string_view p : protocols_) {
    if (p == subprotocol) return true;
  }
  return false;
}

Vector<Extension> Request::extensions() const {
  Vector<Extension> offers;
  // An upgrade has passed the same reading; what else a request names is nothing on offer.
  if (!read_extensions(head_, &offers)) offers.clear();
  return offers;
}

std::string_view Request::value_of(std::string_view name) const {
  const size_t i = head_.find(name);
  return i != SIZE_MAX ? head_.value(i) : std::string_view("", 0);
}

std::string_view Request::host() const {
  return authority_.empty() ? value_of("Host") : authority_;
}

std::string_view Request::origin() const { return value_of("Origin"); }

std::string_view Request::key() const { return value_of("Sec-WebSocket-Key"); }

void Request::set_peer(const char* text) { copy_address(text, peer_); }

void Request::set_client(const char* text) { copy_address(text, client_); }

const char* Request::local() {
  if (local_[0] == '\0' && host_ != nullptr) host_->print_local(local_);
  return local_;
}

void Request::set_route(Ref<RequestTerms> terms, Vector<RequestParam> params, Vector<char> values) {
  terms_ = std::move(terms);
  params_ = std::move(params);
  values_ = std::move(values);
}

const char* Request::param(std::string_view name, size_t* len) const {
  for (const RequestParam& p : params_) {
    if (p.name != name) continue;
    if (len != nullptr) *len = p.value.size();
    return p.value.data();
  }
  return nullptr;
}

namespace {

// What the caller leaves open is as the route has it.
AcceptOptions on_terms(const AcceptOptions& how, const RequestTerms* terms) {
  AcceptOptions out = how;
  if (terms == nullptr) return out;
  const AcceptOptions& route = terms->accept;
  if (how.limits == nullptr) out.limits = route.limits;
  if (how.handlers == nullptr) out.handlers = route.handlers;
  if (how.user == nullptr) out.user = route.user;
  out.policy = route.policy;
  return out;
}

}  // namespace

Error Request::accept(const AcceptOptions& how) {
  if (answered_) return fail(WS_ERR_STATE, "accept: the request is answered already");
  if (!is_upgrade()) return fail(WS_ERR_STATE, "accept: the request is not an upgrade");
  if (host_ == nullptr) return fail(WS_ERR_CLOSED, "accept: the peer is gone");
  if (how.subprotocol != nullptr && !offers(how.subprotocol)) {
    return fail(WS_ERR_INVALID, "accept: subprotocol '%s' was not offered",
                Escaped(how.subprotocol).c_str());
  }
  if (Error e = check_caller_fields("accept", how.headers)) return e;

  // The host may drop the last reference but ours.
  const Ref<Request> keep = Ref<Request>::share(this);
  Error e = host_->accept(on_terms(how, terms_.get()));
  if (!e) answered_ = true;
  return e;
}

Error Request::respond(const Response& response) {
  if (answered_) return fail(WS_ERR_STATE, "respond: the request is answered already");
  if (host_ == nullptr) return fail(WS_ERR_CLOSED, "respond: the peer is gone");
  if (response.status < 200 || response.status > 599) {
    return fail(WS_ERR_INVALID, "respond: status %d is not 200 to 599", response.status);
  }
  if (response.body.data() == nullptr && !response.body.empty()) {
    return fail(WS_ERR_INVALID, "respond: body is NULL");
  }
  if (!response.body.empty() && !status_has_body(response.status)) {
    return fail(WS_ERR_INVALID, "respond: status %d has no body", response.status);
  }
  if (Error e = check_caller_fields("respond", response.headers)) return e;
  if (response.body.size() > kMaxResponseBody) {
    return fail(WS_ERR_TOO_BIG, "respond: body of %zu bytes", response.body.size());
  }

  const Ref<Request> keep = Ref<Request>::share(this);
  Error e = host_->respond(response);
  if (!e) answered_ = true;
  return e;
}

void Request::refuse(int status, const char* why) {
  if (answered_ || host_ == nullptr) return;
  const Ref<Request> keep = Ref<Request>::share(this);
  answered_ = true;
  host_->refuse(status, why);
}

}  // namespace libws

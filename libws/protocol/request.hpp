// A request that a server received and its one answer, now or later.  It outlives the connection
// when somebody holds it; then it still reads, and answering says CLOSED.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/ref.hpp"
#include "libws/protocol/handshake.hpp"
#include "libws/protocol/http.hpp"
#include "libws/protocol/http_fields.hpp"
#include "libws/protocol/limits.hpp"

#include <libws/request.h>

#include <span>

namespace libws {

struct ConnPolicy;  // conn/conn.hpp; here it is only kept

struct AcceptOptions {
  const char* subprotocol = nullptr;
  std::span<const ws_header> headers;
  int deflate = WS_DEFLATE_DEFAULT;  // ws_deflate, not checked yet
  int deflate_recv = WS_DEFLATE_DEFAULT;
  const Limits* limits = nullptr;  // instead of the engine's, and to outlive it
  // For the host; the protocol does not look at them.
  const ws_handlers* handlers = nullptr;
  void* user = nullptr;
  ConnPolicy* policy = nullptr;  // counted; what `limits` and `handlers` may be part of
};

struct Response {
  int status = 0;
  std::span<const ws_header> headers;
  std::string_view body;
};

// Room for the text of an address.
inline constexpr size_t kRequestAddressBytes = 80;

// What a route says of its requests.  They hold it, because an answer may come after the route is
// gone.  Immutable, so threads may share it.
class RequestTerms : public RefCounted<RequestTerms>, public Allocated {
 public:
  Vector<String> subprotocols;  // none: the server's
  AcceptOptions accept;         // limits, handlers, user and policy of its connections

 protected:
  friend class RefCounted<RequestTerms>;
  RequestTerms() = default;
  virtual ~RequestTerms() = default;
};

struct RequestParam {
  std::string_view name;   // into the terms
  std::string_view value;  // with a NUL behind it
};

// Who carries out the answer: an engine, or the connection around it.  Arguments are checked
// before they get here.  Either call may drop the host's reference to the request.
class RequestHost {
 public:
  virtual Error accept(const AcceptOptions& how) = 0;
  virtual Error respond(const Response& response) = 0;
  // The library's own answer.
  virtual void refuse(int status, const char* why) = 0;
  virtual Error tls_info(ws_tls_info*) { return fail(WS_ERR_STATE, "get_tls: not over TLS"); }
  // The address on our side; leaves the empty text when there is no socket.
  virtual void print_local(char (&)[kRequestAddressBytes]) const {}

 protected:
  ~RequestHost() = default;
};

inline constexpr size_t kMaxResponseBody = size_t{16} << 20;

class Request : public RefCounted<Request>, public Allocated {
 public:
  // `head` has passed check_request with `verdict`, which gave `protocols` as views into it.
  // Throws std::bad_alloc.
  Request(Head head, const RequestVerdict& verdict, const Vector<std::string_view>& protocols);

  bool is_upgrade() const { return verdict_.is_upgrade; }
  bool head_only() const { return verdict_.head_only; }
  bool expect_continue() const { return verdict_.expect_continue; }
  const char* method() const { return head_.method().data(); }
  const char* path() const { return path_.c_str(); }
  const char* query() const { return query_; }
  // Null if absent; repeated fields joined, the joined text kept for the request's life.
  // Throws std::bad_alloc, only for repeated fields.
  const char* header(std::string_view name, size_t* len);
  bool header_at(size_t i, ws_header* out) const;
  // Null if absent.  Valid until the next call.  Throws std::bad_alloc.
  const char* cookie(std::string_view name, size_t* len);
  const char* subprotocol(size_t i) const;  // null past the end
  bool offers(std::string_view subprotocol) const;
  // As offered, in order; views into the request.  Throws std::bad_alloc.
  Vector<Extension> extensions() const;
  std::string_view host() const;    // of an absolute-form target, else Host
  std::string_view origin() const;  // "" if there is none
  std::string_view key() const;     // Sec-WebSocket-Key
  const char* peer() const { return peer_; }
  void set_peer(const char* text);  // copied, at most 79 characters
  const char* local();
  const char* client() const { return client_; }
  void set_client(const char* text);  // as set_peer()

  // What a route has found: from here on it is answered on these terms.  `values` is what the views
  // of `params` point into.
  void set_route(Ref<RequestTerms> terms, Vector<RequestParam> params, Vector<char> values);
  const RequestTerms* terms() const { return terms_.get(); }
  const char* param(std::string_view name, size_t* len) const;  // null if absent
  // The server has looked at Origin and would not have it; the route may.
  void set_origin_refused() { origin_refused_ = true; }
  bool origin_refused() const { return origin_refused_; }

  const Head& head() const { return head_; }

  // The public calls: argument checks, then the host.  Errors as request.h says; STATE comes
  // before CLOSED, and CLOSED before INVALID.  A call that fails leaves the request unanswered.
  Error accept(const AcceptOptions& how);
  Error respond(const Response& response);
  // The library's own answer: a short text.  Nothing happens when there is one already.
  void refuse(int status, const char* why);

  void set_host(RequestHost* host) { host_ = host; }
  RequestHost* current_host() const { return host_; }
  bool answered() const { return answered_; }
  void detach() { host_ = nullptr; }  // the connection is gone

 private:
  friend class RefCounted<Request>;
  ~Request() = default;

  std::string_view value_of(std::string_view name) const;

  Head head_;
  RequestVerdict verdict_;
  String path_;
  const char* query_;                   // into head_
  std::string_view authority_;          // of an absolute-form target, into head_
  Vector<char> protocol_text_;          // each with a NUL
  Vector<std::string_view> protocols_;  // into protocol_text_
  JoinedFields joined_;
  String cookie_;
  RequestHost* host_ = nullptr;
  Ref<RequestTerms> terms_;
  Vector<RequestParam> params_;  // into values_
  Vector<char> values_;
  bool answered_ = false;
  bool origin_refused_ = false;
  char peer_[kRequestAddressBytes] = "";
  char client_[kRequestAddressBytes] = "";
  char local_[kRequestAddressBytes] = "";  // asked for once, by whoever wants it
};
LIBWS_HANDLE(Request, ws_request);

}  // namespace libws

// A client: one connection to one URL, attempt after attempt.
//
//   state         what is under way                      leaves when
//   kDue          nothing yet                            the loop gets to it -> kConnecting
//   kConnecting   an Attempt, or waiting for a turn      connected -> kShaking; failed -> kDown
//   kShaking      a Conn, before its handshake is done   open -> kOpen; ended -> kDown
//   kOpen         a Conn, from on_open to on_close       ended -> kDown
//   kDown         the outcome is known, not yet told     redirect -> kConnecting; told -> kWaiting
//   kWaiting      the delay before the next attempt      time, retry_now -> kConnecting
//   kIdle         nothing, and nothing will              retry_now -> kDue
//
// Counted like Server, because a callback may free it while its own method is on the stack.  The
// owner's reference is given up through on_retired().
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/ref.hpp"
#include "libws/client/attempt.hpp"
#include "libws/client/backoff.hpp"
#include "libws/client/field_list.hpp"
#include "libws/client/offline_queue.hpp"
#include "libws/client/proxy.hpp"
#include "libws/client/url.hpp"
#include "libws/conn/conn.hpp"
#include "libws/net/tls_context.hpp"

#include <libws/client.h>

namespace libws {

struct ClientOptions {
  Url url;
  Ref<ConnPolicy> policy;
  void* user = nullptr;
  FieldList headers;
  Vector<String> subprotocols;
  Ref<TlsContext> tls;        // null: the loop's default
  Ref<TlsContext> proxy_tls;  // the same
  String tls_name;            // "" = the URL's host
  Proxy proxy;
  bool proxy_from_environment = false;
  int fd = -1;       // a socket that is connected already; -1: to be dialed
  String dial_host;  // connect_to; "" = none
  uint16_t dial_port = 0;
  uint32_t max_redirects = 0;
  uint32_t retry_count = 0;
  uint32_t retry_min_ms = 500;
  uint32_t retry_max_ms = 30'000;
  bool retry_all = false;
  bool take_turns = false;
  uint64_t queue_bytes = 0;
  void (*on_attempt)(ws_client* cl, uint32_t number, void* user) = nullptr;
  void (*on_down)(ws_client* cl, const ws_close_info* why, uint32_t retry_in_ms,
                  void* user) = nullptr;
};

// Why an attempt or its connection ended: ws_close_info with its texts.
class Outcome {
 public:
  Outcome();
  Outcome(const Outcome& other) { set(other.info_); }
  Outcome& operator=(const Outcome&) = delete;
  void set(int error, int sys_errno, int status, const char* detail);
  void set(const ws_close_info& how);
  void set_detail(const char* format, ...) __attribute__((format(printf, 2, 3)));
  const ws_close_info& info() const { return info_; }

 private:
  ws_close_info info_;
  char reason_[kMaxControlPayload + 1];
  char detail_[512];
};

class Client final : public Watcher,
                     public ConnOwner,
                     public LoopMember,
                     private AttemptSink,
                     public RefCounted<Client>,
                     public Allocated {
 public:
  // Throws std::bad_alloc.
  Client(Loop& loop, ClientOptions options);
  // The first attempt begins with the loop's next turn, and the descriptor of the options is this
  // one's.  Errors: TLS_CONFIG (the system's roots), IO (the descriptor); then the caller lets go
  // of it by unref().
  Error start();

  // What is sent can be sent: headers and the rest.  Errors: INVALID.
  static Error check(const ClientOptions& options, const FieldList& headers);

  // ---- the public calls of client.h, same contracts ----
  void free();
  Error close(uint16_t code, std::string_view reason);
  Conn* conn() const;  // null unless open
  Error send(ws_opcode op, Bytes data, uint32_t flags);
  uint64_t queued() const { return queue_.bytes(); }
  void retry_now();
  Error set_headers(FieldList headers);
  const Head* response() const { return conn_ ? conn_->response() : nullptr; }
  const char* response_header(std::string_view name, size_t* len) {
    return conn_ ? conn_->response_header(name, len) : nullptr;
  }
  Bytes response_body() const { return conn_ ? conn_->response_body() : Bytes(); }
  const char* url_text() const { return url_text_.c_str(); }

  // ConnOwner
  void on_request(Conn&, Request&) override {}  // a server's
  void on_opened(Conn& conn) override;
  void on_drained(Conn& conn) override;
  void on_ended(Conn& conn) override;
  void on_gone(Conn& conn) override;
  // LoopMember
  void on_loop_stop() override;
  void on_loop_free() override { free(); }
  void on_loop_abandoned() override;
  // Watcher: no descriptor; the attempt's deadline or the delay before the next one.
  void on_ready(uint32_t) override {}
  void on_timeout() override;
  void on_deferred() override;
  void on_retired() override { unref(); }

 private:
  friend class RefCounted<Client>;
  enum class State : uint8_t { kDue, kConnecting, kShaking, kOpen, kDown, kWaiting, kIdle };

  ~Client() override = default;

  // AttemptSink
  void on_connected(Transport&& transport, const Address& peer) override;
  void on_connect_failed(const TransportFault& fault, int status) override;

  class Turn final : public ConnectTurn {
   public:
    explicit Turn(Client& client) : client_(client) {}
    void on_turn() override { client_.loop_.defer(&client_); }

   private:
    Client& client_;
  };

  // client.cpp
  void cancel_attempt();
  void close_descriptor();
  static void let_go(Ref<Conn>& conn);
  void drop_conn();
  bool may_queue() const;
  void flush_queue();
  template <class Call>
  void call_user(Call call);

  // client_attempt.cpp: towards an open connection
  void begin_attempt();
  void connect();
  bool wait_for_turn();
  void follow_route();
  Error find_proxy(Proxy* out) const;
  Error find_route(DialRoute* out);
  Error load_roots();
  Error default_tls(Ref<TlsContext>* context);
  Error open_conn(Transport&& transport, const Address& peer);
  Vector<ws_header> request_headers(const String& authorization) const;
  void failed(int error, int sys_errno, int status, const char* detail);

  // client_outcome.cpp: after it
  void conclude();
  bool follow_redirect();
  bool permanent() const;
  uint32_t next_delay_ms();

  Loop& loop_;
  ClientOptions options_;
  Attempt* attempt_ = nullptr;  // while kConnecting
  Ref<Conn> conn_;              // the last attempt's, kept for its response
  Ref<Conn> draining_;          // an earlier attempt's, told to be closed and not gone yet
  Url url_;                     // of this attempt: after redirects not options_.url
  String url_text_;
  Turn turn_{*this};
  OfflineQueue queue_;
  Backoff backoff_;
  Outcome outcome_;
  int fd_ = -1;  // options_.fd, until an attempt has it
  uint64_t began_us_ = 0;
  uint64_t opened_us_ = 0;
  uint32_t number_ = 0;     // of attempts, for on_attempt
  uint32_t tries_ = 0;      // counted against retry_count
  uint32_t redirects_ = 0;  // in this attempt
  State state_ = State::kDue;
  bool was_open_ : 1 = false;      // in this attempt
  bool leaving_ : 1 = false;       // this side wants no more
  bool waiting_turn_ : 1 = false;  // kConnecting, but others are first
  bool freed_ : 1 = false;
  bool stopped_ : 1 = false;  // the loop is being freed: nothing begins any more
};
LIBWS_HANDLE(Client, ws_client);

// No exception may enter through a callback (base.h); there is nothing to undo here.
template <class Call>
void Client::call_user(Call call) {
  try {
    call();
  } catch (...) {
    loop_.log().write(WS_LOG_ERROR, "client: a callback threw an exception");
  }
}

}  // namespace libws

// From a host's name to a connected socket: looks the name up and tries its addresses side by side
// (RFC 8305), IPv6 and IPv4 in turn.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/base/list.hpp"
#include "libws/net/address.hpp"
#include "libws/net/address_order.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/resolver.hpp"
#include "libws/net/socket.hpp"

#include <string_view>

namespace libws {

class DialSink {
 public:
  // The socket is the sink's.
  virtual void on_dialed(int fd, const Address& peer) = 0;
  // `detail` is valid during the call.  error: DNS, CONNECT, IO, NOMEM.
  virtual void on_dial_failed(int error, int sys_errno, const char* detail) = 0;

 protected:
  ~DialSink() = default;
};

// RFC 8305 8, the recommended values.
constexpr uint64_t kResolutionDelayMs = 50;  // how long an IPv4 answer waits for IPv6
constexpr uint64_t kConnectionAttemptDelayMs = 250;

// A unix listener whose queue is full is asked again after this long, doubled up to that.
constexpr uint64_t kUnixRetryMs = 10;
constexpr uint64_t kUnixRetryMaxMs = 250;

// The owner cancels it in on_loop_stop(); one that is forgotten ends with the loop, and its sink,
// which may be gone by then, is not told.
class Dialer final : public Watcher, public LoopMember, public LookupSink, public Allocated {
 public:
  // Begins; the sink is told once, from the loop and never from inside this call, and the dialer
  // is gone by itself after that.  No time limit of its own.  `host` is a name, an IPv4 literal,
  // or an IPv6 literal without brackets, with "%zone" if need be.  Throws std::bad_alloc.
  static Dialer* tcp(Loop& loop, DialSink& sink, std::string_view host, uint16_t port);
  // Errors: INVALID (path).  Throws std::bad_alloc.
  static Error unix_socket(Loop& loop, DialSink& sink, const char* path, Dialer** out);

  // Ends it without telling the sink.
  void cancel();

  void on_ready(uint32_t) override {}
  void on_timeout() override { advance(); }
  void on_deferred() override { advance(); }
  void on_retired() override { delete this; }
  void on_loop_stop() override { stopping_ = true; }
  void on_loop_free() override { cancel(); }
  void on_loop_abandoned() override;
  void on_lookup(Lookup* lookup, const LookupAnswer& answer) override;

 private:
  class Attempt;
  struct AttemptTag : ListNode {};
  enum Which { kV6, kV4 };

  Dialer(Loop& loop, DialSink& sink) : loop_(loop), sink_(sink) {}
  ~Dialer() override = default;

  bool has_next() const { return unix_due_ || !order_.empty(); }
  Address next();
  void advance();
  void try_address(const Address& to);
  void attempt_ended(Attempt* attempt, const IoResult& result);
  void attempt_failed(const Address& to, int error, int sys_errno);
  void connected(int fd, const Address& to);
  void give_up();
  void cancel_lookups();
  void finish();
  void log_lookup(Which family, const LookupAnswer& answer) const;
  void log_address(const Address& to, const char* outcome) const;

  Loop& loop_;
  DialSink& sink_;
  uint16_t port_ = 0;
  bool finished_ = false;
  bool attempted_ = false;
  bool stopping_ = false;    // the loop is being freed: whoever wants to be told has cancelled
  bool unix_due_ = false;    // `unix_` is to be tried, at once or again
  Lookup* lookups_[2] = {};  // under way
  uint64_t next_at_ms_ = 0;  // not before this may the next attempt begin
  uint64_t unix_wait_ms_ = kUnixRetryMs;
  AddressOrder order_;
  Address unix_;
  List<Attempt, AttemptTag> attempts_;

  // What went wrong, told when nothing goes right.
  int local_error_ = WS_OK;  // IO, NOMEM: not every address got its chance
  int local_errno_ = 0;
  int first_errno_ = 0;       // of the first address that failed
  int lookup_error_ = WS_OK;  // of the more telling of the two look-ups
  int lookup_errno_ = 0;
  bool lookup_no_address_ = false;  // it was a definite answer
  char lookup_reason_[128] = {};
  char failures_[192] = {};  // "192.0.2.1:443: Connection refused; ..."
  bool failures_full_ = false;

  char host_[112] = {};    // "example.org" or "unix:/path", as log lines have it
  char target_[128] = {};  // "example.org:443" or "unix:/path", as details have it
};

}  // namespace libws

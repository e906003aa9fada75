// Name look-ups of one loop.  getaddrinfo() blocks and cannot be cancelled, so it runs on helper
// threads: a few at a time, started when there is something to look up and gone when there is not.
// Nobody ever waits for one of them; an answer that is no longer wanted is dropped.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/net/address.hpp"
#include "libws/net/loop.hpp"

#include <cstddef>
#include <string_view>

namespace libws {

// Threads inside getaddrinfo() at once, and look-ups that wait for one; the next is refused.
constexpr size_t kMaxLookupThreads = 4;
constexpr size_t kMaxLookupsWaiting = 1024;

// Addresses taken from one answer, in its order and without duplicates.
constexpr size_t kMaxLookupAddresses = 16;

struct Lookup;  // one that is under way

struct LookupAnswer {
  int error = WS_OK;                   // DNS, IO, NOMEM
  int sys_errno = 0;                   // 0 unless the system gave one
  bool no_such_address = false;        // DNS: a definite answer, not a failure to get one
  const char* reason = "";             // of an error: "Name or service not known"
  const Address* addresses = nullptr;  // with port 0
  size_t count = 0;                    // at least 1 unless error is set
};

class LookupSink {
 public:
  // The look-up is over and must not be cancelled any more; the answer is valid during the call.
  virtual void on_lookup(Lookup* lookup, const LookupAnswer& answer) = 0;

 protected:
  ~LookupSink() = default;
};

// Everything on the loop's thread.
class Resolver : public Allocated {
 public:
  // Throws std::bad_alloc.
  explicit Resolver(Loop& loop);
  // Drops what is under way without telling its sinks.
  ~Resolver();
  // In the child of a fork, where the threads are not: the same without waiting for them.
  void abandon();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Begins; the sink is told once, from the loop and never from inside this call.  family: AF_INET
  // or AF_INET6.  A literal, and "localhost" with what is below it (RFC 6761 6.3: loopback, without
  // asking anyone), need no thread.  Throws std::bad_alloc.
  Lookup* start(LookupSink& sink, std::string_view host, int family);
  // Ends it without telling the sink.
  void cancel(Lookup* lookup);

 private:
  class Shared;
  Shared* shared_;
};

}  // namespace libws

// An accepted connection until its PROXY protocol header is there.  The header is looked at in the
// socket before it is taken out of it, so that what follows it is still there for TLS or HTTP.
#pragma once

#include "libws/base/list.hpp"
#include "libws/net/address_block.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/socket.hpp"
#include "libws/net/tls_context.hpp"
#include "libws/protocol/proxy_header.hpp"

namespace libws {

class ProxyIntro;

struct IntroLink : ListNode {};  // the sink's list

// Who takes the socket then.
class IntroSink {
 public:
  // Takes ownership of fd, which nobody watches.  `began_us`: when it was accepted.
  virtual void on_introduced(ProxyIntro& intro, int fd, const PackedAddress& peer,
                             uint64_t began_us) = 0;
  // The connection is closed.  `why` for the log; null when nothing came at all, as when somebody
  // asks whether the port is open.
  virtual void on_intro_failed(ProxyIntro& intro, const char* why) = 0;

 protected:
  ~IntroSink() = default;
};

class ProxyIntro final : public Watcher, public IntroLink, public Allocated {
 public:
  // Owns fd from the start, also when starting fails.  `timeout_us` UINT64_MAX: none.
  ProxyIntro(Loop& loop, IntroSink& sink, int fd, const PackedAddress& proxy, Ref<TlsContext> tls)
      : loop_(loop), sink_(sink), tls_(std::move(tls)), socket_(fd), proxy_(proxy) {}

  // Errors: IO, NOMEM; close() is still the caller's to call.
  Error start(uint64_t timeout_us);
  // Closes and retires; the sink hears nothing.
  void close();

  TlsContext* tls() const { return tls_.get(); }
  const PackedAddress& proxy() const { return proxy_; }

  void on_ready(uint32_t events) override;
  void on_timeout() override;
  void on_retired() override { delete this; }

 private:
  ~ProxyIntro() override;
  bool step();
  bool take(uint8_t* data, size_t wanted, size_t* taken);
  bool keep(const uint8_t* data, size_t len);
  void ended(const IoResult& r);
  void failed(const char* why);
  void hand_on(const ProxyHeader& header);

  Loop& loop_;
  IntroSink& sink_;
  Ref<TlsContext> tls_;
  int socket_;
  PackedAddress proxy_;
  uint64_t began_us_ = 0;
  uint8_t* stash_ = nullptr;  // what was taken so far
  size_t stash_len_ = 0;
};

}  // namespace libws

// One connection to Redis: look-up, connect, TLS, login, then commands out and answers in.
//
//   closed -> resolving -> connecting (each address in turn) -> tls -> login -> ready
//
// Any failure closes it and is told once.  It sets no deadlines: the bridge has them.
#pragma once

#include "error.hpp"
#include "lookup.hpp"
#include "resp.hpp"
#include "tls.hpp"
#include "url.hpp"

#include <libws/loop.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace libws_redis {

struct LinkConfig {
  Url url;
  std::unique_ptr<TlsContext> tls;  // null: none
  uint64_t max_message_bytes = 0;
};

class Link {
 public:
  // None of these may close a link but through fail(), or destroy one.
  class Owner {
   public:
    virtual void on_link_ready(Link& link) = 0;
    virtual void on_link_reply(Link& link, const redisReply& reply) = 0;
    virtual void on_link_room(Link& link) = 0;  // all is written: there may be more
    virtual void on_link_failed(const Failure& failure) = 0;

   protected:
    ~Owner() = default;
  };

  Link(Owner& owner, ws_loop* loop, const LinkConfig& config)
      : owner_(owner), loop_(loop), config_(config) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { close(); }

  void open();
  void close();
  void fail(const Failure& failure);  // close, and tell the owner

  bool ready() const { return state_ == State::kReady; }
  // Where commands are appended; flush_soon() has them written in the next turn, with whatever
  // else comes until then.
  std::string& out() { return tls_ != nullptr ? plain_ : wire_; }
  size_t unsent() const { return wire_.size() - wire_sent_ + plain_.size(); }
  void flush_soon();
  void flush();
  // Whether anything came since the last call, or Redis has taken some of what waits for it: a
  // large message may take longer than an answer is waited for.
  bool moved();

 private:
  enum class State { kClosed, kResolving, kConnecting, kTls, kLogin, kReady };

  static void on_watch(ws_watch* watch, uint32_t ready, void* user);
  void on_ready(uint32_t ready);
  bool watch(int fd, uint32_t events);
  void want(uint32_t events);
  void close_socket();
  void resolved();
  void connect_next();
  Failure connect_to(const Address& address);
  void connect_finished();
  void handshake();
  void login();
  void receive();
  bool take_wire(const char* data, size_t len);
  void take_plain(const char* data, size_t len);
  void take_reply(const redisReply& reply);
  bool write_wire();
  Failure refused(const char* reason) const;

  Owner& owner_;
  ws_loop* loop_;
  const LinkConfig& config_;
  State state_ = State::kClosed;
  Lookup lookup_;
  std::vector<Address> addresses_;
  size_t next_address_ = 0;
  int fd_ = -1;
  ws_watch* watch_ = nullptr;
  uint32_t wanted_ = 0;
  std::unique_ptr<Tls> tls_;
  std::unique_ptr<Reader> reader_;
  std::string plain_;  // to be encrypted
  std::string wire_;   // to be sent, from wire_sent_ on
  size_t wire_sent_ = 0;
  int login_replies_ = 0;  // still to come
  int64_t given_ = 0;      // bytes to the socket
  int64_t taken_ = 0;      // of them, off this machine's hands at the last moved()
  bool heard_ = false;
};

}  // namespace libws_redis

// Messages on their way to Redis: those that wait, and those that were sent and are not confirmed
// yet.  Redis answers in the order of the commands.
#pragma once

#include "envelope.hpp"

#include <libws/message.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>

namespace libws_redis {

class Outbox {
 public:
  Outbox(std::string prefix, const OriginId& origin, uint64_t max_bytes)
      : prefix_(std::move(prefix)), origin_(origin), max_bytes_(max_bytes) {}

  void push(const char* topic, ws_message* message);  // throws std::bad_alloc
  // Appends the command for the next one; false: none waits.
  bool next(std::string* out);
  // The answer to the oldest one that was sent; false: none was.
  bool confirm();
  bool refuse();
  // The connection is gone: what was not confirmed is to be sent again.
  void rewind();  // throws nothing
  void count_dropped() { ++dropped_; }

  uint64_t bytes() const { return bytes_; }
  uint64_t count() const { return waiting_.size() + sent_.size(); }
  uint64_t confirmed() const { return confirmed_; }
  uint64_t dropped() const { return dropped_; }
  uint64_t refused() const { return refused_; }

 private:
  struct Unref {
    void operator()(ws_message* m) const { ws_message_unref(m); }
  };
  struct Item {
    std::unique_ptr<ws_message, Unref> message;
    std::string topic;
    uint64_t number;
    uint64_t cost;
  };

  bool answered();

  std::string prefix_;
  OriginId origin_;
  uint64_t max_bytes_;
  std::list<Item> waiting_, sent_;  // lists, because losing a connection must not need memory
  uint64_t bytes_ = 0, sent_bytes_ = 0, last_number_ = 0;
  uint64_t confirmed_ = 0, dropped_ = 0, refused_ = 0;
};

}  // namespace libws_redis

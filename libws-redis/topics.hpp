// What the hub wants of Redis and what Redis has been told: channels and patterns.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>

namespace libws_redis {

// A pattern of a hub as a glob of Redis'.  Its '*' also matches '/', so it brings too much, never
// too little; what does not match has no subscriber in the hub.
std::string glob_of(const std::string& prefix, const std::string& pattern);

class Topics {
 public:
  explicit Topics(std::string prefix) : prefix_(std::move(prefix)) {}

  void set(const char* topic, bool active);  // throws std::bad_alloc; nothing has changed then
  size_t count() const { return count_; }
  void clear();

  void connected();  // everything is to be told
  void lost();
  // Appends the next command; false: Redis knows all.
  bool next(std::string* out);

 private:
  struct State {
    bool wanted = false;
    bool told = false;
    bool queued = false;
  };
  using Map = std::unordered_map<std::string, State>;

  void queue(Map::value_type* entry);

  std::string prefix_;
  Map map_;
  std::deque<Map::value_type*> changed_;  // pointers into map_, while connected
  size_t count_ = 0;                      // wanted ones
  bool connected_ = false;
};

}  // namespace libws_redis

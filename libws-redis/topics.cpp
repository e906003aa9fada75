#include "topics.hpp"

#include "resp.hpp"

namespace libws_redis {
namespace {

void append_literal(std::string* out, char c) {
  if (c == '*' || c == '?' || c == '[' || c == ']' || c == '\\') *out += '\\';
  *out += c;
}

}  // namespace

std::string glob_of(const std::string& prefix, const std::string& pattern) {
  std::string glob;
  for (char c : prefix) append_literal(&glob, c);
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '*') {
      append_literal(&glob, pattern[i]);
    } else if (i == 0 || pattern[i - 1] != '*') {
      glob += '*';
    }
  }
  return glob;
}

void Topics::queue(Map::value_type* entry) {
  if (entry->second.queued) return;
  changed_.push_back(entry);
  entry->second.queued = true;
}

void Topics::set(const char* topic, bool active) {
  auto found = map_.find(topic);
  if (found == map_.end()) {
    if (!active) return;
    found = map_.emplace(topic, State()).first;
  }
  State& state = found->second;
  if (state.wanted == active) return;
  if (connected_) queue(&*found);
  state.wanted = active;
  active ? ++count_ : --count_;
  if (!connected_ && !active) map_.erase(found);
}

void Topics::clear() {
  changed_.clear();
  map_.clear();
  count_ = 0;
  connected_ = false;
}

void Topics::lost() {
  changed_.clear();
  connected_ = false;
  for (auto it = map_.begin(); it != map_.end();) {
    if (it->second.wanted) {
      it->second = {true, false, false};
      ++it;
    } else {
      it = map_.erase(it);
    }
  }
}

void Topics::connected() {
  connected_ = true;
  for (auto& entry : map_) queue(&entry);
}

bool Topics::next(std::string* out) {
  while (!changed_.empty()) {
    Map::value_type* entry = changed_.front();
    changed_.pop_front();
    State& state = entry->second;
    state.queued = false;
    bool change = state.wanted != state.told;
    if (change) {
      bool pattern = entry->first.find('*') != std::string::npos;
      std::string name = pattern ? glob_of(prefix_, entry->first) : prefix_ + entry->first;
      append_command(out, {state.wanted ? (pattern ? "PSUBSCRIBE" : "SUBSCRIBE")
                                        : (pattern ? "PUNSUBSCRIBE" : "UNSUBSCRIBE"),
                           name});
      state.told = state.wanted;
    }
    if (!state.wanted) map_.erase(map_.find(entry->first));
    if (change) return true;
  }
  return false;
}

}  // namespace libws_redis

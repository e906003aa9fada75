#include "libws/pubsub/directory.hpp"

#include <cstring>
#include <new>

namespace libws {

void LoopSet::add(uint32_t place) {
  if (place < 64) {
    first_ |= uint64_t{1} << place;
    return;
  }
  if (more_ == nullptr) {
    more_ = static_cast<uint64_t*>(try_alloc(kMoreWords * sizeof(uint64_t)));
    if (more_ == nullptr) throw std::bad_alloc();
    std::memset(more_, 0, kMoreWords * sizeof(uint64_t));
  }
  more_[place / 64 - 1] |= uint64_t{1} << (place % 64);
}

void LoopSet::remove(uint32_t place) {
  uint64_t& word = place < 64 ? first_ : more_[place / 64 - 1];
  word &= ~(uint64_t{1} << (place % 64));
}

bool LoopSet::empty() const {
  uint64_t all = first_;
  for (uint32_t i = 0; more_ != nullptr && i < kMoreWords; ++i) all |= more_[i];
  return all == 0;
}

void LoopSet::add_to(LoopMask* mask) const {
  mask->words[0] |= first_;
  for (uint32_t i = 0; more_ != nullptr && i < kMoreWords; ++i) mask->words[i + 1] |= more_[i];
}

Directory::~Directory() {
  // Only what an abandoned loop leaves.
  for (size_t cursor = 0; Topic* topic = table_.at(&cursor); ++cursor) {
    topic->unlink();
    delete topic;
  }
}

Topic* Directory::lookup(std::string_view name, uint32_t hash) const {
  return table_.find(hash, [&](const Topic& t) { return t.name() == name; });
}

const Topic* Directory::find(std::string_view name, uint32_t hash) const {
  const Topic* topic = lookup(name, hash);
  return topic != nullptr && !topic->loops.empty() ? topic : nullptr;
}

Error Directory::join(std::string_view name, uint32_t hash, bool pattern, uint32_t place,
                      Topic** out) {
  Topic* topic = lookup(name, hash);
  const bool first = topic == nullptr || topic->loops.empty();
  if (first && present_ >= max_) {
    return fail(WS_ERR_FULL, "subscribe: there are %u topics, which is max_topics", present_);
  }
  Topic* fresh = nullptr;
  if (topic == nullptr) {
    table_.reserve_one();
    void* memory = try_alloc(sizeof(Topic) + name.size());
    if (memory == nullptr) return fail(WS_ERR_NOMEM, "subscribe: topic");
    topic = fresh = new (memory) Topic;
    topic->hash = hash;
    topic->len = static_cast<uint16_t>(name.size());
    topic->pattern = pattern;
    std::memcpy(reinterpret_cast<char*>(topic + 1), name.data(), name.size());
  }
  try {
    if (first && pattern) patterns_.insert(name, topic);
    try {
      topic->loops.add(place);
    } catch (const std::bad_alloc&) {
      if (first && pattern) patterns_.erase(name);
      throw;
    }
  } catch (const std::bad_alloc&) {
    delete fresh;
    throw;
  }
  if (fresh != nullptr) table_.insert(fresh);
  if (first) {
    ++present_;
    changed(topic);
  }
  *out = topic;
  return Error();
}

void Directory::leave(Topic* topic, uint32_t place) {
  topic->loops.remove(place);
  if (!topic->loops.empty()) return;
  if (topic->pattern) patterns_.erase(topic->name());
  --present_;
  changed(topic);
}

void Directory::changed(Topic* topic) {
  const bool active = !topic->loops.empty();
  if (watched_ && active != topic->told) {
    changes_.push_back(topic);
    return;
  }
  topic->unlink();
  if (!active) destroy(topic);
}

void Directory::destroy(Topic* topic) {
  topic->unlink();
  table_.erase(topic);
  table_.shrink();
  delete topic;
}

void Directory::route(std::string_view name, uint32_t hash, LoopMask* mask) const {
  if (const Topic* topic = lookup(name, hash)) topic->loops.add_to(mask);
  if (patterns_.empty()) return;
  patterns_.match(name, [&](void* found) { static_cast<Topic*>(found)->loops.add_to(mask); });
}

void Directory::watch(bool on) {
  watched_ = on;
  for (size_t cursor = 0; Topic* topic = table_.at(&cursor);) {
    topic->unlink();
    topic->told = false;
    if (topic->loops.empty()) {
      table_.erase(topic);
      delete topic;
      continue;
    }
    if (on) changes_.push_back(topic);
    ++cursor;
  }
}

bool Directory::take_change(char* name, bool* active) {
  Topic* topic = changes_.pop_front();
  if (topic == nullptr) return false;
  std::memcpy(name, topic->name().data(), topic->len);
  name[topic->len] = '\0';
  *active = topic->told = !topic->loops.empty();
  if (!*active) destroy(topic);
  return true;
}

}  // namespace libws

#include "outbox.hpp"

#include "resp.hpp"

namespace libws_redis {

namespace {
constexpr uint64_t kItemBytes = 64;  // what a message costs beside payload and topic
}

void Outbox::push(const char* topic, ws_message* message) {
  Item item;
  item.topic = topic;
  item.cost = ws_message_data(message).len + item.topic.size() + kItemBytes;
  item.number = last_number_ + 1;
  uint64_t cost = item.cost;
  // What was sent already stays, since Redis has it and will answer for it.
  if (cost > max_bytes_ - sent_bytes_) {
    ++dropped_;
    return;
  }
  waiting_.push_back(std::move(item));
  waiting_.back().message.reset(ws_message_ref(message));
  // The oldest goes first: who reads later wants what is new.
  while (cost > max_bytes_ - bytes_) {
    bytes_ -= waiting_.front().cost;
    waiting_.pop_front();
    ++dropped_;
  }
  ++last_number_;
  bytes_ += cost;
}

bool Outbox::next(std::string* out) {
  if (waiting_.empty()) return false;
  const Item& item = waiting_.front();
  Envelope envelope;
  envelope.opcode = ws_message_opcode(item.message.get());
  envelope.origin = origin_;
  envelope.number = item.number;
  auto head = envelope.encode();
  ws_slice data = ws_message_data(item.message.get());
  std::string_view payload;
  if (data.len != 0) payload = {static_cast<const char*>(data.data), data.len};
  append_command(out, {"PUBLISH", prefix_ + item.topic, {head.data(), head.size()}}, payload);
  sent_bytes_ += item.cost;
  sent_.splice(sent_.end(), waiting_, waiting_.begin());
  return true;
}

bool Outbox::answered() {
  if (sent_.empty()) return false;
  bytes_ -= sent_.front().cost;
  sent_bytes_ -= sent_.front().cost;
  sent_.pop_front();
  return true;
}

bool Outbox::confirm() {
  if (!answered()) return false;
  ++confirmed_;
  return true;
}

bool Outbox::refuse() {
  if (!answered()) return false;
  ++refused_;
  ++dropped_;
  return true;
}

void Outbox::rewind() {
  sent_bytes_ = 0;
  waiting_.splice(waiting_.begin(), sent_);
}

}  // namespace libws_redis

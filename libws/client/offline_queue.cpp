#include "libws/client/offline_queue.hpp"

namespace libws {

Error OfflineQueue::push(ws_opcode op, Bytes data, uint32_t flags) {
  const uint64_t size = data.size() + kOverhead;
  if (size > limit_ || held_ > limit_ - size) {
    return fail(WS_ERR_FULL, "send: %zu bytes do not fit the queue of a client that is not open",
                data.size());
  }
  Waiting entry;
  entry.flags = flags;
  const bool check_text = (flags & WS_SEND_NO_UTF8_CHECK) == 0;
  if (Error e = Message::copy(op, data, &entry.message, check_text)) return e;
  waiting_.push_back(std::move(entry));
  bytes_ += data.size();
  held_ += size;
  return Error();
}

void OfflineQueue::pop() {
  const size_t len = waiting_.front().message->data().size();
  bytes_ -= len;
  held_ -= len + kOverhead;
  waiting_.pop_front();
}

}  // namespace libws

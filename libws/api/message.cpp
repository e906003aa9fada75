#include "libws/protocol/message.hpp"
#include "libws/api/guard.hpp"
#include "libws/protocol/limits.hpp"

#include <libws/message.h>

using namespace libws;

int ws_message_new(ws_opcode op, const void* data, size_t len, ws_message** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    Ref<Message> m;
    if (Error e = Message::copy(op, bytes(data, len), &m)) return e;
    *out = to_handle(m.release());
    return Error();
  });
}

int ws_message_wrap(ws_opcode op, const void* data, size_t len,
                    void (*release)(void* arg, const void* data, size_t len), void* arg,
                    ws_message** out) {
  return guarded([&] {
    if (out == nullptr) return null_argument("out");
    Ref<Message> m;
    if (Error e = Message::wrap(op, bytes(data, len), release, arg, &m)) return e;
    *out = to_handle(m.release());
    return Error();
  });
}

int ws_message_set_flags(ws_message* m, uint32_t flags) {
  return guarded([&] {
    if (m == nullptr) return null_argument("message");
    return from_handle<Message>(m)->set_flags(flags);
  });
}

int ws_message_set_slow(ws_message* m, ws_slow slow) {
  return guarded([&] {
    if (m == nullptr) return null_argument("message");
    return from_handle<Message>(m)->set_slow(number_in(slow));
  });
}

int ws_message_set_key(ws_message* m, const void* key, size_t len) {
  return guarded([&] {
    if (m == nullptr) return null_argument("message");
    if (key == nullptr) return null_argument("key");
    return from_handle<Message>(m)->set_key(bytes(key, len));
  });
}

int ws_message_set_urgency(ws_message* m, unsigned urgency) {
  return guarded([&] {
    if (m == nullptr) return null_argument("message");
    return from_handle<Message>(m)->set_urgency(urgency);
  });
}

ws_message* ws_message_ref(ws_message* m) {
  if (m != nullptr) from_handle<Message>(m)->ref();
  return m;
}

void ws_message_unref(ws_message* m) {
  if (m != nullptr) from_handle<Message>(m)->unref();
}

ws_opcode ws_message_opcode(const ws_message* m) {
  return m != nullptr ? from_handle<Message>(m)->opcode() : static_cast<ws_opcode>(0);
}

ws_slice ws_message_data(const ws_message* m) {
  if (m == nullptr) return {nullptr, 0};
  Bytes data = from_handle<Message>(m)->data();
  return {data.data(), data.size()};
}

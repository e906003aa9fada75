#include "libws/protocol/message.hpp"

#include "libws/protocol/block.hpp"
#include "libws/protocol/utf8.hpp"

namespace libws {
namespace {

Error check(ws_opcode op, Bytes data, bool check_text) {
  if (op != WS_OP_TEXT && op != WS_OP_BINARY) {
    return fail(WS_ERR_INVALID, "message: opcode %d is not TEXT or BINARY", static_cast<int>(op));
  }
  if (data.data() == nullptr && !data.empty()) {
    return fail(WS_ERR_INVALID, "message: data is NULL but the length is %zu", data.size());
  }
  if (op == WS_OP_TEXT && check_text && !utf8_valid(data.data(), data.size())) {
    return fail(WS_ERR_UTF8, "message: text of %zu bytes is not UTF-8", data.size());
  }
  return Error();
}

void release_copy(void* arg, const void*, size_t) { libws::release(arg); }

void release_block(void* arg, const void*, size_t) { BlockPool::destroy(static_cast<Block*>(arg)); }

}  // namespace

Error Message::copy(ws_opcode op, Bytes data, Ref<Message>* out, bool check_text) {
  if (Error e = check(op, data, check_text)) return e;
  void* storage = nullptr;
  if (!data.empty()) {
    storage = try_alloc(data.size());
    if (storage == nullptr) return fail(WS_ERR_NOMEM, "message of %zu bytes", data.size());
    copy_bytes(storage, data.data(), data.size());
  }
  auto* m = new (std::nothrow) Message(op, bytes(storage, data.size()), release_copy, storage);
  if (m == nullptr) {
    libws::release(storage);
    return fail(WS_ERR_NOMEM, "message of %zu bytes", data.size());
  }
  *out = Ref<Message>::adopt(m);
  return Error();
}

Error Message::wrap(ws_opcode op, Bytes data, Release release, void* arg, Ref<Message>* out) {
  if (Error e = check(op, data, true)) return e;
  auto* m = new (std::nothrow) Message(op, data, release, arg);
  if (m == nullptr) return fail(WS_ERR_NOMEM, "message");
  *out = Ref<Message>::adopt(m);
  return Error();
}

Ref<Message> Message::adopt(ws_opcode op, Block* block) {
  Bytes data{block->bytes() + block->begin, block->size()};
  return Ref<Message>::adopt(new (std::nothrow) Message(op, data, release_block, block));
}

Message::~Message() {
  if (release_ != nullptr) release_(arg_, data_.data(), data_.size());
}

}  // namespace libws

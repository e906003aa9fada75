// An immutable message shared by any number of connections and threads.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/base/error.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/ref.hpp"

#include <libws/message.h>

namespace libws {

struct Block;

class Message final : public RefCounted<Message>, public Allocated {
 public:
  using Release = void (*)(void* arg, const void* data, size_t len);

  // Copies.  Errors: INVALID (opcode), UTF8, NOMEM.
  static Error copy(ws_opcode op, Bytes data, Ref<Message>* out, bool check_text = true);
  // Borrows until the last reference goes.  Errors: as copy; then `release` was not called.
  static Error wrap(ws_opcode op, Bytes data, Release release, void* arg, Ref<Message>* out);
  // Takes over a block whose bytes are a message that was received (so it was checked); null when
  // out of memory, and the block is still the caller's.
  static Ref<Message> adopt(ws_opcode op, Block* block);

  ws_opcode opcode() const { return op_; }
  Bytes data() const { return data_; }

 private:
  friend class RefCounted<Message>;
  Message(ws_opcode op, Bytes data, Release release, void* arg)
      : data_(data), release_(release), arg_(arg), op_(op) {}
  ~Message();

  Bytes data_;
  Release release_;
  void* arg_;
  ws_opcode op_;
};
LIBWS_HANDLE(Message, ws_message);

}  // namespace libws

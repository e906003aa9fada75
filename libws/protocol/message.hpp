// An immutable message shared by any number of connections and threads.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/base/error.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/ref.hpp"

#include <libws/message.h>

#include <atomic>
#include <string_view>

namespace libws {

// Flags of a send.
inline constexpr uint32_t kSendLevelMask = 0xf00;
inline int send_level(uint32_t flags) {  // 0: as configured
  return static_cast<int>((flags & kSendLevelMask) / WS_SEND_LEVEL(1));
}
// `what` names the call.  Errors: UNSUPPORTED, INVALID.
Error check_send_flags(uint32_t flags, const char* what);

struct Block;
class BlockPool;
class DeflatePool;

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

  // WS_SEND_NO_DEFLATE, WS_SEND_DEFLATE, WS_SEND_LEVEL.
  uint32_t flags() const { return flags_.load(std::memory_order_relaxed); }
  Error set_flags(uint32_t flags);

  // Of a receiver that is slow.  Most messages leave all of it to the connection.
  bool has_manners() const { return manners_.load(std::memory_order_relaxed) != 0; }
  ws_slow slow() const {
    return static_cast<ws_slow>(manners_.load(std::memory_order_relaxed) & kSlowMask);
  }
  unsigned urgency() const { return manners_.load(std::memory_order_relaxed) / kUrgencyUnit; }
  std::string_view key() const {  // "" if none
    return key_ != nullptr ? std::string_view(key_ + 1, static_cast<uint8_t>(*key_))
                           : std::string_view();
  }
  Error set_slow(int slow);
  Error set_key(Bytes key);
  Error set_urgency(unsigned urgency);

  // The payload as it travels compressed, referring to nothing before it, no further back than
  // 2^window_bits.  Made by the first who asks, on any thread; whoever asks meanwhile waits. Empty:
  // it does not get smaller, or there was no memory.
  Bytes deflated(BlockPool& blocks, DeflatePool& pool, int window_bits, int level) const;

 private:
  static constexpr uint8_t kSlowMask = 7;
  static constexpr uint8_t kUrgencyUnit = 8;

  struct Form;
  Block* make_form(BlockPool& blocks, DeflatePool& pool, int window_bits, int level) const;

  friend class RefCounted<Message>;
  Message(ws_opcode op, Bytes data, Release release, void* arg)
      : data_(data), release_(release), arg_(arg), op_(op) {}
  ~Message();

  Bytes data_;
  Release release_;
  void* arg_;
  mutable std::atomic<Form*> forms_{nullptr};
  std::atomic<uint32_t> flags_{0};
  std::atomic<uint8_t> manners_{0};  // kUrgencyUnit times the urgency, and the ws_slow
  ws_opcode op_;
  char* key_ = nullptr;  // its length in the first byte
};
LIBWS_HANDLE(Message, ws_message);

}  // namespace libws

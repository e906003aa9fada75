#include "libws/protocol/message.hpp"

#include "libws/protocol/block.hpp"
#include "libws/protocol/deflate_block.hpp"
#include "libws/protocol/deflate_pool.hpp"
#include "libws/protocol/limits.hpp"
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

Error check_send_flags(uint32_t flags, const char* what) {
  constexpr uint32_t kKnown =
      WS_SEND_NO_UTF8_CHECK | WS_SEND_LATER | WS_SEND_NO_DEFLATE | WS_SEND_DEFLATE | kSendLevelMask;
  if ((flags & ~kKnown) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "%s: unknown flags 0x%x", what, flags & ~kKnown);
  }
  if (send_level(flags) > 9) {
    return fail(WS_ERR_INVALID, "%s: level %d is not 1 to 9", what, send_level(flags));
  }
  if ((flags & WS_SEND_DEFLATE) != 0 && (flags & WS_SEND_NO_DEFLATE) != 0) {
    return fail(WS_ERR_INVALID, "%s: both WS_SEND_DEFLATE and WS_SEND_NO_DEFLATE", what);
  }
  return Error();
}

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

Error Message::set_flags(uint32_t flags) {
  if (Error e = check_send_flags(flags, "message")) return e;
  constexpr uint32_t kAllowed =
      WS_SEND_LATER | WS_SEND_NO_DEFLATE | WS_SEND_DEFLATE | kSendLevelMask;
  if ((flags & ~kAllowed) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "message: flags 0x%x are not for messages", flags & ~kAllowed);
  }
  flags_.store(flags, std::memory_order_relaxed);
  return Error();
}

Error Message::set_slow(int slow) {
  if (Error e = check_slow(slow)) return e;
  const unsigned others = manners_.load(std::memory_order_relaxed) & ~unsigned{kSlowMask};
  manners_.store(static_cast<uint8_t>(others | static_cast<unsigned>(slow)),
                 std::memory_order_relaxed);
  return Error();
}

Error Message::set_key(Bytes key) {
  if (key.empty() || key.size() > UINT8_MAX) {
    return fail(WS_ERR_INVALID, "message: key of %zu bytes, not 1 to 255", key.size());
  }
  auto* copy = static_cast<char*>(try_alloc(1 + key.size()));
  if (copy == nullptr) return fail(WS_ERR_NOMEM, "message: key");
  *copy = static_cast<char>(key.size());
  copy_bytes(copy + 1, key.data(), key.size());
  libws::release(std::exchange(key_, copy));
  return Error();
}

Error Message::set_urgency(unsigned urgency) {
  if (urgency > 3) return fail(WS_ERR_INVALID, "message: urgency %u is not 0 to 3", urgency);
  const unsigned slow = manners_.load(std::memory_order_relaxed) & unsigned{kSlowMask};
  manners_.store(static_cast<uint8_t>(slow + urgency * kUrgencyUnit), std::memory_order_relaxed);
  return Error();
}

// One compressed form; a message has few, so they are a list that only grows.
struct Message::Form : Allocated {
  enum State : int { kMaking, kReady };

  Form* next;
  int window_bits;
  int level;
  std::atomic<int> state{kMaking};
  Block* block = nullptr;  // null when ready: there is none

  Form(int bits, int of_level) : next(nullptr), window_bits(bits), level(of_level) {}
  ~Form() {
    if (block != nullptr) BlockPool::destroy(block);
  }
};

Bytes Message::deflated(BlockPool& blocks, DeflatePool& pool, int window_bits, int level) const {
  Form* mine = nullptr;
  Form* found = nullptr;
  for (Form* head = forms_.load(std::memory_order_acquire); found == nullptr;) {
    found = head;
    while (found != nullptr && (found->window_bits != window_bits || found->level != level)) {
      found = found->next;
    }
    if (found != nullptr) break;
    if (mine == nullptr) mine = new (std::nothrow) Form(window_bits, level);
    if (mine == nullptr) return {};
    mine->next = head;
    if (forms_.compare_exchange_weak(head, mine, std::memory_order_acq_rel)) found = mine;
  }
  if (found == mine) {
    mine->block = make_form(blocks, pool, window_bits, level);
    mine->state.store(Form::kReady, std::memory_order_release);
    mine->state.notify_all();
  } else {
    delete mine;
    found->state.wait(Form::kMaking, std::memory_order_acquire);
  }
  const Block* b = found->block;
  return b != nullptr ? Bytes{b->bytes() + b->begin, b->size()} : Bytes{};
}

Block* Message::make_form(BlockPool& blocks, DeflatePool& pool, int window_bits, int level) const {
  const bool forced = (flags() & WS_SEND_DEFLATE) != 0;
  if (data_.empty() || (!forced && looks_random(data_))) return nullptr;
  Deflater* d = pool.fresh_deflater(window_bits, level);
  if (d == nullptr) return nullptr;
  Block* b = deflate_block(blocks, *d, data_, forced ? SIZE_MAX : data_.size() - 1);
  if (b == nullptr) return nullptr;
  b->end -= kFlushTailBytes;
  ++pool.deflated;
  return b;
}

Message::~Message() {
  for (Form* f = forms_.load(std::memory_order_relaxed); f != nullptr;) {
    Form* next = f->next;
    delete f;
    f = next;
  }
  libws::release(key_);
  if (release_ != nullptr) release_(arg_, data_.data(), data_.size());
}

}  // namespace libws

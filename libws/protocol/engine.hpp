// The protocol engine: one WebSocket connection, client or server, without I/O.
//
//   state        enters when                       leaves when
//   kOpening     made                              the head is whole, refused, or time is up
//   kAnswering   server: a request is reported     accept -> kOpen, respond -> kDrain
//   kRefused     client: a status other than 101   its body has arrived -> kDrain
//   kOpen        101 queued, or received           a Close goes or comes, a fault, the end
//   kClosing     our Close is queued               the peer's Close comes -> kDrain; time is up
//   kDrain       the outcome is decided            output has left and the peer is done -> kDone
//   kDone        nothing more happens
//
// Invariants: the CLOSED event is given exactly once, on entering kDrain or kDone, and nothing
// after it.  No data frame is queued after our Close.  After kDrain begins no byte from the peer
// is looked at (RFC 6455 7.1.7).  Allocation failures never leave half a frame behind.
//
// The file set follows the states: engine_open, engine_recv, engine_send, engine_close; and
// engine_inflate, engine_deflate for the messages that permessage-deflate has to do with;
// engine_held for input that the owner holds back, engine_flow for rates and the lifetime.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/base/error.hpp"
#include "libws/base/ref.hpp"
#include "libws/protocol/block.hpp"
#include "libws/protocol/deflate_params.hpp"
#include "libws/protocol/deflate_pool.hpp"
#include "libws/protocol/frame.hpp"
#include "libws/protocol/handshake.hpp"
#include "libws/protocol/limits.hpp"
#include "libws/protocol/mask.hpp"
#include "libws/protocol/message.hpp"
#include "libws/protocol/outbox.hpp"
#include "libws/protocol/random_pool.hpp"
#include "libws/protocol/request.hpp"
#include "libws/protocol/utf8.hpp"

#include <libws/engine.h>

namespace libws {

// What the engines of one thread share.  One per loop, or one per engine that stands alone.
struct EngineResources {
  EngineResources(size_t keep_bytes, RandomPool::Source source, void* user)
      : blocks(keep_bytes), random(source, user) {}

  BlockPool blocks;
  RandomPool random;
  DeflatePool deflate;
  // How much more may be decompressed before other connections get their turn, in bytes of output
  // or what costs as much; the owner sets it.
  int64_t inflate_budget = INT64_MAX;
  uint64_t now_us = 0;                // set by the owner before it calls an engine
  int64_t (*wall_clock)() = nullptr;  // seconds for the Date field; null: no Date is sent
  ws_close_info close_info = {};      // of the last CLOSED event
  char close_reason[kMaxControlPayload + 1] = "";
};

enum class Role : uint8_t { kServer, kClient };

struct Event {
  ws_event_type type;
  ws_opcode op;
  uint32_t flags;
  const uint8_t* data;
  size_t len;
};

// No event of the public API has this value.  For an owner that asked for it by set_rooms(): a
// message of `len` bytes is arriving; where it shall go is told by give_room().
inline constexpr ws_event_type kEvRoom = ws_event_type{};

class Engine {
 public:
  // `limits` (or, from accept() on, those it was told) and `shared` must outlive the engine. Throws
  // std::bad_alloc.
  Engine(Role role, const Limits& limits, EngineResources& shared, bool chunks);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Client: queue the request.  Errors: INVALID, IO (no random bytes).
  Error start_client(const OpenRequest& open);

  // RFC 6455 7.4: codes that may stand in a Close frame, sent or received.
  static bool may_send_code(uint16_t code);
  // Whether close() can be called so.  Errors: INVALID.
  static Error check_close(Role role, uint16_t code, std::string_view reason);

  // ---- input ----
  // In place: `data` is read and changed until next() returns false.
  void feed(uint8_t* data, size_t len);
  // The same from bytes that must not be changed.  Errors: NOMEM.
  Error feed_copy(Bytes data);
  // Open, and nothing unfinished, held or due sooner than it was: the next bytes may go anywhere
  // and begin a frame.
  bool at_rest() const {
    return state_ == State::kOpen && partial_ == nullptr && in_ == in_end_ && !drained_ &&
           !deadline_moved_;
  }
  bool input_pending() const { return in_ != in_end_ || yielded(); }
  // next() gave no event because inflate_budget is used up, not because there is nothing.
  bool yielded() const { return yielded_ && state_ == State::kOpen; }
  // Where bytes of the message under assembly may be read directly; empty when anywhere will do.
  std::span<uint8_t> landing();
  void landed(size_t n);
  void feed_eof() { eof_ = true; }
  // Moves input not yet looked at into a block of the engine's own, so that the buffer it was fed
  // from can be used again.  False: out of memory, the connection has failed.
  bool hold_input();

  // ---- events ----
  bool next(Event& ev) {
    if (state_ == State::kOpen && !open_pending_) {
      bool something = in_ != in_end_ || partial_ != nullptr;
      if (something && receive(ev)) return true;
      if (state_ == State::kOpen && in_ == in_end_ && held_ == nullptr && !eof_) return false;
    }
    return next_slow(ev);
  }
  Request* request() const;
  const ws_close_info& close_info() const { return shared_.close_info; }
  // The message of the event that next() just gave, to keep.  Null: out of memory.
  Ref<Message> keep(const Event& ev);

  // ---- input held back ----
  // While the owner takes no messages, next_control() comes in place of next(), and feed_behind()
  // in place of feed(): what waits is kept, and its pings and pongs are events all the same.  With
  // `end_too` so is the end of the connection, once no message can come before it.
  void feed_behind(uint8_t* data, size_t len);
  bool next_control(Event& ev, bool end_too);
  // How much more may be read meanwhile.
  size_t ahead_room() const;
  // Before next() again.  What the last event points to stays.
  void end_hold() {
    if (looking_) close_gap();
  }
  // `held`: messages are held back.  `suspended`: and nothing is read, so that silence from the
  // peer is our own doing.
  void set_held(bool held, bool suspended);

  // ---- rates ----
  // next() for an engine that may have rates, and messages_wait() instead of one that is early.
  bool next_metered(Event& ev);
  // Before each feed() of one that has.
  void charge(size_t n) {
    if (flow_ != nullptr) charge_flow(n);
  }
  // Until the tick at the deadline.
  bool messages_wait() const { return flow_ != nullptr && messages_late(); }
  bool reading_waits() const { return flow_ != nullptr && reading_late(); }
  // How much of `n` bytes may be read now, at least 1.
  size_t read_room(size_t n) const;

  // ---- answers to a request; called by its host, arguments checked ----
  Error accept(const AcceptOptions& how);
  Error respond(const Response& response);
  // The library's own answer to the pending request.
  void refuse(int status, const char* why) { refuse(status, why, request_is_head()); }
  // A server's, that takes no new connections any more: 503 to whoever has sent something, before
  // or after its request was whole; the others are dropped.  Errors: CLOSED (past the handshake).
  Error turn_away(const char* why);

  // ---- output ----
  bool has_output() const { return !outbox_.empty(); }
  size_t output(ws_slice* out, size_t max) const { return outbox_.slices(out, max); }
  // The output when it is in one piece, which it is after a turn of small messages; else empty.
  ws_slice only_output() const { return outbox_.only_slice(); }
  // n may be 0: the peer took nothing.
  void sent(size_t n);
  // For a transport with a buffer of its own (TLS): what it has taken and not passed on has not
  // been taken by the peer.  `moved`: some of it has left since the last call.
  void below_has(size_t unsent, bool moved);
  size_t buffered() const { return outbox_.bytes(); }
  // True once after the queue fell to its low mark following a BACKPRESSURE.
  bool take_drained();
  // True while a send would still be above the high mark.
  const Limits& limits() const { return *limits_; }
  bool above_high() const { return outbox_.bytes() > limits_->send_high; }
  // BACKPRESSURE was reported and the queue has not drained since; an owner that wrote at once
  // and so did not pass the report on takes it back.
  bool pressed() const { return pressed_; }
  void press() { pressed_ = true; }
  void forget_pressure() { pressed_ = drained_ = false; }
  // For an owner that keeps messages of its own waiting, and gives them while the queue is short:
  // they count in its bounds already, and nothing is drained as long as there are any.
  bool pressed_or_drained() const { return pressed_ || drained_; }
  void press_again() { pressed_ = true, drained_ = false; }
  void set_bounded(bool bounded) { unbounded_ = !bounded; }

  // The steady path of a server is inlined into its caller, by force because it is long:
  // bench/instructions shows what a call for each of its steps would cost.
  [[gnu::always_inline]] Error send(ws_opcode op, Bytes data, uint32_t flags) {
    const size_t len = data.size();
    const bool plain = state_ == State::kOpen && role_ == Role::kServer && sending_op_ == 0 &&
                       flags == 0 && len < deflate_from_ &&
                       outbox_.fits(len, limits_->send_limit) &&
                       (data.data() != nullptr || len == 0) &&
                       (op == WS_OP_BINARY || (op == WS_OP_TEXT && utf8_valid(data.data(), len)));
    if (!plain) return send_checked(op, data, flags);
    uint8_t* out = outbox_.reserve(shared_.blocks, kMaxFrameHeader + len);
    if (out == nullptr) return send_checked(op, data, flags);
    const size_t n = encode_frame(out, true, static_cast<uint8_t>(op), len, nullptr);
    mask_copy(out + n, data.data(), len, 0);  // a key of 0 copies, short payloads inline
    outbox_.commit(n + len);
    return finish_send();
  }
  // What send() would refuse of it at once, whatever is queued.  Errors: CLOSED, INVALID,
  // UNSUPPORTED.
  Error check_send(ws_opcode op, Bytes data, uint32_t flags, const char* what) const;
  // Whether send() would try to compress this.
  bool may_deflate(size_t len, uint32_t flags) const {
    if (!deflate_.compresses || (flags & WS_SEND_NO_DEFLATE) != 0) return false;
    return len >= deflate_from_ || (flags & WS_SEND_DEFLATE) != 0;
  }
  Error begin_parts(uint32_t flags);
  uint32_t part_flags() const { return part_flags_; }
  bool in_sent_parts() const { return sending_op_ != 0; }  // a message sent in parts is unfinished
  Error send_part(ws_opcode op, Bytes data, bool last);
  Error send_message(const Message& m);
  // Queues the header and borrows the payload; own_external() must follow before the caller
  // returns.  Servers only.
  Error send_borrowed(ws_opcode op, Bytes data, uint32_t flags);
  bool own_external();
  Error ping(Bytes data);
  Error pong(Bytes data);
  Error close(uint16_t code, std::string_view reason);
  // Ends at once: nothing more is sent.
  void abort(int error, int sys_errno, const char* detail);
  // The same, and no event tells of it.
  void abandon();

  // ---- state ----
  Role role() const { return role_; }
  bool is_open() const { return state_ == State::kOpen; }
  bool ended() const { return state_ >= State::kDrain; }  // the outcome is decided
  uint32_t want() const;
  void tick();
  // Instead of the first tick: the handshake timeout counts from `us`, when a client began to
  // look for its server.
  void began_at(uint64_t us);
  uint64_t deadline_us() const;
  // The same, for an owner that sets its timer to it.
  uint64_t take_deadline_us() {
    deadline_moved_ = false;
    return deadline_us();
  }
  // at_rest() is false until the deadline is asked for again, for an owner with more to look after
  // than the engine: so that question costs no connection that has nothing to be looked after.
  void ask_again() { deadline_moved_ = true; }
  // From the next message on; one that has begun is finished as it was begun.
  void set_chunks(bool chunks) { chunks_ = chunks; }
  // Whether the message of the event that next() just gave comes in parts.
  bool in_parts() const;
  // Whether large messages bring kEvRoom.
  void set_rooms(bool rooms) { rooms_ = rooms; }
  // Called before the next next(), with as many bytes as the event said.  Null, or no call: the
  // message is assembled here.
  void give_room(uint8_t* room);
  // What is held in buffers; those of permessage-deflate and the application's are not counted.
  // The first is quickly told, and as much as the second or more.  In the second a message that is
  // queued elsewhere too, or kept, counts in equal parts.
  size_t held_at_most() const { return held_apart_from_output() + outbox_.held_at_most(); }
  size_t held_bytes() const { return held_apart_from_output() + outbox_.held_bytes(); }
  // Gives that back: close 1013 if nothing else waits to be sent, else an abort.
  void end_for_memory();
  // Gives every buffer back; after kDone, so that the destructor may run on any thread.
  void release_buffers();
  // The owner did not run for a while: a ping that was due and not sent is sent now, before the
  // peer's silence counts.
  void was_away();
  const char* subprotocol() const { return protocol_ != nullptr ? protocol_ : ""; }
  bool closed_cleanly() const { return (close_flags_ & WS_CLOSE_CLEAN) != 0; }
  // The response a client got, null before it.
  const Head* response() const;
  const char* response_header(std::string_view name, size_t* len);
  Bytes response_body() const;
  uint32_t rtt_us() const { return rtt_us_; }
  uint64_t messages_in() const { return messages_in_; }
  uint64_t messages_out() const { return messages_out_; }
  void deflate_info(ws_deflate_info* out) const;

 private:
  // Payloads of prepared messages up to this are copied: cheaper than a counted reference and a
  // slice of their own.
  static constexpr size_t kCopyBelow = 256;

  enum class State : uint8_t { kOpening, kAnswering, kRefused, kOpen, kClosing, kDrain, kDone };
  // What a step of the receiver did.
  enum class Step : uint8_t { kEvent, kAgain, kMore };
  struct Opening;
  struct Partial;
  struct Contexts;
  struct Look;
  struct Flow;

  // engine.cpp
  bool next_slow(Event& ev);
  bool give_closed(Event& ev);
  void finish_input();
  void take_eof();
  void set_phase_deadline(uint64_t after_us);
  uint64_t keepalive_deadline_us() const;
  void keepalive();

  size_t held_apart_from_output() const;

  // engine_open.cpp
  bool open_step(Event& ev);
  bool take_request_head(Event& ev);
  void take_response_head();
  void take_response(Head head, const ResponseVerdict& verdict);
  void take_response_body();
  void refuse(int status, const char* why, bool head_only);
  bool request_is_head() const;
  void fail_opening(int error, int status, const char* why);
  bool set_protocol(std::string_view name);
  void leave_opening();

  // engine_recv.cpp
  bool receive(Event& ev);
  Step receive_whole(Event& ev);
  Step receive_step(Event& ev);
  Step receive_stash(Event& ev);
  Step begin_frame(const FrameHeader& h, Event& ev);
  Step deliver_whole(uint8_t opcode, uint8_t* data, size_t len, uint32_t key, Event& ev);
  Step receive_payload(Event& ev);
  Step receive_chunk(Event& ev, size_t n);
  Step end_frame(Event& ev);
  Step handle_control(uint8_t opcode, uint8_t* payload, size_t len, Event& ev);
  Step stash_input(size_t n);
  const char* check_sequence(uint8_t first) const;
  uint64_t message_room(uint8_t first) const;
  uint64_t room_after(uint64_t used, bool compressed) const;
  bool message_is_open() const;
  Step give_message(Event& ev, const uint8_t* data, size_t len);
  Step give_chunk(Event& ev, const uint8_t* data, size_t len, bool last);
  bool ensure_partial();
  void drop_partial();
  void release_delivered();
  uint8_t* place_for(size_t n);
  bool grow_assembly(size_t n);
  bool take_text(uint8_t* to, const uint8_t* from, size_t n, uint32_t key);

  // engine_held.cpp
  Look& look() const;
  bool begin_look();
  Step look_step(Event& ev);
  void look_keep(size_t n);
  void close_gap();
  void drop_held();

  // engine_flow.cpp
  void start_flow();
  void tick_flow();
  uint64_t flow_deadline_us() const;
  void charge_flow(size_t n);
  bool messages_late() const;
  bool reading_late() const;
  const char* over_rate();
  void charge_until(const uint8_t* at);
  bool meter(Event& ev);
  bool meter_held(const uint8_t* at);
  void meter_begun();
  bool control_may_come();

  // engine_inflate.cpp
  enum class Inflated : uint8_t { kStopped, kStarved, kMessage, kCorrupt, kOutOfMemory };
  bool begin_inflating();
  Step receive_compressed(Event& ev);
  Inflated inflate_input(std::span<uint8_t>& out);
  Inflater::Result inflate_step(size_t n, std::span<uint8_t>& out);
  bool take_inflated(Bytes data);
  bool assemble(Bytes data);
  void give_inflater();

  // engine_deflate.cpp
  DeflateWish deflate_wish(const Limits& limits, ws_deflate send, ws_deflate recv) const;
  void use_deflate(const DeflateAgreed& agreed);
  void hold_window(uint32_t bytes);
  Contexts* contexts();
  int deflate_level(uint32_t flags) const {
    const int chosen = send_level(flags);
    return chosen != 0 ? chosen : limits_->deflate_level;
  }
  Deflater* deflater(uint32_t flags);
  Deflater* own_deflater(int level);
  void forget_sent();
  bool put_deflated(ws_opcode op, Bytes data, uint32_t flags);
  Error put_deflated_part(uint8_t opcode, Bytes data, bool last);
  bool put_deflated_message(const Message& m);
  void count_sent(size_t plain, size_t wire);
  uint64_t deflater_deadline_us() const;
  void free_deflater();
  void drop_contexts();

  // engine_send.cpp
  Error send_checked(ws_opcode op, Bytes data, uint32_t flags);
  Error check_text(ws_opcode op, Bytes data, uint32_t flags) const;
  // The one place that bounds the queue.
  bool fits(size_t len) const {
    uint64_t queued = outbox_.bytes();
    uint64_t room = queued < limits_->send_limit ? limits_->send_limit - queued : 0;
    size_t header = frame_header_size(len, masks());
    return (header <= room && len <= room - header) || unbounded_;
  }
  Error full(size_t len) const;
  Error check_whole(ws_opcode op, Bytes data, uint32_t flags) const;
  Error put_frame(bool fin, uint8_t opcode, Bytes data, bool exempt);
  Error finish_send() {
    ++messages_out_;
    if (outbox_.bytes() <= limits_->send_high) return Error();
    pressed_ = true;
    return Error(WS_BACKPRESSURE);
  }
  Error put_header(uint8_t opcode, Bytes data);
  Error put_block(bool fin, uint8_t opcode, Block* b);
  bool put_close(uint16_t code, std::string_view reason);

  // engine_close.cpp
  Step handle_close(uint8_t* payload, size_t len, Event& ev);
  // The peer broke a rule: one Close with `code`, then nothing of the peer's counts any more.
  Step fail_connection(uint16_t code, int error, const char* why);
  void end(State state, int error, const char* detail);

  bool masks() const { return role_ == Role::kClient; }
  bool expects_mask() const { return role_ == Role::kServer; }
  bool dropping() const { return state_ != State::kOpen; }

  const Limits* limits_;
  EngineResources& shared_;
  uint8_t* in_ = nullptr;  // input not yet looked at
  uint8_t* in_end_ = nullptr;
  Block* held_ = nullptr;         // owns [in_, in_end_) when it is not the caller's
  Partial* partial_ = nullptr;    // while a frame or message is unfinished
  Flow* flow_ = nullptr;          // where rates or a lifetime were asked for
  Contexts* contexts_ = nullptr;  // of permessage-deflate, where messages may refer to earlier ones
  Opening* opening_ = nullptr;    // handshake; a client keeps it for the response's headers
  Outbox outbox_;
  char* protocol_ = nullptr;
  const char* detail_ = "";
  uint64_t phase_deadline_us_ = kNeverUs;  // handshake, close, linger: absolute
  uint64_t last_rx_us_ = 0;
  uint64_t stalled_us_ = 0;  // since when the peer has taken nothing of what is queued; 0: it has
  uint64_t ping_at_us_ = 0;  // when the keepalive ping went out that is not answered yet
  uint64_t messages_in_ = 0;
  uint64_t messages_out_ = 0;
  uint64_t deflate_from_ = UINT64_MAX;  // messages of this size and more are compressed
  uint64_t sent_plain_ = 0;  // of compressed messages: payload before, and as it travelled
  uint64_t sent_wire_ = 0;
  uint64_t received_plain_ = 0;
  uint64_t received_wire_ = 0;
  uint32_t ping_id_ = 0;  // its payload, unpredictable so that the round trip is honest
  uint32_t rtt_us_ = UINT32_MAX;
  union {
    uint32_t control_ms_ = 0;  // when pings and pongs may come in full number again
    uint32_t lingered_;        // in kDrain and after: bytes thrown away
  };
  int16_t error_ = 0;
  uint16_t code_ = 1006;
  uint16_t sent_code_ = 0;
  uint16_t http_status_ = 0;
  int sys_errno_ = 0;
  Role role_;
  State state_ = State::kOpening;
  uint8_t close_flags_ = 0;
  uint8_t sending_op_ = 0;     // a message sent in parts is unfinished
  uint16_t part_flags_ = 0;    // of it, or of the next one
  uint16_t control_frac_ = 0;  // of control_ms_, in 2^-16
  uint32_t window_held_ = 0;   // for the peer's messages, in the account of what connections hold
  DeflateAgreed deflate_;
  Utf8Validator sending_utf8_;  // of that message
  bool chunks_ : 1;             // of the next message
  bool rooms_ : 1 = false;
  bool started_ : 1 = false;
  bool open_pending_ : 1 = false;
  bool closed_pending_ : 1 = false;
  bool eof_ : 1 = false;
  bool suspended_ : 1 = false;  // the owner reads nothing
  bool held_back_ : 1 = false;  // the owner takes no messages
  bool looking_ : 1 = false;    // held_ begins with a Look
  bool pressed_ : 1 = false;    // BACKPRESSURE was reported and not yet drained
  bool drained_ : 1 = false;
  bool http_drain_ : 1 = false;  // kDrain after HTTP: bounded by bytes too
  bool yielded_ : 1 = false;
  bool deadline_moved_ : 1 = false;  // nearer, and nobody has asked since
  bool unbounded_ : 1 = false;
};

}  // namespace libws

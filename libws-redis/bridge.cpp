#include "bridge.hpp"

#include <openssl/rand.h>

#include <cassert>
#include <cstdio>
#include <cstring>
#include <new>

namespace libws_redis {
namespace {

// What lies ready for one connection.  More waits where it is bounded, and is not copied.
constexpr size_t kUnsentBytes = 64 * 1024;

}  // namespace

// ---- from the hub ----

Failure Bridge::create(ws_hub* hub, ws_loop* loop, BridgeConfig config,
                       std::unique_ptr<Bridge>* out) {
  OriginId origin;
  if (RAND_bytes(origin.data(), static_cast<int>(origin.size())) != 1) {
    return fail(WS_ERR_IO, "no random bytes");
  }
  std::unique_ptr<Bridge> bridge(new Bridge(hub, loop, std::move(config), origin));
  if (Failure f = bridge->start()) return f;
  *out = std::move(bridge);
  return {};
}

Bridge::Bridge(ws_hub* hub, ws_loop* loop, BridgeConfig config, const OriginId& origin)
    : config_(std::move(config)),
      hub_(ws_hub_ref(hub)),
      loop_(loop),
      origin_(origin),
      publisher_(*this, loop, config_.link),
      subscriber_(*this, loop, config_.link),
      topics_(config_.prefix),
      outbox_(config_.prefix, origin, config_.max_queued_bytes),
      down_since_ms_(ws_loop_now(loop)) {}

Failure Bridge::start() {
  int code = ws_timer_new(loop_, on_clock, this, &clock_);
  if (code >= 0) code = ws_timer_new(loop_, on_settle, this, &settle_);
  if (code < 0) return fail_libws(code);
  if (Failure f = join_hub()) return f;
  ws_timer_start(clock_, 0);
  return {};
}

// The hub tells every topic it has to a bridge that is set.
Failure Bridge::join_hub() {
  ws_hub_bridge hooks;
  WS_INIT(&hooks);
  hooks.loop = loop_;
  hooks.on_topic = on_topic;
  hooks.on_publish = on_publish;
  hooks.user = this;
  int code = ws_hub_set_bridge(hub_.get(), &hooks);
  if (code < 0) return fail_libws(code);
  joined_ = true;
  return {};
}

Bridge::~Bridge() {
  if (joined_) ws_hub_set_bridge(hub_.get(), nullptr);
  phase_ = Phase::kDown;
  try {
    if (publisher_.ready()) publisher_.flush();
  } catch (const std::bad_alloc&) {
    // It was one attempt.
  }
  publisher_.close();
  subscriber_.close();
  ws_timer_free(clock_);
  ws_timer_free(settle_);
}

void Bridge::on_topic(ws_hub*, const char* topic, int active, void* user) {
  Bridge& self = *static_cast<Bridge*>(user);
  try {
    self.topics_.set(topic, active != 0);
    if (self.subscriber_.ready()) self.pump_topics();
  } catch (const std::bad_alloc&) {
    // A topic is missing, or one too many: the next attempt asks the hub for all of them.
    self.joined_ = false;
    if (self.phase_ != Phase::kDown) self.subscriber_.fail({WS_ERR_NOMEM, "out of memory"});
  }
}

void Bridge::on_publish(ws_hub*, const char* topic, ws_message* message, void* user) {
  Bridge& self = *static_cast<Bridge*>(user);
  try {
    self.outbox_.push(topic, message);
  } catch (const std::bad_alloc&) {
    self.outbox_.count_dropped();
  }
  try {
    if (self.phase_ == Phase::kUp) self.pump_messages();
  } catch (const std::bad_alloc&) {
    self.publisher_.fail({WS_ERR_NOMEM, "out of memory"});
  }
}

// ---- time ----

void Bridge::on_clock(ws_timer*, void* user) {
  Bridge& self = *static_cast<Bridge*>(user);
  try {
    self.clock();
  } catch (const std::bad_alloc&) {
    self.publisher_.close();
    self.subscriber_.close();
    self.phase_ = Phase::kConnecting;  // an attempt that fails
    self.on_link_failed({WS_ERR_NOMEM, "out of memory"});
  }
}

void Bridge::on_settle(ws_timer*, void* user) { static_cast<Bridge*>(user)->tell(); }

void Bridge::clock() {
  switch (phase_) {
    case Phase::kDown: return attempt();
    case Phase::kConnecting:
      return on_link_failed(
          fail(WS_ERR_TIMEOUT, "no connection within %u ms", config_.connect_timeout_ms));
    case Phase::kUp: return beat();
  }
}

void Bridge::attempt() {
  phase_ = Phase::kConnecting;
  topics_sent_ = topics_told_ = pinged_ = false;
  ws_timer_start(clock_, config_.connect_timeout_ms);
  if (!joined_) {
    topics_.clear();
    if (Failure f = join_hub()) return on_link_failed(f);
  }
  subscriber_.open();
  if (phase_ == Phase::kConnecting) publisher_.open();
}

// A connection that was silent for the whole interval after a ping is dead.
void Bridge::beat(Link& link) {
  bool silent = !link.moved();
  if (pinged_ && silent) {
    return link.fail(
        fail(WS_ERR_TIMEOUT, "no answer from Redis for %u ms", config_.ping_interval_ms));
  }
  append_command(&link.out(), {"PING"});
  link.flush_soon();
}

void Bridge::beat() {
  beat(subscriber_);
  if (phase_ == Phase::kUp) beat(publisher_);
  if (phase_ != Phase::kUp) return;
  if (pinged_) failures_ = 0;  // it lasts
  pinged_ = true;
  ws_timer_start(clock_, config_.ping_interval_ms);
}

void Bridge::go_up() {
  if (phase_ != Phase::kConnecting || !topics_told_ || !publisher_.ready()) return;
  phase_ = Phase::kUp;
  ++connects_;
  connected_to_tell_ = true;
  ws_timer_start(settle_, 0);
  ws_timer_start(clock_, config_.ping_interval_ms);
  pump_messages();
}

// Uniform below a bound that doubles: processes that lost Redis together come back one by one.
uint32_t Bridge::retry_delay() {
  uint64_t bound = config_.retry_min_ms;
  for (uint32_t i = 0; i < failures_ && bound < config_.retry_max_ms; ++i) bound *= 2;
  if (bound > config_.retry_max_ms) bound = config_.retry_max_ms;
  uint64_t random = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&random), sizeof random) != 1) random = bound / 2;
  return static_cast<uint32_t>(random % bound);
}

void Bridge::on_link_failed(const Failure& failure) {
  if (phase_ == Phase::kDown) return;
  publisher_.close();
  subscriber_.close();
  if (phase_ == Phase::kUp) down_since_ms_ = ws_loop_now(loop_);
  phase_ = Phase::kDown;
  topics_.lost();
  outbox_.rewind();
  retry_in_ms_ = retry_delay();
  ++failures_;
  error_ = failure.code;
  snprintf(detail_, sizeof detail_, "%s", failure.detail.c_str());
  connected_to_tell_ = false;
  failure_to_tell_ = true;
  ws_timer_start(clock_, retry_in_ms_);
  ws_timer_start(settle_, 0);
}

void Bridge::tell() {
  ws_redis_state state;
  WS_INIT(&state);
  state.detail = "";
  if (failure_to_tell_) {
    failure_to_tell_ = false;
    state.event = told_connected_ ? WS_REDIS_LOST : WS_REDIS_FAILED;
    told_connected_ = false;
    state.error = error_;
    state.detail = detail_;
    state.retry_in_ms = retry_in_ms_;
    if (connected_to_tell_) ws_timer_start(settle_, 0);
  } else if (connected_to_tell_) {
    connected_to_tell_ = false;
    told_connected_ = true;
    state.event = WS_REDIS_CONNECTED;
    state.missed = connects_ > 1;
    state.down_ms = ws_loop_now(loop_) - down_since_ms_;
    state.dropped = outbox_.dropped() - dropped_told_;
    dropped_told_ = outbox_.dropped();
  } else {
    return;
  }
  if (config_.on_state == nullptr) return;
  config_.on_state(reinterpret_cast<ws_redis_bridge*>(this), &state, config_.user);
}

// ---- to Redis ----

void Bridge::on_link_ready(Link& link) {
  if (&link == &subscriber_) {
    topics_.connected();
    pump_topics();
  } else {
    go_up();
  }
}

void Bridge::on_link_room(Link& link) {
  if (&link == &subscriber_) {
    pump_topics();
  } else if (phase_ == Phase::kUp) {
    pump_messages();
  }
}

void Bridge::pump_topics() {
  while (subscriber_.unsent() < kUnsentBytes) {
    if (topics_.next(&subscriber_.out())) continue;
    // Redis answers in order: the answer to this says that it has subscribed us to all.
    if (!topics_sent_) append_command(&subscriber_.out(), {"PING"});
    topics_sent_ = true;
    break;
  }
  subscriber_.flush_soon();
}

void Bridge::pump_messages() {
  while (publisher_.unsent() < kUnsentBytes && outbox_.next(&publisher_.out())) {
  }
  publisher_.flush_soon();
}

// ---- from Redis ----

void Bridge::on_link_reply(Link& link, const redisReply& reply) {
  if (&link == &publisher_) {
    published(reply);
  } else {
    heard(reply);
  }
}

void Bridge::published(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_STATUS) return;  // PONG
  if (reply.type == REDIS_REPLY_INTEGER && outbox_.confirm()) return;
  if (reply.type == REDIS_REPLY_ERROR && outbox_.refuse()) return;
  publisher_.fail({WS_ERR_PROTOCOL, "this is not Redis: an answer to nothing"});
}

void Bridge::heard(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_ERROR) {
    std::string_view text = text_of(reply);
    return subscriber_.fail(
        fail(WS_ERR_CONNECT, "Redis: %s", printable(text.data(), text.size()).c_str()));
  }
  std::string_view words[4];
  size_t count = reply.type == REDIS_REPLY_ARRAY ? reply.elements : 0;
  for (size_t i = 0; i < count && i < 4; ++i) words[i] = text_of(*reply.element[i]);
  if (count == 3 && words[0] == "message") return deliver(words[1], words[2]);
  if (count == 4 && words[0] == "pmessage") return deliver(words[2], words[3]);
  if (count == 3 && words[0].find("subscribe") != std::string_view::npos) return;
  // PONG is an array for who has subscribed to something.
  if (reply.type != REDIS_REPLY_STATUS && !(count == 2 && words[0] == "pong")) {
    return subscriber_.fail({WS_ERR_PROTOCOL, "this is not Redis: what came is no message"});
  }
  if (!topics_sent_) return;
  topics_told_ = true;
  go_up();
}

void Bridge::deliver(std::string_view channel, std::string_view payload) {
  Envelope envelope;
  if (channel.compare(0, config_.prefix.size(), config_.prefix) != 0 ||
      channel.find('\0') != std::string_view::npos || !Envelope::decode(payload, &envelope)) {
    ++malformed_;
    return;
  }
  if (envelope.origin == origin_) {
    ++own_;
    return;
  }
  if (!origins_.is_new(envelope.origin, envelope.number)) {
    ++duplicates_;
    return;
  }
  topic_.assign(channel.substr(config_.prefix.size()));
  payload.remove_prefix(Envelope::kBytes);
  ws_message* message = nullptr;
  int code = ws_message_new(envelope.opcode, payload.data(), payload.size(), &message);
  if (code >= 0)
    code = ws_hub_publish(hub_.get(), topic_.c_str(), message, nullptr, WS_PUBLISH_LOCAL);
  ws_message_unref(message);
  if (code >= 0) {
    ++received_;
  } else if (code != WS_ERR_NOMEM) {
    ++malformed_;
  } else {
    subscriber_.fail({WS_ERR_NOMEM, "out of memory"});  // told as a gap
  }
}

void Bridge::get_stats(ws_redis_stats* out) const {
  out->connected = phase_ == Phase::kUp;
  out->connects = connects_;
  out->published = outbox_.confirmed();
  out->received = received_;
  out->own = own_;
  out->duplicates = duplicates_;
  out->malformed = malformed_;
  out->dropped = outbox_.dropped();
  out->refused = outbox_.refused();
  out->queued_bytes = outbox_.bytes();
  out->queued = outbox_.count();
  out->topics = topics_.count();
}

}  // namespace libws_redis

// The bridge: a hub on one side, two connections to Redis on the other, because a connection that
// subscribes can do nothing else.
//
//   down        no connection; the clock says when the next attempt starts
//   connecting  both log in, the subscriber tells Redis all topics; the clock is the deadline
//   up          both are ready, and Redis has answered for the last topic; the clock is the ping
//
// The failure of one connection ends both: a hub that hears others but is not heard, or the other
// way round, would be a state more to understand.
#pragma once

#include "envelope.hpp"
#include "link.hpp"
#include "outbox.hpp"
#include "topics.hpp"

#include <libws/hub.h>
#include <libws/redis.h>

#include <memory>
#include <string>

namespace libws_redis {

struct BridgeConfig {
  LinkConfig link;
  std::string prefix = "ws:";
  uint32_t retry_min_ms = 100;
  uint32_t retry_max_ms = 5000;
  uint32_t connect_timeout_ms = 10000;
  uint32_t ping_interval_ms = 5000;
  uint64_t max_queued_bytes = uint64_t{16} << 20;
  void (*on_state)(ws_redis_bridge*, const ws_redis_state*, void*) = nullptr;
  void* user = nullptr;
};

class Bridge final : Link::Owner {
 public:
  static Failure create(ws_hub* hub, ws_loop* loop, BridgeConfig config,
                        std::unique_ptr<Bridge>* out);
  Bridge(const Bridge&) = delete;
  Bridge& operator=(const Bridge&) = delete;
  ~Bridge();

  void get_stats(ws_redis_stats* out) const;

 private:
  enum class Phase { kDown, kConnecting, kUp };

  Bridge(ws_hub* hub, ws_loop* loop, BridgeConfig config, const OriginId& origin);
  Failure start();
  Failure join_hub();

  // Called by C, which knows no exceptions.
  static void on_topic(ws_hub* hub, const char* topic, int active, void* user);
  static void on_publish(ws_hub* hub, const char* topic, ws_message* message, void* user);
  static void on_clock(ws_timer* timer, void* user);
  static void on_settle(ws_timer* timer, void* user);

  void on_link_ready(Link& link) override;
  void on_link_reply(Link& link, const redisReply& reply) override;
  void on_link_room(Link& link) override;
  void on_link_failed(const Failure& failure) override;

  void clock();
  void attempt();
  void beat();
  void beat(Link& link);
  void go_up();
  uint32_t retry_delay();
  void tell();
  void pump_topics();
  void pump_messages();
  void published(const redisReply& reply);
  void heard(const redisReply& reply);
  void deliver(std::string_view channel, std::string_view payload);

  BridgeConfig config_;
  struct Unref {
    void operator()(ws_hub* hub) const { ws_hub_unref(hub); }
  };
  std::unique_ptr<ws_hub, Unref> hub_;
  ws_loop* loop_;
  OriginId origin_;
  ws_timer* clock_ = nullptr;
  // on_state is called from here and as the last thing, so that it may free the bridge.
  ws_timer* settle_ = nullptr;
  Link publisher_, subscriber_;
  Topics topics_;
  Outbox outbox_;
  Origins origins_;
  std::string topic_;  // of the message at hand

  Phase phase_ = Phase::kDown;
  bool joined_ = false;       // the hub has us
  bool topics_sent_ = false;  // and a ping behind them
  bool topics_told_ = false;  // its answer came
  bool pinged_ = false;       // at the last beat
  uint32_t failures_ = 0;     // since a connection lasted
  uint64_t down_since_ms_;

  // What is still to be told, the failure before the connection.
  bool failure_to_tell_ = false, connected_to_tell_ = false;
  bool told_connected_ = false;
  int error_ = 0;
  char detail_[320] = "";
  uint32_t retry_in_ms_ = 0;
  uint64_t dropped_told_ = 0;

  uint64_t connects_ = 0, received_ = 0, own_ = 0, duplicates_ = 0, malformed_ = 0;
};

}  // namespace libws_redis

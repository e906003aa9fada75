// Redis' protocol, RESP2: commands by hand, because their last argument comes in two pieces;
// answers by hiredis' reader, held to a bound.
#pragma once

#include <hiredis/hiredis.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

namespace libws_redis {

// Appends a command.  `tail` is a second piece of the last argument.
void append_command(std::string* out, std::initializer_list<std::string_view> words,
                    std::string_view tail = {});

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

inline std::string_view text_of(const redisReply& reply) {
  return reply.str != nullptr ? std::string_view(reply.str, reply.len) : std::string_view();
}

class Reader {
 public:
  enum class Got { kReply, kMore, kBroken, kTooBig };

  explicit Reader(uint64_t max_bytes);  // throws std::bad_alloc

  bool feed(const char* data, size_t len);  // false: no memory
  Got next(Reply* out);
  const char* error() const { return reader_->errstr; }

 private:
  struct FreeReader {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  std::unique_ptr<redisReader, FreeReader> reader_;
  uint64_t max_bytes_;
  uint64_t fed_ = 0;  // since the last answer: also what hiredis has taken apart already
};

}  // namespace libws_redis

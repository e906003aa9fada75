// Compressing messages as permessage-deflate wants them (RFC 7692 7.2), with zlib or with what
// could stand in for it.  No WebSocket here, and nothing of libws.
#pragma once

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace bench {

// What a compressor's flush ends with, and the sender takes away (RFC 7692 7.2.1).  With a final
// empty block behind it, for decompressors that want to see an end.
inline constexpr std::array<uint8_t, 9> kTail = {0x00, 0x00, 0xff, 0xff, 0x01,
                                                 0x00, 0x00, 0xff, 0xff};
inline constexpr size_t kFlushTail = 4;

using Input = std::span<const uint8_t>;
using Output = std::span<uint8_t>;

// The program ends on any error, a full output among them.
class Codec {
 public:
  virtual ~Codec() = default;
  Codec(const Codec&) = delete;
  Codec& operator=(const Codec&) = delete;

  virtual std::string name() const = 0;
  // Room for any message of this size.
  virtual size_t most_deflated(size_t size) const = 0;
  // One message, to what travels in its frames.
  virtual size_t deflate(Input in, Output out) = 0;
  // And back.  Behind `in` stand the bytes of kTail.
  virtual size_t inflate(Input in, Output out) = 0;

 protected:
  Codec() = default;
};

struct ZlibSettings {
  bool takeover = false;  // messages may refer to earlier ones
  int window_bits = 15;
  int mem_level = 8;
  int level = 6;
};

// Bytes that a z_stream has taken from its allocator.
class Account {
 public:
  void open(z_stream& stream);
  size_t bytes() const { return bytes_; }

 private:
  static void* take(void* account, unsigned count, unsigned size);
  static void give(void* account, void* block);

  size_t bytes_ = 0;
};

class ZlibDeflate {
 public:
  explicit ZlibDeflate(const ZlibSettings& settings);
  ~ZlibDeflate() { deflateEnd(&zlib_); }
  ZlibDeflate(const ZlibDeflate&) = delete;
  ZlibDeflate& operator=(const ZlibDeflate&) = delete;

  // As for a new connection.
  void restart() { deflateReset(&zlib_); }
  size_t bound(size_t size) { return deflateBound(&zlib_, size) + kFlushTail + 1; }
  size_t run(Input in, Output out);
  size_t memory() const { return account_.bytes(); }

 private:
  bool takeover_;
  z_stream zlib_ = {};
  Account account_;
};

class ZlibInflate {
 public:
  explicit ZlibInflate(const ZlibSettings& settings);
  ~ZlibInflate() { inflateEnd(&zlib_); }
  ZlibInflate(const ZlibInflate&) = delete;
  ZlibInflate& operator=(const ZlibInflate&) = delete;

  void restart() { inflateReset(&zlib_); }
  size_t run(Input in, Output out);
  size_t memory() const { return account_.bytes(); }

 protected:
  size_t inflate_whole(Input in, Output out);
  void step(Input in);

  bool takeover_;
  z_stream zlib_ = {};
  Account account_;
};

// A stream that belongs to no connection, and a window that does: the last bytes that came out, put
// into the stream before each message.
class WindowInflate : private ZlibInflate {
 public:
  explicit WindowInflate(int window_bits);

  void restart() { filled_ = at_ = 0; }
  size_t run(Input in, Output out);
  size_t memory() const { return window_.size(); }

 private:
  void prime();
  void keep(Input out);

  std::vector<uint8_t> window_;  // a ring
  size_t filled_ = 0;
  size_t at_ = 0;  // where the next byte goes
};

// Every codec there is for whole messages that refer to nothing, level by level: zlib first, then
// those that were there when this was built.
std::vector<std::unique_ptr<Codec>> whole_message_codecs(const ZlibSettings& zlib);

}  // namespace bench

#include "resp.hpp"

#include <new>

namespace libws_redis {
namespace {

// What Redis tells a subscriber has at most four elements, and no arrays inside.  hiredis would
// take an announced number of elements as the size of an allocation.
constexpr int kMaxElements = 16;

// The type of the count differs between versions of hiredis.
template <class Count>
auto& original_array() {
  static void* (*function)(const redisReadTask*, Count) = nullptr;
  return function;
}

template <class Count>
void* bounded_array(const redisReadTask* task, Count count) {
  if (count > static_cast<Count>(kMaxElements) || task->parent != nullptr) return nullptr;
  return original_array<Count>()(task, count);
}

template <class Count>
void bound_arrays(void* (*&create)(const redisReadTask*, Count)) {
  original_array<Count>() = create;
  create = bounded_array<Count>;
}

redisReplyObjectFunctions* bounded_functions(const redisReader& reader) {
  static redisReplyObjectFunctions functions = [&] {
    redisReplyObjectFunctions f = *reader.fn;
    bound_arrays(f.createArray);
    return f;
  }();
  return &functions;
}

void append_length(std::string* out, char kind, size_t length) {
  *out += kind;
  *out += std::to_string(length);
  *out += "\r\n";
}

}  // namespace

void append_command(std::string* out, std::initializer_list<std::string_view> words,
                    std::string_view tail) {
  append_length(out, '*', words.size());
  size_t left = words.size();
  for (std::string_view word : words) {
    bool last = --left == 0;
    append_length(out, '$', word.size() + (last ? tail.size() : 0));
    out->append(word);
    if (last) out->append(tail);
    out->append("\r\n");
  }
}

Reader::Reader(uint64_t max_bytes) : reader_(redisReaderCreate()), max_bytes_(max_bytes) {
  if (reader_ == nullptr) throw std::bad_alloc();
  reader_->fn = bounded_functions(*reader_);
}

bool Reader::feed(const char* data, size_t len) {
  fed_ += len;
  return redisReaderFeed(reader_.get(), data, len) == REDIS_OK;
}

Reader::Got Reader::next(Reply* out) {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK) return Got::kBroken;
  if (reply != nullptr) {
    out->reset(static_cast<redisReply*>(reply));
    fed_ = reader_->len - reader_->pos;
    return Got::kReply;
  }
  return fed_ > max_bytes_ ? Got::kTooBig : Got::kMore;
}

}  // namespace libws_redis

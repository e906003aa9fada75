#include "libws/protocol/http_body.hpp"

#include <algorithm>

namespace libws {
namespace {

// No digits, or more than fit: not a length.
bool read_length(std::string_view text, uint64_t* out) {
  uint64_t n = 0;
  for (char c : text) {
    if (c < '0' || c > '9' || n > UINT64_MAX / 10 - 10) return false;
    n = n * 10 + static_cast<uint64_t>(c - '0');
  }
  *out = n;
  return !text.empty();
}

// What stands between the data of two chunks: leading zeros and extensions must end somewhere.
constexpr uint32_t kMaxLineBytes = 4096;

int hex_value(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = c | 0x20;
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

void BodyReader::begin(const Head& response) {
  *this = BodyReader();
  const int status = response.status();
  if (status < 200 || status == 204 || status == 304) return;
  state_ = State::kPlain;
  left_ = UINT64_MAX;
  const size_t coding = response.find("Transfer-Encoding");
  if (coding != SIZE_MAX) {
    const bool only = response.find("Transfer-Encoding", coding + 1) == SIZE_MAX;
    if (!only || !equals_ignore_case(response.value(coding), "chunked")) return;
    chunked_ = true;
    left_ = 0;
    state_ = State::kSize;
    return;
  }
  const size_t length = response.find("Content-Length");
  if (length == SIZE_MAX || !read_length(response.value(length), &left_)) return;
  if (left_ == 0) state_ = State::kDone;
}

void BodyReader::take_size(uint8_t c) {
  if (state_ == State::kSizeRest) {
    if (c != '\n') return;
    state_ = left_ != 0 ? State::kPlain : State::kDone;
    return;
  }
  const int digit = hex_value(c);
  if (digit >= 0 && left_ < (UINT64_MAX >> 4)) {
    left_ = left_ << 4 | static_cast<uint64_t>(digit);
    sized_ = true;
  } else if (sized_ && (c == ';' || c == ' ' || c == '\t' || c == '\r')) {
    state_ = State::kSizeRest;
  } else {
    state_ = State::kDone;
  }
}

bool BodyReader::feed(Bytes in, size_t max, Vector<uint8_t>* out) {
  while (!in.empty() && state_ != State::kDone && out->size() < max) {
    if (state_ == State::kPlain) {
      size_t n = std::min(in.size(), max - out->size());
      if (n > left_) n = static_cast<size_t>(left_);
      out->insert(out->end(), in.begin(), in.begin() + static_cast<ptrdiff_t>(n));
      in = in.subspan(n);
      if (left_ != UINT64_MAX) left_ -= n;
      if (left_ == 0) state_ = chunked_ ? State::kChunkEnd : State::kDone;
      continue;
    }
    const uint8_t c = in[0];
    in = in.subspan(1);
    if (++line_bytes_ > kMaxLineBytes) {
      state_ = State::kDone;
    } else if (state_ != State::kChunkEnd) {
      take_size(c);
    } else if (c == '\n') {
      state_ = State::kSize;
      sized_ = false;
      line_bytes_ = 0;
    } else if (c != '\r') {
      state_ = State::kDone;
    }
  }
  return state_ == State::kDone || out->size() >= max;
}

}  // namespace libws

#include "libws/protocol/http_fields.hpp"

#include "libws/protocol/chars.hpp"

namespace libws {

bool next_member(std::string_view* rest, std::string_view* member) {
  if (rest->data() == nullptr) return false;
  size_t begin = 0, end = 0, i = 0;
  bool blank = true;
  for (; i < rest->size() && (*rest)[i] != ','; ++i) {
    scan_step();
    if (is_ows((*rest)[i])) continue;
    if (blank) begin = i;
    blank = false;
    end = i + 1;
  }
  *member = rest->substr(begin, end - begin);
  // A null view marks the end; an empty one is an empty member after a last comma.
  *rest = i < rest->size() ? rest->substr(i + 1) : std::string_view();
  return true;
}

bool list_has(const Head& head, std::string_view field, std::string_view wanted) {
  for (size_t i = head.find(field); i != SIZE_MAX; i = head.find(field, i + 1)) {
    std::string_view rest = head.value(i), member;
    while (next_member(&rest, &member)) {
      if (equals_ignore_case(member, wanted)) return true;
    }
  }
  return false;
}

namespace {

bool last_coding_is_chunked(const Head& head) {
  std::string_view last;
  for (size_t i = head.find("Transfer-Encoding"); i != SIZE_MAX;
       i = head.find("Transfer-Encoding", i + 1)) {
    std::string_view rest = head.value(i), member;
    while (next_member(&rest, &member)) {
      if (!member.empty()) last = member;
    }
  }
  return equals_ignore_case(last, "chunked");
}

Framing invalid(const char** why, const char* text) {
  *why = text;
  return Framing::kInvalid;
}

}  // namespace

Framing body_framing(const Head& head, const char** why) {
  const size_t length = head.find("Content-Length");
  const bool coded = head.find("Transfer-Encoding") != SIZE_MAX;
  if (length != SIZE_MAX && coded) {
    return invalid(why, "both Content-Length and Transfer-Encoding");  // RFC 9112 6.1
  }
  if (coded) {
    // RFC 9112 6.3: without chunked at the end nobody knows where the body ends.
    return last_coding_is_chunked(head) ? Framing::kChunked
                                        : invalid(why, "Transfer-Encoding does not end in chunked");
  }
  if (length == SIZE_MAX) return Framing::kNone;
  // RFC 9112 6.3 lets identical copies pass; nobody needs them, so one line with one number.
  if (head.find("Content-Length", length + 1) != SIZE_MAX) {
    return invalid(why, "more than one Content-Length");
  }
  const std::string_view digits = head.value(length);
  if (digits.empty() || !all_chars_are(digits, kDigitChar)) {
    return invalid(why, "bad Content-Length");
  }
  return digits.find_first_not_of('0') == std::string_view::npos ? Framing::kNone
                                                                 : Framing::kLength;
}

struct JoinedFields::Entry : Allocated {
  Entry* next = nullptr;
  size_t field = 0;  // the first of that name
  String text;
};

JoinedFields::~JoinedFields() {
  while (first_ != nullptr) delete std::exchange(first_, first_->next);
}

const char* JoinedFields::get(const Head& head, std::string_view name, size_t* len) {
  const size_t first = head.find(name);
  if (first == SIZE_MAX) return nullptr;
  std::string_view value = head.value(first);
  size_t i = head.find(name, first + 1);
  if (i != SIZE_MAX) {
    Entry* entry = first_;
    while (entry != nullptr && entry->field != first) entry = entry->next;
    if (entry == nullptr) {
      std::unique_ptr<Entry> made(new Entry);
      made->field = first;
      made->text = value;
      for (; i != SIZE_MAX; i = head.find(name, i + 1)) {
        made->text.append(", ").append(head.value(i));
      }
      made->next = first_;
      entry = first_ = made.release();
    }
    value = entry->text;
  }
  if (len != nullptr) *len = value.size();
  return value.data();
}

}  // namespace libws

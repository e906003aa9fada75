// Envelopes, and telling by them what came before.
#include "envelope.hpp"

#include "parts.hpp"

using namespace libws_redis;

namespace {

OriginId origin(uint8_t first, uint8_t last) {
  OriginId id = {};
  id.front() = first;
  id.back() = last;
  return id;
}

void test_envelope_decodes_what_it_encodes(void**) {
  Envelope e, d;
  e.opcode = WS_OP_BINARY;
  e.origin = origin(0xff, 0x80);
  e.number = 0x0102030405060708;
  auto bytes = e.encode();
  assert_int_equal(bytes.size(), 26);
  assert_memory_equal(&bytes[18], "\1\2\3\4\5\6\7\10", 8);
  std::string data(bytes.data(), bytes.size());
  assert_true(Envelope::decode(data, &d));
  assert_int_equal(d.opcode, WS_OP_BINARY);
  assert_true(d.origin == e.origin);
  assert_true(d.number == e.number);
  assert_true(Envelope::decode(data + "payload", &d));
  assert_false(Envelope::decode(data.substr(0, 25), &d));
  assert_false(Envelope::decode("", &d));
}

void test_envelope_of_another_kind_is_refused(void**) {
  Envelope e, d;
  e.number = 1;
  auto bytes = e.encode();
  std::string data(bytes.data(), bytes.size());
  assert_true(Envelope::decode(data, &d));
  for (auto [at, value] :
       {std::pair<size_t, char>{0, 0}, {0, 2}, {1, 0}, {1, 3}, {1, 8}, {25, 0}}) {
    std::string changed = data;
    changed[at] = value;
    assert_false(Envelope::decode(changed, &d));
  }
}

void test_origins_each_number_is_new_once(void**) {
  Origins o;
  OriginId a = origin(1, 1), b = origin(1, 2);
  assert_true(o.is_new(a, 1));
  assert_false(o.is_new(a, 1));
  assert_true(o.is_new(b, 1));
  assert_true(o.is_new(a, 7));
  assert_false(o.is_new(a, 6));
  assert_false(o.is_new(a, 7));
  assert_true(o.is_new(a, UINT64_MAX));
  assert_false(o.is_new(a, UINT64_MAX));
}

void test_origins_the_one_silent_longest_is_forgotten(void**) {
  Origins o;
  auto nth = [](size_t i) {
    return origin(static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i & 0xff));
  };
  for (size_t i = 0; i < Origins::kMost; ++i) assert_true(o.is_new(nth(i), 1));
  for (size_t i = 0; i < Origins::kMost; ++i) assert_false(o.is_new(nth(i), 1));
  assert_false(o.is_new(nth(0), 1));
  assert_true(o.is_new(nth(Origins::kMost), 1));  // in place of the second
  assert_false(o.is_new(nth(0), 1));
  assert_false(o.is_new(nth(2), 1));
  assert_true(o.is_new(nth(1), 1));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_envelope_decodes_what_it_encodes),
      cmocka_unit_test(test_envelope_of_another_kind_is_refused),
      cmocka_unit_test(test_origins_each_number_is_new_once),
      cmocka_unit_test(test_origins_the_one_silent_longest_is_forgotten),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

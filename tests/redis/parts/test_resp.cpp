// Redis' protocol: commands as bytes, and answers within bounds.
#include "resp.hpp"

#include "parts.hpp"

using namespace libws_redis;

namespace {

using Got = Reader::Got;

Got feed(Reader* reader, const std::string& data, Reply* reply) {
  assert_true(reader->feed(data.data(), data.size()));
  return reader->next(reply);
}

void test_resp_command_is_an_array_of_strings(void**) {
  std::string out;
  append_command(&out, {"PING"});
  assert_string_equal(out.c_str(), "*1\r\n$4\r\nPING\r\n");
  out.clear();
  append_command(&out, {"PUBLISH", "c", "ab"}, "cd\r\n");
  assert_string_equal(out.c_str(), "*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$6\r\nabcd\r\n\r\n");
  out.clear();
  append_command(&out, {"AUTH", ""});
  assert_string_equal(out.c_str(), "*2\r\n$4\r\nAUTH\r\n$0\r\n\r\n");
}

void test_resp_answers_in_any_pieces(void**) {
  const std::string data = "+OK\r\n:12\r\n*3\r\n$1\r\na\r\n$0\r\n\r\n$-1\r\n-ERR x\r\n";
  for (size_t piece = 1; piece <= data.size(); ++piece) {
    Reader reader(1000);
    std::string types;
    for (size_t at = 0; at < data.size(); at += piece) {
      std::string part = data.substr(at, piece);
      assert_true(reader.feed(part.data(), part.size()));
      for (Reply reply; reader.next(&reply) == Got::kReply;) types += std::to_string(reply->type);
    }
    assert_string_equal(types.c_str(), "5326");
  }
}

void test_resp_answer_that_is_not_complete_at_its_bound(void**) {
  for (size_t more : {0u, 1u}) {
    Reader reader(20);
    Reply reply;
    std::string data = "$100\r\n" + std::string(14 + more, 'x');
    assert_int_equal(static_cast<int>(feed(&reader, data, &reply)),
                     static_cast<int>(more == 0 ? Got::kMore : Got::kTooBig));
  }
}

void test_resp_elements_taken_apart_count_for_the_bound(void**) {
  Reader reader(40);
  Reply reply;
  assert_true(feed(&reader, "*3\r\n$10\r\n0123456789\r\n", &reply) == Got::kMore);
  assert_true(feed(&reader, "$10\r\n0123456789\r\n", &reply) == Got::kMore);
  assert_true(feed(&reader, "$10\r\n0", &reply) == Got::kTooBig);
}

void test_resp_complete_answers_do_not_count_for_the_bound(void**) {
  Reader reader(20);
  for (int i = 0; i < 100; ++i) {
    Reply reply;
    assert_true(feed(&reader, "+0123456789\r\n", &reply) == Got::kReply);
    assert_true(reader.next(&reply) == Got::kMore);
  }
}

void test_resp_arrays_at_their_bound(void**) {
  for (int count : {16, 17, 2147483647}) {
    Reader reader(1000);
    Reply reply;
    Got got = feed(&reader, "*" + std::to_string(count) + "\r\n", &reply);
    assert_true(got == (count == 16 ? Got::kMore : Got::kBroken));
  }
  Reader reader(1000);
  Reply reply;
  assert_true(feed(&reader, "*1\r\n*1\r\n", &reply) == Got::kBroken);
}

void test_resp_garbage_is_broken(void**) {
  for (const char* text : {"hello\r\n", "$x\r\n", ":1x\r\n", "*-2\r\n", "$-2\r\n", "\r\n"}) {
    Reader reader(1000);
    Reply reply;
    if (feed(&reader, text, &reply) != Got::kBroken) fail_msg("not broken: %s", text);
    assert_true(reader.error()[0] != '\0');
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_resp_command_is_an_array_of_strings),
      cmocka_unit_test(test_resp_answers_in_any_pieces),
      cmocka_unit_test(test_resp_answer_that_is_not_complete_at_its_bound),
      cmocka_unit_test(test_resp_elements_taken_apart_count_for_the_bound),
      cmocka_unit_test(test_resp_complete_answers_do_not_count_for_the_bound),
      cmocka_unit_test(test_resp_arrays_at_their_bound),
      cmocka_unit_test(test_resp_garbage_is_broken),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

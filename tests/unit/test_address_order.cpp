// The order in which a host's addresses are tried.
#include "libws/net/address_order.hpp"

#include <string>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;

namespace {

Address ip(const std::string& text, uint16_t port = 80) {
  Address a;
  assert_true(address_literal(text, &a));
  a.set_port(port);
  return a;
}

void add(AddressOrder& order, const std::vector<std::string>& texts) {
  for (const std::string& t : texts) order.add(ip(t));
}

// What is left, in its order.
std::string rest(AddressOrder& order, size_t most = 1000) {
  std::string all;
  for (; most != 0 && !order.empty(); --most) {
    char text[kAddressTextBytes];
    address_print(order.take(), text);
    if (!all.empty()) all += ' ';
    all += text;
  }
  return all;
}

void expect(const std::string& got, const char* want) { assert_string_equal(got.c_str(), want); }

void test_order_of_nothing_is_empty(void**) {
  AddressOrder order;
  assert_true(order.empty());
  order.add(ip("192.0.2.1"));
  assert_false(order.empty());
  order.take();
  assert_true(order.empty());
}

void test_order_takes_families_in_turn_ipv6_first(void**) {
  AddressOrder order;
  add(order, {"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"});
  expect(rest(order), "[2001:db8::1]:80 192.0.2.1:80 [2001:db8::2]:80 192.0.2.2:80");
}

void test_order_goes_on_with_one_family_when_the_other_is_used_up(void**) {
  AddressOrder order;
  add(order, {"2001:db8::3", "2001:db8::1", "2001:db8::2", "192.0.2.9"});
  expect(rest(order), "[2001:db8::3]:80 192.0.2.9:80 [2001:db8::1]:80 [2001:db8::2]:80");
  add(order, {"192.0.2.8", "192.0.2.7"});
  expect(rest(order), "192.0.2.8:80 192.0.2.7:80");
}

void test_order_with_ipv4_only_keeps_the_systems_order(void**) {
  AddressOrder order;
  add(order, {"192.0.2.3", "192.0.2.1", "192.0.2.2"});
  expect(rest(order), "192.0.2.3:80 192.0.2.1:80 192.0.2.2:80");
}

void test_order_ipv6_added_after_ipv4_was_taken_is_next(void**) {
  AddressOrder order;
  add(order, {"192.0.2.1", "192.0.2.2", "192.0.2.3"});
  expect(rest(order, 1), "192.0.2.1:80");
  add(order, {"2001:db8::1", "2001:db8::2"});
  expect(rest(order), "[2001:db8::1]:80 192.0.2.2:80 [2001:db8::2]:80 192.0.2.3:80");
}

void test_order_duplicate_is_ignored_taken_or_not(void**) {
  AddressOrder order;
  add(order, {"192.0.2.1", "2001:db8::1", "192.0.2.1", "2001:db8::1"});
  expect(rest(order), "[2001:db8::1]:80 192.0.2.1:80");
  add(order, {"192.0.2.1", "2001:db8::1"});
  assert_true(order.empty());
  order.add(ip("192.0.2.1", 81));  // another port is another place
  expect(rest(order), "192.0.2.1:81");
}

void test_order_holds_16_of_each_family(void**) {
  for (size_t count :
       {kMaxAddressesPerFamily - 1, kMaxAddressesPerFamily, kMaxAddressesPerFamily + 1}) {
    AddressOrder order;
    for (size_t i = 1; i <= count; ++i) add(order, {"192.0.2." + std::to_string(i)});
    for (size_t i = 1; i <= count; ++i) add(order, {"2001:db8::" + std::to_string(i)});
    size_t taken = 0;
    for (; !order.empty(); ++taken) order.take();
    size_t each = count < kMaxAddressesPerFamily ? count : kMaxAddressesPerFamily;
    assert_int_equal(taken, 2 * each);
    add(order, {"192.0.2.200"});  // room is not made by taking: the bound is for the whole dial
    assert_int_equal(order.empty(), count >= kMaxAddressesPerFamily);
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_order_of_nothing_is_empty),
      cmocka_unit_test(test_order_takes_families_in_turn_ipv6_first),
      cmocka_unit_test(test_order_goes_on_with_one_family_when_the_other_is_used_up),
      cmocka_unit_test(test_order_with_ipv4_only_keeps_the_systems_order),
      cmocka_unit_test(test_order_ipv6_added_after_ipv4_was_taken_is_next),
      cmocka_unit_test(test_order_duplicate_is_ignored_taken_or_not),
      cmocka_unit_test(test_order_holds_16_of_each_family),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

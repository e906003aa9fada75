// A session as a stream: what is read and written, in what pieces, what is kept in between, and how
// it ends.
#include "tls_support.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cerrno>

using namespace tls_test;

namespace {

constexpr size_t kRecord = TlsBuffers::kRecordText;
constexpr size_t kOverhead13 = 1 + 16;  // RFC 8446 5.2: the content type and the tag

std::string noise(size_t n) {
  std::string s(n, '\0');
  uint32_t x = 7;
  for (char& c : s) c = static_cast<char>((x = x * 1664525u + 1013904223u) >> 24);
  return s;
}

// Writes all of it, with bytes carried in between.  How many calls took something.
int write_all(Duo& duo, Transport& from, Transport& to, const std::string& data,
              std::string* received) {
  int calls = 0;
  size_t at = 0;
  for (int idle = 0; at < data.size() && idle < 100; ++idle) {
    const IoResult r = from.write(data.data() + at, data.size() - at);
    if (r.status == IoResult::kOk) {
      at += r.bytes;
      ++calls;
      idle = 0;
    }
    *received += duo.drain(to);
  }
  assert_int_equal(at, data.size());
  return calls;
}

struct World {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
};

struct Open : World {
  Duo duo{*s, *c};
  Open() { assert_true(duo.shake()); }
};

// ---- both ways, however it is cut ----

void test_stream_arrives_whole_in_both_directions(void**) {
  Open o;
  const std::string data = noise(1000000);
  std::string got;
  write_all(o.duo, o.duo.client, o.duo.server, data, &got);
  assert_true(got == data);
  got.clear();
  write_all(o.duo, o.duo.server, o.duo.client, data, &got);
  assert_true(got == data);
  assert_int_equal(o.duo.client.unsent(), 0);
  assert_false(o.duo.client.has_unread());
}

void test_stream_byte_by_byte_with_the_handshake(void**) {
  World w;
  Duo duo(*w.s, *w.c);
  duo.chunk = 1;
  assert_true(duo.shake());
  const std::string data = noise(3000);
  std::string got;
  write_all(duo, duo.client, duo.server, data, &got);
  assert_true(got == data);
}

void test_stream_at_random_cuts_into_readers_of_every_size(void**) {
  Open o;
  const std::string data = noise(60000);
  uint32_t x = 99;
  for (const size_t reader :
       {size_t{1}, size_t{7}, kRecord - 1, kRecord, kRecord + 1, 5 * kRecord}) {
    o.duo.read_bytes = reader;
    o.duo.chunk = 1 + (x = x * 1664525u + 1013904223u) % 20000;
    std::string got;
    const std::string part = data.substr(0, reader < 100 ? 3000 : data.size());
    write_all(o.duo, o.duo.client, o.duo.server, part, &got);
    assert_true(got == part);
    assert_false(o.duo.server.has_unread());
  }
}

void test_stream_into_two_areas(void**) {
  Open o;
  const std::string data = noise(3 * kRecord);
  const iovec slice = {const_cast<char*>(data.data()), data.size()};
  assert_int_equal(o.duo.client.write(&slice, 1).bytes, data.size());
  o.duo.carry();
  std::string first(kRecord + 10, '\0'), second(5 * kRecord, '\0');
  const IoResult r =
      o.duo.server.read_two(reinterpret_cast<uint8_t*>(first.data()), first.size(),
                            reinterpret_cast<uint8_t*>(second.data()), second.size());
  assert_int_equal(r.status, IoResult::kOk);
  assert_int_equal(r.bytes, data.size());
  assert_true(first + second.substr(0, data.size() - first.size()) == data);
}

// ---- reading ----

int reads;
ssize_t counted_recv(int fd, void* buf, size_t len) {
  ++reads;
  return real::recv(fd, buf, len);
}
int writes;
ssize_t counted_send(int fd, const void* buf, size_t len) {
  ++writes;
  return real::send(fd, buf, len);
}

int count_calls(void**) {
  clear_faults();
  reads = writes = 0;
  system_table.recv = counted_recv;
  system_table.send = counted_send;
  return 0;
}
int restore(void**) {
  clear_faults();
  return 0;
}

void test_read_takes_many_records_with_one_call(void**) {
  Open o;
  std::string sent;
  for (int i = 0; i < 50; ++i) {
    assert_int_equal(o.duo.client.write("message", 7).bytes, 7);
    sent += "message";
  }
  o.duo.carry();
  reads = 0;
  std::string got;
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kOk);
  assert_string_equal(got.c_str(), sent.c_str());
  assert_int_equal(reads, 1);
}

void test_read_smaller_than_what_came_keeps_the_rest(void**) {
  Open o;
  const std::string data = noise(2 * kRecord);
  assert_int_equal(o.duo.client.write(data.data(), data.size()).bytes, data.size());
  o.duo.carry();
  const int64_t before = live_allocations();
  std::string got;
  o.duo.read_bytes = 100;
  assert_int_equal(o.duo.read_some(o.duo.server, &got).bytes, 100);
  assert_true(o.duo.server.has_unread());
  // What was read from the socket is served without asking it again.
  reads = 0;
  while (got.size() + 100 < kRecord) {
    assert_true(o.duo.server.has_unread());
    o.duo.read_some(o.duo.server, &got);
  }
  assert_int_equal(reads, 0);
  while (o.duo.server.has_unread()) o.duo.read_some(o.duo.server, &got);
  got += o.duo.drain(o.duo.server);
  assert_true(got == data);
  assert_int_equal(live_allocations(), before);  // given back
}

void test_read_of_half_a_record_would_block(void**) {
  Open o;
  o.duo.client.write("message", 7);
  o.duo.chunk = 12;
  o.duo.carry();
  std::string got;
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kWouldBlock);
  assert_false(o.duo.server.has_unread());  // or the caller would spin
  o.duo.chunk = SIZE_MAX;
  o.duo.carry();
  assert_int_equal(o.duo.read_some(o.duo.server, &got).bytes, 7);
}

void test_read_of_a_record_that_was_changed_fails(void**) {
  Open o;
  o.duo.client.write("message", 7);
  o.duo.up.collect(o.duo.client_fds.theirs);
  o.duo.up.all.back() ^= 1;
  std::string got;
  IoResult last;
  assert_string_equal(o.duo.drain(o.duo.server, &last).c_str(), "");
  assert_int_equal(last.status, IoResult::kFailed);
  const TransportFault f = o.duo.server.fault(last, "");
  assert_int_equal(f.error, WS_ERR_TLS);
  assert_has(f.detail, "bad record mac");
  // The peer is told by an alert.
  o.duo.drain(o.duo.client, &last);
  assert_int_equal(last.status, IoResult::kFailed);
  assert_has(o.duo.client_detail(), "alert \"bad record mac\"");
  // And it stays so.
  assert_int_equal(o.duo.server.write("x", 1).status, IoResult::kFailed);
}

// Data, and behind it the failure: first the data, then the failure without waiting.
void test_read_tells_a_failure_after_the_data_before_it(void**) {
  Open o;
  o.duo.client.write("good", 4);
  o.duo.client.write("bad", 3);
  o.duo.up.collect(o.duo.client_fds.theirs);
  o.duo.up.all.back() ^= 1;
  o.duo.carry();
  std::string got;
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kOk);
  assert_string_equal(got.c_str(), "good");
  assert_true(o.duo.server.has_unread());
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kFailed);
  assert_false(o.duo.server.has_unread());
}

void test_read_does_not_look_at_errors_that_others_left(void**) {
  Open o;
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  std::string got;
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kWouldBlock);
  ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
  assert_int_equal(o.duo.client.write("x", 1).status, IoResult::kOk);
  assert_string_equal(o.duo.drain(o.duo.server).c_str(), "x");
  o.duo.client.end_writing();
  IoResult last;
  o.duo.drain(o.duo.server, &last);
  assert_int_equal(last.status, IoResult::kEof);
  ERR_clear_error();
}

// ---- writing ----

void test_write_fills_records_and_leaves_with_one_call(void**) {
  Open o;
  o.duo.carry();
  const size_t from = o.duo.up.all.size();
  const std::string data = noise(TlsBuffers::kBytes);
  writes = 0;
  assert_int_equal(o.duo.client.write(data.data(), data.size()).bytes, data.size());
  assert_int_equal(writes, 1);
  const std::string got = o.duo.drain(o.duo.server);
  assert_true(got == data);
  const std::vector<size_t> records = o.duo.up.records(from);
  assert_int_equal(records.size(), TlsBuffers::kBytes / kRecord);
  for (const size_t len : records) assert_int_equal(len, kRecord + kOverhead13);
}

void test_write_takes_no_more_than_a_buffer(void**) {
  Open o;
  const std::string data = noise(TlsBuffers::kBytes + 1);
  assert_int_equal(o.duo.client.write(data.data(), data.size()).bytes, TlsBuffers::kBytes);
}

void test_write_gathers_short_slices_into_one_record(void**) {
  Open o;
  o.duo.carry();
  const size_t from = o.duo.up.all.size();
  const iovec slices[] = {{const_cast<char*>("ab"), 2},
                          {const_cast<char*>(""), 0},
                          {const_cast<char*>("cde"), 3},
                          {const_cast<char*>("f"), 1}};
  assert_int_equal(o.duo.client.write(slices, 4).bytes, 6);
  assert_string_equal(o.duo.drain(o.duo.server).c_str(), "abcdef");
  assert_int_equal(o.duo.up.records(from).size(), 1);
}

void test_write_of_short_and_long_slices_loses_nothing(void**) {
  Open o;
  const std::string data = noise(6 * kRecord);
  // The slices around the size of a record, between short ones.
  const size_t cuts[] = {1, kRecord - 1, 10, kRecord, 3, kRecord + 1, 2 * kRecord + 5, 7};
  std::vector<iovec> slices;
  size_t at = 0;
  for (const size_t len : cuts) {
    slices.push_back({const_cast<char*>(data.data()) + at, len});
    at += len;
  }
  o.duo.carry();
  const size_t from = o.duo.up.all.size();
  assert_int_equal(o.duo.client.write(slices.data(), slices.size()).bytes, at);
  assert_true(o.duo.drain(o.duo.server) == data.substr(0, at));
  // At most one record is short for each time that gathering gives way to a long slice.
  assert_true(o.duo.up.records(from).size() <= at / kRecord + 4);
}

// The kernel takes a byte at a time: what it leaves is kept, and nothing more is taken meanwhile.
void test_write_to_a_kernel_that_takes_little_keeps_the_rest(void**) {
  Open o;
  const std::string data = noise(3000);
  system_table.send = [](int fd, const void* buf, size_t) -> ssize_t {
    static bool full;
    full = !full;
    if (!full) return real::send(fd, buf, 1);
    errno = EAGAIN;
    return -1;
  };
  const int64_t before = live_allocations();
  std::string got;
  assert_int_equal(o.duo.client.write(data.data(), data.size()).bytes, data.size());
  assert_true(o.duo.client.unsent() != 0);
  assert_int_equal(o.duo.client.write("more", 4).status, IoResult::kWouldBlock);
  for (int i = 0; i < 20000 && o.duo.client.flush().status == IoResult::kWouldBlock; ++i) {
    o.duo.up.collect(o.duo.client_fds.theirs);
  }
  assert_int_equal(o.duo.client.unsent(), 0);
  assert_int_equal(live_allocations(), before);  // given back
  clear_faults();
  assert_int_equal(o.duo.client.write("more", 4).bytes, 4);
  assert_true(o.duo.drain(o.duo.server) == data + "more");
}

void test_write_that_the_system_refuses_fails_with_its_errno(void**) {
  Open o;
  system_table.send = [](int, const void*, size_t) -> ssize_t {
    errno = EPIPE;
    return -1;
  };
  IoResult r = o.duo.client.write("x", 1);
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(r.sys_errno, EPIPE);
  TransportFault f = o.duo.client.fault(r, "");
  assert_int_equal(f.error, WS_ERR_EOF);
  assert_string_equal(f.detail, "the peer reset the connection");
  system_table.send = [](int, const void*, size_t) -> ssize_t {
    errno = EACCES;
    return -1;
  };
  r = o.duo.server.write("x", 1);
  f = o.duo.server.fault(r, "");
  assert_int_equal(f.error, WS_ERR_IO);
  assert_int_equal(f.sys_errno, EACCES);
  assert_string_equal(f.detail, "writing to the socket failed");
}

void test_write_of_a_server_before_the_handshake_is_thrown_away(void**) {
  World w;
  Duo duo(*w.s, *w.c);
  assert_int_equal(duo.server.write("HTTP/1.1 408", 12).bytes, 12);
  assert_int_equal(duo.client.write("GET /", 5).status, IoResult::kWouldBlock);
  duo.carry();
  assert_int_equal(duo.down.all.size(), 0);
  assert_true(duo.shake());
}

// ---- the end ----

// RFC 8446 6.1.
void test_end_by_close_notify_is_clean(void**) {
  Open o;
  o.duo.client.write("last", 4);
  o.duo.client.end_writing();
  IoResult last;
  assert_string_equal(o.duo.drain(o.duo.server, &last).c_str(), "last");
  assert_int_equal(last.status, IoResult::kEof);
  assert_false(o.duo.server.truncated());
  assert_true(o.duo.up.ended);  // TCP's end follows
  const TransportFault f = o.duo.server.fault(last, "");
  assert_int_equal(f.error, WS_ERR_EOF);
  assert_string_equal(f.detail, "the peer closed the connection");
  // The other direction goes on.
  assert_int_equal(o.duo.server.write("answer", 6).bytes, 6);
  assert_string_equal(o.duo.drain(o.duo.client).c_str(), "answer");
  // Nothing can follow in this one.
  assert_int_equal(o.duo.client.write("x", 1).status, IoResult::kFailed);
}

void test_end_without_close_notify_is_told_as_cut(void**) {
  Open o;
  o.duo.client.write("last", 4);
  o.duo.carry();
  o.duo.server_fds.hang_up();
  std::string got;
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kOk);
  assert_string_equal(got.c_str(), "last");
  const IoResult r = o.duo.read_some(o.duo.server, &got);
  assert_int_equal(r.status, IoResult::kEof);
  assert_true(o.duo.server.truncated());
  const TransportFault f = o.duo.server.fault(r, "");
  assert_int_equal(f.error, WS_ERR_EOF);
  assert_string_equal(f.detail, "the peer cut the TLS stream: no close_notify");
  assert_int_equal(o.duo.read_some(o.duo.server, &got).status, IoResult::kEof);
}

void test_end_during_the_handshake_is_told_as_such(void**) {
  World w;
  Duo duo(*w.s, *w.c);
  duo.server_fds.hang_up();
  uint8_t byte;
  const IoResult r = duo.server.read(&byte, 1);
  assert_int_equal(r.status, IoResult::kEof);
  assert_string_equal(duo.server.fault(r, "").detail,
                      "the peer closed the connection during the TLS handshake");
}

void test_end_of_writing_waits_for_what_is_unsent(void**) {
  Open o;
  system_table.send = [](int, const void*, size_t) -> ssize_t {
    errno = EAGAIN;
    return -1;
  };
  o.duo.client.write("last", 4);
  o.duo.client.end_writing();
  o.duo.carry();
  assert_false(o.duo.up.ended);
  clear_faults();
  assert_int_equal(o.duo.client.flush().status, IoResult::kOk);
  IoResult last;
  assert_string_equal(o.duo.drain(o.duo.server, &last).c_str(), "last");
  assert_int_equal(last.status, IoResult::kEof);
  assert_false(o.duo.server.truncated());
  assert_true(o.duo.up.ended);
}

int closes;

void test_close_closes_the_descriptor_once(void**) {
  Open o;
  closes = 0;
  system_table.close = [](int fd) {
    ++closes;
    return real::close(fd);
  };
  o.duo.client.close();
  o.duo.client.close();
  assert_int_equal(closes, 1);
  assert_int_equal(o.duo.client.fd(), -1);
  assert_false(o.duo.client.secure());
  Fds plain;
  Transport t(plain.ours);
  Transport moved(std::move(t));
  moved.close();
  t.close();
  assert_int_equal(closes, 2);
}

// ---- a session inside another ----

void test_nested_sessions_carry_a_stream(void**) {
  World w;
  Duo outer(*w.s, *w.c);
  assert_true(outer.shake());
  const int client_fd = outer.client.fd(), server_fd = outer.server.fd();
  TlsSession *s, *c;
  assert_false(TlsSession::accept(*w.s, outer.buffers, std::move(outer.server), &s).failed());
  assert_false(TlsSession::connect(*w.c, outer.buffers, std::move(outer.client), "localhost", 1, &c)
                   .failed());
  outer.server = Transport(server_fd, s);
  outer.client = Transport(client_fd, c);
  assert_true(outer.shake());
  const std::string data = noise(500000);
  std::string got;
  write_all(outer, outer.client, outer.server, data, &got);
  assert_true(got == data);
  got.clear();
  outer.chunk = 4097;
  outer.read_bytes = 1000;
  write_all(outer, outer.server, outer.client, data.substr(0, 100000), &got);
  assert_true(got == data.substr(0, 100000));
  // Both ends are announced, the inner one first.
  outer.client.end_writing();
  IoResult last;
  outer.drain(outer.server, &last);
  assert_int_equal(last.status, IoResult::kEof);
  assert_false(outer.server.truncated());
}

// ---- trouble ----

void test_stream_with_faulty_sockets_arrives_whole(void**) {
  World w;
  Faults faults;
  faults.eagain = 30;
  faults.short_io = 50;
  faults.eintr = 10;
  set_faults(faults);
  Duo duo(*w.s, *w.c);
  bool done = false;
  for (int i = 0; i < 1000 && !done; ++i) done = duo.shake();
  assert_true(done);
  const std::string data = noise(200000);
  std::string got;
  size_t at = 0;
  for (int i = 0; i < 100000 && got.size() < data.size(); ++i) {
    const IoResult r = duo.client.write(data.data() + at, data.size() - at);
    if (at < data.size() && r.status == IoResult::kOk) at += r.bytes;
    got += duo.drain(duo.server);
  }
  assert_true(got == data);
}

// Each of our allocations fails in turn: a failure may be told, data may not be lost silently.
void test_stream_without_memory_fails_and_does_not_crash(void**) {
  World w;
  const std::string data = noise(50000);
  bool reached_the_end = false;
  for (uint64_t n = 1; n < 100 && !reached_the_end; ++n) {
    Faults faults;
    faults.fail_alloc = n;
    faults.fail_alloc_on = true;
    TlsBuffers buffers;
    Fds a;
    Fds b;
    set_faults(faults);
    TlsSession *s = nullptr, *c = nullptr;
    Error e = TlsSession::accept(*w.s, buffers, Transport(a.ours), &s);
    if (!e.failed()) {
      Transport server(a.ours, s);
      e = TlsSession::connect(*w.c, buffers, Transport(b.ours), "localhost", 443, &c);
      if (!e.failed()) {
        Transport client(b.ours, c);
        const IoResult r = c->handshake();
        if (r.status == IoResult::kFailed) {
          assert_int_equal(client.fault(r, "").error, WS_ERR_NOMEM);
        }
        reached_the_end = r.status == IoResult::kWouldBlock;
      }
    }
    if (e.failed()) assert_int_equal(e.code(), WS_ERR_NOMEM);
    clear_faults();
  }
  assert_true(reached_the_end);
}

void test_read_without_memory_for_the_rest_fails(void**) {
  Open o;
  const std::string data = noise(2 * kRecord);
  o.duo.client.write(data.data(), data.size());
  // Half a record first, so that what comes next is more than OpenSSL has room for.
  o.duo.up.collect(o.duo.client_fds.theirs);
  o.duo.up.pass(o.duo.server_fds.theirs, kRecord / 2);
  uint8_t few[10];
  assert_int_equal(o.duo.server.read(few, sizeof few).status, IoResult::kWouldBlock);
  o.duo.carry();
  Faults faults;
  faults.fail_alloc = 1;
  set_faults(faults);
  assert_int_equal(o.duo.server.read(few, sizeof few).status, IoResult::kOk);
  const IoResult r = o.duo.server.read(few, sizeof few);
  assert_int_equal(r.status, IoResult::kFailed);
  assert_int_equal(o.duo.server.fault(r, "").error, WS_ERR_NOMEM);
}

// Whoever waits for room then would be told of it at once, and again, and again.
void test_write_before_the_handshake_is_done_waits_for_input(void**) {
  Pki pki;
  Ref<TlsContext> s = pki.server(), c = pki.client();
  Duo duo(*s, *c);
  assert_int_equal(duo.client.write("x", 1).status, IoResult::kWouldBlock);
  assert_int_equal(duo.client.unsent(), 0);
  assert_true(duo.client.write_waits());
}

}  // namespace

#define COUNTED(test) cmocka_unit_test_setup_teardown(test, count_calls, restore)

int main() {
  const CMUnitTest tests[] = {
      COUNTED(test_stream_arrives_whole_in_both_directions),
      COUNTED(test_stream_byte_by_byte_with_the_handshake),
      COUNTED(test_stream_at_random_cuts_into_readers_of_every_size),
      COUNTED(test_stream_into_two_areas),
      COUNTED(test_read_takes_many_records_with_one_call),
      COUNTED(test_read_smaller_than_what_came_keeps_the_rest),
      COUNTED(test_read_of_half_a_record_would_block),
      COUNTED(test_read_of_a_record_that_was_changed_fails),
      COUNTED(test_read_tells_a_failure_after_the_data_before_it),
      COUNTED(test_read_does_not_look_at_errors_that_others_left),
      COUNTED(test_write_fills_records_and_leaves_with_one_call),
      COUNTED(test_write_takes_no_more_than_a_buffer),
      COUNTED(test_write_gathers_short_slices_into_one_record),
      COUNTED(test_write_of_short_and_long_slices_loses_nothing),
      COUNTED(test_write_to_a_kernel_that_takes_little_keeps_the_rest),
      COUNTED(test_write_that_the_system_refuses_fails_with_its_errno),
      COUNTED(test_write_of_a_server_before_the_handshake_is_thrown_away),
      COUNTED(test_end_by_close_notify_is_clean),
      COUNTED(test_end_without_close_notify_is_told_as_cut),
      COUNTED(test_end_during_the_handshake_is_told_as_such),
      COUNTED(test_end_of_writing_waits_for_what_is_unsent),
      COUNTED(test_close_closes_the_descriptor_once),
      COUNTED(test_nested_sessions_carry_a_stream),
      COUNTED(test_stream_with_faulty_sockets_arrives_whole),
      COUNTED(test_stream_without_memory_fails_and_does_not_crash),
      COUNTED(test_read_without_memory_for_the_rest_fails),
      COUNTED(test_write_before_the_handshake_is_done_waits_for_input),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}

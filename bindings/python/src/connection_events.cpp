// What the library calls for a connection (first half of a turn), and what that sets going (second
// half).  Listeners are called in the first half, coroutines and hooks of the layers mostly in the
// second.
#include "connection.hpp"
#include "errors.hpp"
#include "message.hpp"

#include <algorithm>
#include <cstring>

namespace pyws {
namespace {

Connection* as_connection(void* user) { return static_cast<Connection*>(user); }

PyObject* interned(const char* name) { return PyUnicode_InternFromString(name); }

struct Names {
  PyObject* on_open = interned("on_open");
  PyObject* on_message = interned("on_message");
  PyObject* on_drain = interned("on_drain");
  PyObject* on_ping = interned("on_ping");
  PyObject* on_pong = interned("on_pong");
  PyObject* on_close = interned("on_close");
  PyObject* hook_open = interned("_on_open");
  PyObject* hook_pong = interned("_on_pong");
  PyObject* hook_close = interned("_on_close");
  PyObject* hook_failed = interned("_on_failed");
};

const Names& names() {
  static const Names all;
  return all;
}

// A hook of the Python layers: must not fail.
void call_hook(Connection* c, PyObject* name, PyObject* argument = nullptr) {
  PyObject* const args[] = {object(c), argument};
  const size_t count = argument == nullptr ? 1 : 2;
  const Ref done(PyObject_VectorcallMethod(name, args, count, nullptr));
  if (!done) loop_took_exception(c->loop, object(c));
}

// A method of the listener that need not be there.  One that raises ends the connection, as a
// handler does.
void call_listener(Connection* c, PyObject* name, PyObject* argument = nullptr) {
  const Ref bound(PyObject_GetAttr(c->listener, name));
  if (!bound) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) return PyErr_Clear();
    return loop_took_exception(c->loop, c->listener);
  }
  if (bound.get() == Py_None) return;
  PyObject* const args[] = {object(c), argument};
  const Ref done(PyObject_Vectorcall(bound.get(), args, argument == nullptr ? 1 : 2, nullptr));
  if (done) return;
  loop_took_exception(c->loop, bound.get());
  ws_conn_close(c->handle, 1011, nullptr);
}

PyObject* make_data(ws_opcode op, const void* data, size_t len) {
  const auto* bytes = static_cast<const char*>(data);
  return op == WS_OP_TEXT ? PyUnicode_DecodeUTF8(bytes, static_cast<Py_ssize_t>(len), nullptr)
                          : PyBytes_FromStringAndSize(bytes, static_cast<Py_ssize_t>(len));
}

PyObject* make_message(Connection* c, ws_opcode op, const void* data, size_t len) {
  if (c->room != nullptr && data == PyBytes_AS_STRING(c->room))
    return std::exchange(c->room, nullptr);
  if (!c->wants_message) return make_data(op, data, len);
  ws_message* kept = nullptr;
  const int rc = ws_conn_keep_message(c->handle, &kept);
  return rc < 0 ? set_error(rc) : message_adopt(kept);
}

// Out of memory: the message cannot be given, and must not be lost in silence.
void lost_message(Connection* c) {
  loop_took_exception(c->loop, object(c));
  ws_conn_close(c->handle, 1011, "out of memory");
}

void arrived(Connection* c) {
  c->arrived = true;
  loop_add_ready(c->loop, c);
}

void on_open(ws_conn* handle, void* user) {
  Connection* c = as_connection(user);
  c->handle = ws_conn_ref(handle);
  c->state = kOpen;
  ws_conn_set_chunks(handle, 0);
  if (c->listener != nullptr) call_listener(c, names().on_open);
  call_hook(c, names().hook_open);
}

void on_message(ws_conn*, ws_opcode op, const void* data, size_t len, void* user) {
  Connection* c = as_connection(user);
  Ref message(make_message(c, op, data, len));
  if (!message) return lost_message(c);
  if (c->listener == nullptr) {
    if (!c->inbox.push(message.release())) {
      PyErr_NoMemory();
      return lost_message(c);
    }
    return arrived(c);
  }
  PyObject* const args[] = {c->listener, object(c), message.get()};
  const Ref done(PyObject_VectorcallMethod(names().on_message, args, 3, nullptr));
  if (done) return;
  loop_took_exception(c->loop, c->listener);
  ws_conn_close(c->handle, 1011, nullptr);
}

void on_chunk(ws_conn*, ws_opcode op, uint32_t flags, const void* data, size_t len, void* user) {
  Connection* c = as_connection(user);
  const bool last = (flags & WS_PART_LAST) != 0;
  PyObject* part = Py_BuildValue(
      "(iOOy#)", int{op}, (flags & WS_PART_FIRST) != 0 ? Py_True : Py_False,
      last ? Py_True : Py_False, data == nullptr ? "" : data, static_cast<Py_ssize_t>(len));
  if (part == nullptr || !c->inbox.push(part)) {
    PyErr_NoMemory();
    return lost_message(c);
  }
  if (last) ++c->inbox.whole;
  arrived(c);
}

void on_drain(ws_conn*, void* user) {
  Connection* c = as_connection(user);
  if (c->listener != nullptr) call_listener(c, names().on_drain);
  c->drained = true;
  loop_add_ready(c->loop, c);
}

void tell_control(Connection* c, PyObject* name, const void* data, size_t len, bool hook) {
  const Ref payload(make_data(WS_OP_BINARY, data, len));
  if (!payload) return lost_message(c);
  if (c->listener != nullptr) call_listener(c, name, payload.get());
  if (hook) call_hook(c, names().hook_pong, payload.get());
}

void on_ping(ws_conn*, const void* data, size_t len, void* user) {
  Connection* c = as_connection(user);
  if (c->listener != nullptr) tell_control(c, names().on_ping, data, len, false);
}

void on_pong(ws_conn*, const void* data, size_t len, void* user) {
  tell_control(as_connection(user), names().on_pong, data, len, true);
}

// Whoever receives large messages makes and drops such an object for each.  Freed at the top of its
// heap, malloc gives the pages back at once, to get and clear them again for the next.  glibc keeps
// twice as much as the largest block that was ever freed (mallopt(3), M_MMAP_THRESHOLD: dynamic
// adjustment), so one block, never touched, is shown to it.  Measured: docs/python.md.
void keep_pages_for(size_t len) {
  constexpr size_t kAtOnce = 4;               // messages that are alive together
  constexpr size_t kMost = size_t{31} << 20;  // above 32 MiB it does not adjust
  static size_t kept;
  if (len <= kept || len > kMost) return;
  kept = len;
  PyMem_RawFree(PyMem_RawMalloc(std::min(kMost, kAtOnce * len)));
}

// Large payloads land in the object that the application gets.
void* on_room(ws_conn*, ws_opcode op, size_t len, void* user) {
  Connection* c = as_connection(user);
  if (op != WS_OP_BINARY || c->wants_message) return nullptr;
  Py_CLEAR(c->room);
  keep_pages_for(len);
  c->room = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(len));
  if (c->room == nullptr) {
    PyErr_Clear();  // the library tries with its own memory, and says so if that fails
    return nullptr;
  }
  return PyBytes_AS_STRING(c->room);
}

void set_ending(Connection* c, int error, const ws_close_info* how, const char* detail) {
  c->state = kClosed;
  Py_CLEAR(c->room);
  if (c->ending != nullptr) return;
  auto* e = static_cast<Ending*>(PyMem_Calloc(1, sizeof(Ending)));
  if (e == nullptr) return;
  e->error = error;
  e->code = how == nullptr ? 1006 : how->code;
  e->sent_code = how == nullptr ? 0 : how->sent_code;
  e->flags = how == nullptr ? 0 : how->flags;
  e->reason = how == nullptr ? PyUnicode_FromString("")
                             : make_data(WS_OP_TEXT, how->reason, how->reason_len);
  e->detail = PyUnicode_DecodeUTF8(detail, static_cast<Py_ssize_t>(std::strlen(detail)), "replace");
  const char* local = ws_conn_local(c->handle);
  e->local = PyUnicode_FromString(local == nullptr ? "" : local);
  if (e->local == nullptr || e->reason == nullptr || e->detail == nullptr) PyErr_Clear();
  c->ending = e;
}

void end(Connection* c) {
  c->ended = c->arrived = c->drained = true;
  loop_add_ready(c->loop, c);
  // A client's last call is on_down.
  if (c->client == nullptr) connection_detach(c);
}

void on_close(ws_conn*, const ws_close_info* how, void* user) {
  Connection* c = as_connection(user);
  const Ref alive = Ref::borrow(object(c));  // the listener may close its Client
  set_ending(c, how->error, how, how->detail);
  if (c->listener != nullptr) call_listener(c, names().on_close);
  end(c);
}

// A loop is closed by a task, and no task can be entered inside another.
void wake(Connection* c, Waiter* waiter) {
  const bool woken = c->loop->handle == nullptr ? waiter_wake_soon(waiter) : waiter_wake(waiter);
  if (!woken) loop_took_exception(c->loop, object(c));
}

void wake_receiver(Connection* c) {
  if (c->receiver == nullptr || !c->arrived) return;
  const Ref waiter(object(std::exchange(c->receiver, nullptr)));
  wake(c, reinterpret_cast<Waiter*>(waiter.get()));
}

void wake_senders(Connection* c) {
  const Ref waiting(std::exchange(c->senders, nullptr));
  if (!waiting) return;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(waiting.get()); ++i)
    wake(c, reinterpret_cast<Waiter*>(PyList_GET_ITEM(waiting.get(), i)));
}

}  // namespace

void connection_resume(Connection* c) {
  if (c->ended) {
    c->ended = false;
    call_hook(c, names().hook_close);
  }
  const bool told = c->arrived || c->drained;
  if (std::exchange(c->drained, false)) wake_senders(c);
  wake_receiver(c);
  c->arrived = false;
  if (told && c->notify != nullptr && c->notify != Py_None) {
    const Ref done(PyObject_CallNoArgs(c->notify));
    if (!done) loop_took_exception(c->loop, object(c));
  }
  // A message that arrives in parts must not stop for the one who waits for its end.
  const bool wanted = c->receiver != nullptr && c->inbox.whole == 0;
  if (c->inbox.count > c->queue_high && !c->held && !wanted && c->state == kOpen) {
    c->held = true;
    ws_conn_pause(c->handle);
  }
}

void connection_failed(Connection* c, const ws_close_info* why) {
  set_ending(c, why->error, why, why->detail);
  const Ref args(
      Py_BuildValue("(isii)", why->error, why->detail, why->sys_errno, why->http_status));
  const Ref hook(PyObject_GetAttr(object(c), names().hook_failed));
  const Ref done(args && hook ? PyObject_CallObject(hook.get(), args.get()) : nullptr);
  if (!done) loop_took_exception(c->loop, object(c));
}

void connection_lost(Connection* c, int error, const char* detail) {
  set_ending(c, error, nullptr, detail);
  c->ended = c->arrived = c->drained = true;
  loop_add_ready(c->loop, c);
  Py_CLEAR(c->client);
  connection_detach(c);
}

const ws_handlers* connection_handlers() {
  static const ws_handlers table = [] {
    ws_handlers h;
    WS_INIT(&h);
    h.on_open = on_open;
    h.on_message = on_message;
    h.on_chunk = on_chunk;
    h.on_drain = on_drain;
    h.on_ping = on_ping;
    h.on_pong = on_pong;
    h.on_close = on_close;
    h.on_room = on_room;
    return h;
  }();
  return &table;
}

}  // namespace pyws

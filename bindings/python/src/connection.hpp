// A connection, from before its handshake to after its end.  The Python layers subclass it.
//
//   connection.cpp         the type: making, collecting, attributes
//   connection_calls.cpp   what acts at once: send_now, close_now, pause...
//   connection_events.cpp  what the library calls, and what that sets going in the second half of
//                          a turn (see loop.hpp)
//   inbox.hpp receive.cpp  messages that wait, and the coroutines that wait for them
//   send.cpp               the coroutine of send; coroutine.hpp is what both kinds share
#pragma once

#include "inbox.hpp"
#include "loop.hpp"
#include "waiter.hpp"

namespace pyws {

enum State : uint8_t { kConnecting, kOpen, kClosing, kClosed };

// How it ended (ws_close_info), kept from on_close on.
struct Ending {
  int error;
  uint16_t code, sent_code;
  uint32_t flags;
  PyObject* reason;
  PyObject* detail;
  PyObject* local;  // the address on this side, which goes with the socket
};

struct Connection {
  PyObject_HEAD Loop* loop;
  ws_conn* handle;   // null before on_open
  PyObject* client;  // the Client that opens it, or null
  PyObject* listener;
  PyObject* notify;
  PyObject* weakrefs;
  Inbox inbox;
  Waiter* receiver;   // the one that waits for the inbox
  PyObject* senders;  // a list of Waiters for room to send, or null
  PyObject* room;     // the bytes object that a large message is landing in
  Ending* ending;
  Connection *prev, *next;  // of Loop.first
  uint64_t send_high;       // bytes queued above which send() waits
  uint32_t queue_high, queue_low;
  State state;
  bool live;     // in Loop.first
  bool ready;    // in Loop.ready
  bool arrived;  // something happened that a receiver, or notify, waits for
  bool drained;  // room to send, or the end
  bool ended;    // _on_close is to be called
  bool held;     // reading is paused because the inbox is full
  bool paused;   // the application paused it
  bool chunks;   // parts are queued as they arrive
  bool partly;   // some parts of a message were taken, and not its last
  bool fragmenting;
  bool wants_message;  // the listener gets Message objects
};

extern PyTypeObject connection_type;
bool bind_connection(PyObject* module);

// From now on the library may call back for it; the reverse, when it no longer will.
void connection_attach(Connection* c);
void connection_detach(Connection* c);

// Before its handshake, and of this loop: else an exception is set.
bool connection_is_new(Connection* c);

// The table that servers and clients give to the library; `user` is the Connection.
const ws_handlers* connection_handlers();

// The second half's part for one connection.
void connection_resume(Connection* c);

// After the library's last call for it: bookkeeping.  The first is for an attempt that failed.
void connection_failed(Connection* c, const ws_close_info* why);
void connection_lost(Connection* c, int error, const char* detail);

// Sets what _closed_error() returns.  Returns null.
PyObject* connection_set_closed_error(Connection* c);

// Woken when there is room to send, or at the end: a new reference for a coroutine to yield.  The
// reverse, for one that is no longer suspended.
Waiter* connection_wait_for_room(Connection* c);
void connection_stop_waiting(Connection* c, Waiter* waiter);

// What recv makes of a message.
enum Decode { kAsItCame, kStr, kBytes };

// Take a message (a part, for pop_chunk): new reference; null without an exception when there is
// none.
PyObject* connection_take(Connection* c, int decode);
PyObject* connection_take_chunk(Connection* c);

// Reading goes on if it was paused because the inbox was full.
void connection_read_on(Connection* c);

// receive.cpp and send.cpp: methods that return coroutines.
bool bind_receive();
bool bind_send();
PyObject* connection_recv(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names);
PyObject* connection_pop(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names);
PyObject* connection_anext(PyObject* self);
PyObject* connection_recv_chunk(PyObject* self, PyObject*);
PyObject* connection_send(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names);
PyObject* connection_wait_drained(PyObject* self, PyObject*);

// connection_calls.cpp
extern PyMethodDef connection_calls[];

}  // namespace pyws

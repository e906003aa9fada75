// What can be sent, and sending it.
#pragma once

#include "connection.hpp"

namespace pyws {

// The arguments `text` and `compress` of a send.
struct SendOptions {
  int text;        // -1: by the type of the message; else false or true
  uint32_t flags;  // WS_SEND_*
};

// False: an exception is set.  Null and None mean that nothing was said.
bool parse_compress(PyObject* compress, uint32_t* flags);
PyObject* compress_of(uint32_t flags);  // the reverse, a new reference
bool parse_send(PyObject* const* args, Py_ssize_t count, PyObject* keywords, PyObject** message,
                SendOptions* options);

// str, bytes-like or Message: what send takes in one piece.
bool is_data(PyObject* message);

// Calls ws_conn_send or its like.  A ws_error, or WS_BACKPRESSURE; kRaised: an exception is set.
constexpr int kRaised = INT32_MIN;
int queue_message(Connection* c, PyObject* message, const SendOptions& options);

// Sets the exception for an error of queue_message.  Returns null.
PyObject* set_send_error(Connection* c, int code);

}  // namespace pyws

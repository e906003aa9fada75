#include "broadcast.hpp"

#include "connection.hpp"
#include "errors.hpp"
#include "message.hpp"

namespace pyws {
namespace {

// A connection this far behind is passed over: a broadcast waits for nobody, and what it queues
// must have an end.
constexpr uint64_t kMostQueued = uint64_t{16} << 20;

// Why it cannot be sent now; null if it can.
const char* obstacle(const Connection* c) {
  if (c->fragmenting) return "a message is being sent in fragments";
  if (ws_conn_buffered(c->handle) > kMostQueued) return "too slow: more than 16 MiB are queued";
  return nullptr;
}

bool note(PyObject* skipped, PyObject* connection, const char* why) {
  const Ref entry(Py_BuildValue("(Os)", connection, why));
  return entry && PyList_Append(skipped, entry.get()) == 0;
}

bool send_one(PyObject* item, ws_message* message, PyObject* skipped) {
  if (!PyObject_TypeCheck(item, &connection_type)) {
    PyErr_Format(PyExc_TypeError, "broadcast() takes connections of libws, not %.100s",
                 Py_TYPE(item)->tp_name);
    return false;
  }
  auto* c = reinterpret_cast<Connection*>(item);
  if (c->state != kOpen) return true;
  const char* why = obstacle(c);
  if (why == nullptr) {
    const int sent = ws_conn_send_message(c->handle, message);
    if (sent < 0 && sent != WS_ERR_CLOSED) why = ws_strerror(sent);
  }
  return why == nullptr || note(skipped, item, why);
}

}  // namespace

PyObject* broadcast(PyObject*, PyObject* const* args, Py_ssize_t count) {
  ws_message* message = count == 2 ? message_handle(args[1]) : nullptr;
  if (message == nullptr) {
    PyErr_SetString(PyExc_TypeError, "broadcast(connections, message: Message)");
    return nullptr;
  }
  const Ref all(PyObject_GetIter(args[0]));
  Ref skipped(PyList_New(0));
  if (!all || !skipped) return nullptr;
  for (;;) {
    const Ref item(PyIter_Next(all.get()));
    if (!item) break;
    if (!send_one(item.get(), message, skipped.get())) return nullptr;
  }
  return PyErr_Occurred() ? nullptr : skipped.release();
}

}  // namespace pyws

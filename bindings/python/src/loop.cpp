#include "loop.hpp"

#include "connection.hpp"
#include "errors.hpp"

#include <poll.h>
#include <structmember.h>

#include <cerrno>
#include <cmath>
#include <cstddef>
#include <new>

namespace pyws {
namespace {

Loop* all_loops;

Loop* as_loop(PyObject* self) { return reinterpret_cast<Loop*>(self); }

void log_line(void* user, ws_log_level level, const char* line, size_t len) {
  auto* loop = static_cast<Loop*>(user);
  if (loop->log == nullptr) return;
  const SavedError saved;  // a call that frees something may be made with one
  const Ref text(PyUnicode_DecodeASCII(line, static_cast<Py_ssize_t>(len), "replace"));
  const Ref number(PyLong_FromLong(level));
  Ref told;
  if (text && number) {
    PyObject* const args[] = {number.get(), text.get()};
    told = Ref(PyObject_Vectorcall(loop->log, args, 2, nullptr));
  }
  if (!told) loop_took_exception(loop, loop->log);
}

// What becomes ready meanwhile is looked at too; none can become so without end, because that
// takes events of the library.  After a fork in the middle of it, the child's list is empty.
void resume_ready(Loop* loop) {
  for (size_t i = 0; i < loop->ready->size(); ++i) {
    Connection* c = std::exchange((*loop->ready)[i], nullptr);
    c->ready = false;
    connection_resume(c);
    Py_DECREF(object(c));
  }
  loop->ready->clear();
}

PyObject* loop_new(PyTypeObject* type, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"asyncio_loop", "log", "log_level", nullptr};
  PyObject* asyncio_loop = Py_None;
  PyObject* log = Py_None;
  int level = WS_LOG_OFF;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|OOi:Loop", const_cast<char**>(keywords),
                                   &asyncio_loop, &log, &level))
    return nullptr;
  Ref self(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  Loop* loop = as_loop(self.get());
  ws_loop_config config;
  WS_INIT(&config);
  config.log_level = static_cast<ws_log_level>(level);
  config.log = log_line;
  config.log_user = loop;
  loop->ready = new (std::nothrow) std::vector<Connection*>;
  if (loop->ready == nullptr) return PyErr_NoMemory();
  const int made = ws_loop_new(&config, &loop->handle);
  if (made < 0) return set_error(made);
  ws_loop_set_turn_end(
      loop->handle, [](ws_loop*, void* user) { resume_ready(static_cast<Loop*>(user)); }, loop);
  Py_INCREF(asyncio_loop);
  loop->asyncio_loop = asyncio_loop;
  if (log != Py_None) {
    Py_INCREF(log);
    loop->log = log;
  }
  loop->next = all_loops;
  all_loops = loop;
  return self.release();
}

int loop_traverse(PyObject* self, visitproc visit, void* arg) {
  const Loop* loop = as_loop(self);
  Py_VISIT(loop->asyncio_loop);
  Py_VISIT(loop->log);
  Py_VISIT(loop->raised);
  for (Connection* c = loop->first; c != nullptr; c = c->next) Py_VISIT(object(c));
  if (loop->ready != nullptr)
    for (Connection* c : *loop->ready) Py_VISIT(object(c));
  return 0;
}

// Ends everything on it: each connection is told, and no longer live.
int free_handle(Loop* loop) {
  const int freed = ws_loop_free(loop->handle);
  if (freed < 0) return freed;
  loop->handle = nullptr;
  while (loop->first != nullptr) connection_lost(loop->first, WS_ERR_CANCELLED, "loop closed");
  return 0;
}

// Without waking anything.  Those that resume_ready() has taken are null.
void forget_ready(Loop* loop) {
  const std::vector<Connection*> forgotten = std::exchange(*loop->ready, {});
  for (Connection* c : forgotten) {
    if (c == nullptr) continue;
    c->ready = false;
    Py_DECREF(object(c));
  }
}

// Nobody can reach the loop any more: what is still open on it was forgotten.
void loop_finalize(PyObject* self) {
  Loop* loop = as_loop(self);
  if (loop->handle == nullptr) return;
  const SavedError saved;
  for (Connection* c = loop->first; c != nullptr; c = c->next) {
    if (c->state == kClosed) continue;
    if (PyErr_ResourceWarning(self, 1, "unclosed connection %R", object(c)) < 0)
      PyErr_WriteUnraisable(self);
  }
  loop->in_turn = true;
  free_handle(loop);
  forget_ready(loop);
  loop->in_turn = false;
}

int loop_clear(PyObject* self) {
  Loop* loop = as_loop(self);
  Py_CLEAR(loop->asyncio_loop);
  Py_CLEAR(loop->log);
  Py_CLEAR(loop->raised);
  return 0;
}

void loop_dealloc(PyObject* self) {
  Loop* loop = as_loop(self);
  if (PyObject_CallFinalizerFromDealloc(self) < 0) return;
  PyObject_GC_UnTrack(self);
  for (Loop** each = &all_loops; *each != nullptr; each = &(*each)->next) {
    if (*each != loop) continue;
    *each = loop->next;
    break;
  }
  if (loop->weakrefs != nullptr) PyObject_ClearWeakRefs(self);
  loop_clear(self);
  if (loop->ready != nullptr)
    for (Connection* c : *loop->ready) Py_XDECREF(object(c));
  delete loop->ready;
  Py_TYPE(self)->tp_free(self);
}

PyObject* leave_turn(Loop* loop) {
  loop->in_turn = false;
  if (loop->raised == nullptr) return none();
  const Ref raised(std::exchange(loop->raised, nullptr));
  PyErr_SetObject(object(Py_TYPE(raised.get())), raised.get());
  return nullptr;
}

PyObject* loop_dispatch(PyObject* self, PyObject*) {
  Loop* loop = as_loop(self);
  if (loop->handle == nullptr || loop->in_turn) return none();
  const Ref alive = Ref::borrow(self);
  loop->in_turn = true;
  const int handled = ws_loop_dispatch(loop->handle, 0);
  if (handled >= 0 || loop->handle == nullptr)
    return leave_turn(loop);  // null: the child of a fork
  loop->in_turn = false;
  return set_error(handled);
}

PyObject* loop_wait(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"timeout", nullptr};
  PyObject* timeout = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|O:wait", const_cast<char**>(keywords), &timeout))
    return nullptr;
  int milliseconds = -1;
  if (timeout != Py_None) {
    const double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) return nullptr;
    milliseconds = static_cast<int>(std::ceil(std::fmin(std::fmax(seconds, 0), 2e6) * 1000));
  }
  Loop* loop = as_loop(self);
  if (!loop_usable(loop)) return nullptr;
  const int descriptor = ws_loop_fd(loop->handle);
  if (descriptor < 0) return set_error(descriptor);
  pollfd watched = {descriptor, POLLIN, 0};
  int ready = 0;
  int why = 0;
  Py_BEGIN_ALLOW_THREADS;
  ready = poll(&watched, 1, milliseconds);
  why = errno;
  Py_END_ALLOW_THREADS;
  if (ready < 0 && why != EINTR) {
    errno = why;
    return PyErr_SetFromErrno(PyExc_OSError);
  }
  if (PyErr_CheckSignals() < 0) return nullptr;
  return PyBool_FromLong(ready != 0);
}

PyObject* loop_wake(PyObject* self, PyObject*) {
  Loop* loop = as_loop(self);
  if (loop->handle == nullptr) return none();
  const int posted = ws_loop_post(
      loop->handle, [](ws_loop*, void*, int) {}, nullptr);
  return posted < 0 ? set_error(posted) : none();
}

PyObject* loop_fileno(PyObject* self, PyObject*) {
  if (!loop_usable(as_loop(self))) return nullptr;
  const int descriptor = ws_loop_fd(as_loop(self)->handle);
  return descriptor < 0 ? set_error(descriptor) : PyLong_FromLong(descriptor);
}

PyObject* loop_close(PyObject* self, PyObject*) {
  Loop* loop = as_loop(self);
  if (loop->handle == nullptr) return none();
  const bool nested = loop->in_turn;
  loop->in_turn = true;
  const int freed = free_handle(loop);
  if (freed < 0) {
    loop->in_turn = nested;
    return set_error(freed);
  }
  if (!nested) {
    resume_ready(loop);
    return leave_turn(loop);
  }
  return none();
}

PyObject* loop_stats(PyObject* self, PyObject*) {
  if (!loop_usable(as_loop(self))) return nullptr;
  ws_loop_stats s;
  WS_INIT(&s);
  const int got = ws_loop_get_stats(as_loop(self)->handle, &s);
  if (got < 0) return set_error(got);
  return Py_BuildValue("{sK sK sK sK sK sK sK sK sK}", "turns", s.turns, "events", s.events,
                       "tasks", s.tasks, "connections", s.connections, "timers", s.timers,
                       "longest_turn_us", s.longest_turn_us, "deflated", s.deflated, "inflated",
                       s.inflated, "deflate_bytes", s.deflate_bytes);
}

PyObject* get_closed(PyObject* self, void*) {
  return PyBool_FromLong(as_loop(self)->handle == nullptr);
}

PyObject* get_connections(PyObject* self, void*) {
  return PyLong_FromSize_t(as_loop(self)->connections);
}

PyMethodDef methods[] = {
    {"dispatch", loop_dispatch, METH_NOARGS,
     "Handle all that is ready, then run what waited for it.  Never blocks."},
    {"wait", method(loop_wait), METH_VARARGS | METH_KEYWORDS,
     "Wait without the GIL until dispatch has something to do; seconds.  False: timed out."},
    {"wake", loop_wake, METH_NOARGS, "Make wait return.  Thread: any."},
    {"fileno", loop_fileno, METH_NOARGS, "The descriptor to watch for readability."},
    {"close", loop_close, METH_NOARGS, "Abort everything; each connection gets its _on_close."},
    {"stats", loop_stats, METH_NOARGS, "ws_loop_stats, by the names of its members."},
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"asyncio_loop", T_OBJECT, offsetof(Loop, asyncio_loop), READONLY,
     "The event loop whose tasks wait on connections, or None."},
    {nullptr, 0, 0, 0, nullptr},
};

PyGetSetDef attributes[] = {
    {"closed", get_closed, nullptr, "True after close().", nullptr},
    {"connections", get_connections, nullptr,
     "How many connections it holds, opening and closing ones included.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

PyTypeObject loop_type = [] {
  PyTypeObject t = blank_type();
  t.tp_name = "libws._core.Loop";
  t.tp_doc = "ws_loop: one thread's connections behind one descriptor.";
  t.tp_basicsize = sizeof(Loop);
  t.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC;
  t.tp_new = loop_new;
  t.tp_dealloc = loop_dealloc;
  t.tp_finalize = loop_finalize;
  t.tp_traverse = loop_traverse;
  t.tp_clear = loop_clear;
  t.tp_weaklistoffset = offsetof(Loop, weakrefs);
  t.tp_methods = methods;
  t.tp_members = members;
  t.tp_getset = attributes;
  return t;
}();

bool bind_loop(PyObject* module) { return add_type(module, "Loop", &loop_type); }

void loop_took_exception(Loop* loop, PyObject* where) {
  const bool leaves =
      PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
  if (!leaves || loop->raised != nullptr) {
    PyErr_WriteUnraisable(where);
    return;
  }
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  if (traceback != nullptr) PyException_SetTraceback(value, traceback);
  loop->raised = value;
  Py_XDECREF(type);
  Py_XDECREF(traceback);
}

bool loop_usable(Loop* loop) {
  if (loop->handle != nullptr) return true;
  PyErr_SetString(PyExc_RuntimeError, "the loop is closed");
  return false;
}

void loop_add_ready(Loop* loop, Connection* connection) {
  if (connection->ready) return;
  connection->ready = true;
  Py_INCREF(object(connection));
  loop->ready->push_back(connection);
}

// Nothing of the parent's may be touched, and nothing of Python's run: the child has only the
// thread that forked.
PyObject* after_fork(PyObject*, PyObject*) {
  std::vector<Ref> loops;  // dropping a connection may drop its loop, or another
  for (Loop* loop = all_loops; loop != nullptr; loop = loop->next)
    loops.push_back(Ref::borrow(object(loop)));
  for (const Ref& each : loops) {
    Loop* loop = as_loop(each.get());
    if (loop->handle == nullptr) continue;
    const bool nested = loop->in_turn;
    ws_loop_abandon(std::exchange(loop->handle, nullptr));
    loop->in_turn = true;
    while (loop->first != nullptr)
      connection_lost(loop->first, WS_ERR_CANCELLED, "the process was forked");
    forget_ready(loop);
    loop->in_turn = nested;
  }
  return none();
}

}  // namespace pyws

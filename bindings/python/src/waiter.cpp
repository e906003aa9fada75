#include "waiter.hpp"

#include <structmember.h>

#include <cstddef>

namespace pyws {
namespace {

Waiter* as_waiter(PyObject* self) { return reinterpret_cast<Waiter*>(self); }

int waiter_traverse(PyObject* self, visitproc visit, void* arg) {
  Waiter* w = as_waiter(self);
  Py_VISIT(w->asyncio_loop);
  Py_VISIT(w->callback);
  Py_VISIT(w->context);
  Py_VISIT(w->cancel_message);
  return 0;
}

int waiter_clear(PyObject* self) {
  Waiter* w = as_waiter(self);
  Py_CLEAR(w->asyncio_loop);
  Py_CLEAR(w->callback);
  Py_CLEAR(w->context);
  Py_CLEAR(w->cancel_message);
  return 0;
}

void waiter_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  waiter_clear(self);
  PyObject_GC_Del(self);
}

// add_done_callback(fn, *, context=None); only a task calls it, once.
PyObject* add_done_callback(PyObject* self, PyObject* const* args, Py_ssize_t count,
                            PyObject* names) {
  Waiter* w = as_waiter(self);
  const Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  if (count != 1 || named > 1) {
    PyErr_SetString(PyExc_TypeError, "add_done_callback(fn, *, context=None)");
    return nullptr;
  }
  if (w->callback != nullptr) {
    PyErr_SetString(PyExc_RuntimeError, "this can only be awaited by one task");
    return nullptr;
  }
  Py_INCREF(args[0]);
  w->callback = args[0];
  if (named == 1 && args[1] != Py_None) {
    Py_INCREF(args[1]);
    w->context = args[1];
  }
  return none();
}

PyObject* remove_done_callback(PyObject* self, PyObject* callback) {
  Waiter* w = as_waiter(self);
  if (w->callback == nullptr) return PyLong_FromLong(0);
  const int same = PyObject_RichCompareBool(w->callback, callback, Py_EQ);
  if (same < 0) return nullptr;
  if (same == 1) {
    Py_CLEAR(w->callback);
    Py_CLEAR(w->context);
  }
  return PyLong_FromLong(same);
}

PyObject* get_loop(PyObject* self, PyObject*) {
  PyObject* loop = as_waiter(self)->asyncio_loop;
  Py_INCREF(loop);
  return loop;
}

bool call_soon(Waiter* w) {
  if (w->callback == nullptr) return true;
  const Ref callback(std::exchange(w->callback, nullptr));
  const Ref context(std::exchange(w->context, nullptr));
  const Ref method(PyObject_GetAttrString(w->asyncio_loop, "call_soon"));
  if (!method) return false;
  const Ref positional(PyTuple_Pack(2, callback.get(), object(w)));
  const Ref keyword(PyDict_New());
  if (!positional || !keyword) return false;
  if (context && PyDict_SetItemString(keyword.get(), "context", context.get()) < 0) return false;
  return static_cast<bool>(Ref(PyObject_Call(method.get(), positional.get(), keyword.get())));
}

// A task that is cancelled expects to be woken by the loop later, not inside this call.
PyObject* cancel(PyObject* self, PyObject* args, PyObject* names) {
  static const char* keywords[] = {"msg", nullptr};
  PyObject* message = Py_None;
  if (!PyArg_ParseTupleAndKeywords(args, names, "|O:cancel", const_cast<char**>(keywords),
                                   &message))
    return nullptr;
  Waiter* w = as_waiter(self);
  if (w->done) Py_RETURN_FALSE;
  w->done = w->cancelled = true;
  Py_INCREF(message);
  Py_XSETREF(w->cancel_message, message);
  if (!call_soon(w)) return nullptr;
  Py_RETURN_TRUE;
}

PyObject* done(PyObject* self, PyObject*) { return PyBool_FromLong(as_waiter(self)->done); }

PyObject* cancelled(PyObject* self, PyObject*) {
  return PyBool_FromLong(as_waiter(self)->cancelled);
}

PyObject* set_cancelled_error(Waiter* w) {
  const Ref module(PyImport_ImportModule("asyncio"));
  if (!module) return nullptr;
  const Ref type(PyObject_GetAttrString(module.get(), "CancelledError"));
  if (!type) return nullptr;
  if (w->cancel_message == nullptr || w->cancel_message == Py_None)
    PyErr_SetNone(type.get());
  else
    PyErr_SetObject(type.get(), w->cancel_message);
  return nullptr;
}

PyObject* result(PyObject* self, PyObject*) {
  Waiter* w = as_waiter(self);
  if (w->cancelled) return set_cancelled_error(w);
  if (!w->done) {
    PyErr_SetString(PyExc_RuntimeError, "it has not happened yet");
    return nullptr;
  }
  return none();
}

PyMethodDef methods[] = {
    {"add_done_callback", method(add_done_callback), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"remove_done_callback", remove_done_callback, METH_O, nullptr},
    {"get_loop", get_loop, METH_NOARGS, nullptr},
    {"cancel", method(cancel), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"done", done, METH_NOARGS, nullptr},
    {"cancelled", cancelled, METH_NOARGS, nullptr},
    {"result", result, METH_NOARGS, nullptr},
    {"exception", result, METH_NOARGS, nullptr},  // None, or raises CancelledError
    {nullptr, nullptr, 0, nullptr},
};

PyMemberDef members[] = {
    {"_asyncio_future_blocking", T_BOOL, offsetof(Waiter, blocking), 0, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyTypeObject waiter_type = [] {
  PyTypeObject t = blank_type();
  t.tp_name = "libws._core.Waiter";
  t.tp_basicsize = sizeof(Waiter);
  t.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC;
  t.tp_dealloc = waiter_dealloc;
  t.tp_traverse = waiter_traverse;
  t.tp_clear = waiter_clear;
  t.tp_methods = methods;
  t.tp_members = members;
  return t;
}();

}  // namespace

bool bind_waiter() { return PyType_Ready(&waiter_type) == 0; }

Waiter* waiter_new(PyObject* asyncio_loop) {
  Waiter* w = PyObject_GC_New(Waiter, &waiter_type);
  if (w == nullptr) return nullptr;
  Py_INCREF(asyncio_loop);
  w->asyncio_loop = asyncio_loop;
  w->callback = w->context = w->cancel_message = nullptr;
  w->blocking = 1;
  w->done = w->cancelled = false;
  PyObject_GC_Track(object(w));
  return w;
}

bool waiter_wake(Waiter* waiter) {
  if (waiter->done) return true;
  waiter->done = true;
  const Ref callback(std::exchange(waiter->callback, nullptr));
  const Ref context(std::exchange(waiter->context, nullptr));
  if (!callback) return true;
  if (context && PyContext_Enter(context.get()) < 0) return false;
  const Ref woken(PyObject_CallOneArg(callback.get(), object(waiter)));
  if (context) {
    const SavedError saved;
    PyContext_Exit(context.get());
  }
  return static_cast<bool>(woken);
}

bool waiter_wake_soon(Waiter* waiter) {
  if (waiter->done) return true;
  waiter->done = true;
  return call_soon(waiter);
}

}  // namespace pyws

// What makes an object a coroutine (collections.abc.Coroutine), so that asyncio makes tasks of it:
// send, throw and close, and the slots that `await` uses.
//
// A class brings `step`, which goes on until it returns, raises or yields what it is suspended on;
// and `stop`, after which it is over, whatever it was suspended on.
#pragma once

#include "python.hpp"

namespace pyws {

// For tp_iternext: what `step` gave.
PyObject* coroutine_yielded(PySendResult got, PyObject* value);

// Sets the exception that throw(type[, value[, traceback]]) was called with.  Returns null.
PyObject* coroutine_set_thrown(PyObject* args);

template <sendfunc step, void (*stop)(PyObject*)>
struct Coroutine {
  static PyObject* next(PyObject* self) {
    PyObject* value = nullptr;
    const PySendResult got = step(self, Py_None, &value);
    return coroutine_yielded(got, value);
  }
  static PyObject* send(PyObject* self, PyObject*) { return next(self); }
  static PyObject* raise(PyObject* self, PyObject* args) {
    stop(self);
    return coroutine_set_thrown(args);
  }
  static PyObject* close(PyObject* self, PyObject*) {
    stop(self);
    return none();
  }

  static void fill(PyTypeObject& type) {
    static PyMethodDef methods[] = {
        {"send", send, METH_O, nullptr},
        {"throw", raise, METH_VARARGS, nullptr},
        {"close", close, METH_NOARGS, nullptr},
        {nullptr, nullptr, 0, nullptr},
    };
    static PyAsyncMethods async_methods = {PyObject_SelfIter, nullptr, nullptr, step};
    type.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC;
    type.tp_iter = PyObject_SelfIter;
    type.tp_iternext = next;
    type.tp_as_async = &async_methods;
    type.tp_methods = methods;
  }
};

}  // namespace pyws

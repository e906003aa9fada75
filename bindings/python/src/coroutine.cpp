#include "coroutine.hpp"

namespace pyws {

PyObject* coroutine_yielded(PySendResult got, PyObject* value) {
  if (got == PYGEN_NEXT) return value;
  if (got == PYGEN_ERROR) return nullptr;
  const Ref result(value);
  const Ref stop(PyObject_CallOneArg(PyExc_StopIteration, result.get()));
  if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
  return nullptr;
}

PyObject* coroutine_set_thrown(PyObject* args) {
  PyObject* type = nullptr;
  PyObject* value = Py_None;
  PyObject* traceback = Py_None;
  if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback)) return nullptr;
  if (PyExceptionInstance_Check(type))
    PyErr_SetObject(object(Py_TYPE(type)), type);
  else
    PyErr_SetObject(type, value);
  return nullptr;
}

}  // namespace pyws

// What every file of the extension module stands on: Python's headers and an owning reference.
// Files that pybind11 helps to write include pybind.hpp instead.
// Everything here runs with the GIL held; only Loop.wait gives it up.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <libws/ws.h>
#include <Python.h>

#include <utility>

namespace pyws {

// Owns one reference, or none.
class Ref {
 public:
  Ref() = default;
  explicit Ref(PyObject* stolen) : object_(stolen) {}
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref&& other) noexcept {
    if (this != &other) {
      PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
      Py_XDECREF(old);
    }
    return *this;
  }
  Ref(const Ref&) = delete;
  Ref& operator=(const Ref&) = delete;
  ~Ref() { Py_XDECREF(object_); }

  static Ref borrow(PyObject* object) {
    Py_XINCREF(object);
    return Ref(object);
  }
  PyObject* get() const { return object_; }
  PyObject* release() { return std::exchange(object_, nullptr); }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  PyObject* object_ = nullptr;
};

// An exception that is set, put aside while Python code runs, and set again.
class SavedError {
 public:
  SavedError() { PyErr_Fetch(&type_, &value_, &traceback_); }
  ~SavedError() { PyErr_Restore(type_, value_, traceback_); }
  SavedError(const SavedError&) = delete;
  SavedError& operator=(const SavedError&) = delete;

 private:
  PyObject *type_, *value_, *traceback_;
};

template <typename T>
PyObject* object(T* self) {
  return reinterpret_cast<PyObject*>(self);
}

// A method, whatever its C signature.
template <typename F>
PyCFunction method(F* function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

// A type to fill in before PyType_Ready.
inline PyTypeObject blank_type() {
  const PyVarObject head[] = {PyVarObject_HEAD_INIT(nullptr, 0)};
  PyTypeObject type = {};
  type.ob_base = head[0];
  return type;
}

// Types and functions are added to the module by functions that return false with an exception set.
inline bool add_type(PyObject* module, const char* name, PyTypeObject* type) {
  if (PyType_Ready(type) < 0) return false;
  Py_INCREF(object(type));
  return PyModule_AddObject(module, name, object(type)) == 0;
}

inline PyObject* none() {
  Py_INCREF(Py_None);
  return Py_None;
}

}  // namespace pyws

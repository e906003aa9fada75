// Messages that have arrived and wait for recv: a ring of references, none allocated while empty
// for long.
#pragma once

#include "python.hpp"

#include <cstdint>
#include <cstdlib>

namespace pyws {

struct Inbox {
  PyObject** slots;
  uint32_t capacity;  // a power of two, or 0
  uint32_t head;
  uint32_t count;
  uint32_t whole;  // of parts: how many of them end a message

  PyObject* at(uint32_t i) const { return slots[(head + i) & (capacity - 1)]; }

  // Takes the reference; false when out of memory (then it is dropped).
  bool push(PyObject* item) {
    if (count == capacity && !grow()) {
      Py_DECREF(item);
      return false;
    }
    slots[(head + count++) & (capacity - 1)] = item;
    return true;
  }

  // Gives the reference.  Not when empty.
  PyObject* pop() {
    PyObject* item = slots[head];
    head = (head + 1) & (capacity - 1);
    if (--count == 0 && capacity > kKeep) release();
    return item;
  }

  void clear() {
    while (count != 0) Py_DECREF(pop());
    whole = 0;
    release();
  }

 private:
  static constexpr uint32_t kFirst = 4;
  static constexpr uint32_t kKeep = 64;

  bool grow() {
    const uint32_t larger = capacity == 0 ? kFirst : capacity * 2;
    auto** moved = static_cast<PyObject**>(PyMem_Malloc(larger * sizeof(PyObject*)));
    if (moved == nullptr) return false;
    for (uint32_t i = 0; i < count; ++i) moved[i] = at(i);
    PyMem_Free(slots);
    slots = moved;
    capacity = larger;
    head = 0;
    return true;
  }

  void release() {
    PyMem_Free(slots);
    slots = nullptr;
    capacity = head = 0;
  }
};

}  // namespace pyws

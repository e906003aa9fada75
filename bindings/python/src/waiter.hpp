// A Waiter is what a task is suspended on: like an asyncio future, but it resumes the task at
// once, inside the turn that brought what it waits for, instead of through loop.call_soon.
//
// asyncio's Task takes any object with the attribute `_asyncio_future_blocking` for a future, and
// gives it its wake-up and its context by add_done_callback (PEP 492, PEP 567).
#pragma once

#include "python.hpp"

namespace pyws {

struct Waiter {
  PyObject_HEAD PyObject* asyncio_loop;
  PyObject* callback;  // the task's wake-up, null until it is given and after it was called
  PyObject* context;
  PyObject* cancel_message;
  char blocking;  // `_asyncio_future_blocking`
  bool done;
  bool cancelled;
};

bool bind_waiter();

// New reference; null with an exception set.
Waiter* waiter_new(PyObject* asyncio_loop);

// Resumes the task, in its own context.  False: it raised, the exception is set.
bool waiter_wake(Waiter* waiter);

// The same through loop.call_soon, for where another task may be running.
bool waiter_wake_soon(Waiter* waiter);

}  // namespace pyws

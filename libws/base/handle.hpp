// From the C handle to the class behind it and back.  The handle types stay incomplete: a
// pointer is converted and never followed under its public name.
#pragma once

#include <libws/base.h>

namespace libws {

template <class Impl>
struct HandleOf;  // specialised beside each class: using type = ws_xxx

#define LIBWS_HANDLE(Impl, Handle) \
  template <>                      \
  struct HandleOf<Impl> {          \
    using type = Handle;           \
  }

template <class Impl>
typename HandleOf<Impl>::type* to_handle(const Impl* impl) {
  return reinterpret_cast<typename HandleOf<Impl>::type*>(const_cast<Impl*>(impl));
}

template <class Impl>
Impl* from_handle(const typename HandleOf<Impl>::type* handle) {
  return reinterpret_cast<Impl*>(const_cast<typename HandleOf<Impl>::type*>(handle));
}

}  // namespace libws

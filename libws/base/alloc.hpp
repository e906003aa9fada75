// The allocator hook (ws_set_allocator) and what stands on it: every byte the library allocates
// goes through here, so a program can count it and a test can make it fail.
#pragma once

#include "libws/base/system.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace libws {

// Installs the hook; false once memory has been handed out.
bool set_allocator_hook(void* (*resize)(void* user, void* ptr, size_t bytes), void* user);
void* hook_resize(void* ptr, size_t bytes);

// Null on failure.  No object is larger than PTRDIFF_MAX, so a size that is came from a caller's
// absurd length and the allocator is not asked.
inline void* try_resize(void* ptr, size_t bytes) {
  return bytes <= PTRDIFF_MAX ? sys().resize(ptr, bytes) : nullptr;
}
inline void* try_alloc(size_t bytes) { return try_resize(nullptr, bytes); }
inline void release(void* ptr) {
  if (ptr != nullptr) sys().resize(ptr, 0);
}

// Base of every class made with `new`, so that objects use the hook too.  operator new throws
// std::bad_alloc; hot paths that must not throw use `new (std::nothrow)`.
struct Allocated {
  static void* operator new(size_t bytes) {
    void* p = try_alloc(bytes);
    if (p == nullptr) throw std::bad_alloc();
    return p;
  }
  static void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
    return try_alloc(bytes);
  }
  static void* operator new(size_t, void* where) noexcept { return where; }
  static void operator delete(void* p) noexcept { release(p); }
  static void operator delete(void* p, const std::nothrow_t&) noexcept { release(p); }
  static void operator delete(void*, void*) noexcept {}
};

// The standard allocator over the hook.
template <class T>
struct Allocator {
  using value_type = T;
  Allocator() = default;
  template <class U>
  Allocator(const Allocator<U>&) noexcept {}  // NOLINT: conversion is the point
  T* allocate(size_t n) {
    if (n > std::numeric_limits<size_t>::max() / sizeof(T)) throw std::bad_alloc();
    void* p = try_alloc(n * sizeof(T));
    if (p == nullptr) throw std::bad_alloc();
    return static_cast<T*>(p);
  }
  void deallocate(T* p, size_t) noexcept { release(p); }
  template <class U>
  bool operator==(const Allocator<U>&) const noexcept {
    return true;
  }
};

template <class T>
using Vector = std::vector<T, Allocator<T>>;
using String = std::basic_string<char, std::char_traits<char>, Allocator<char>>;

}  // namespace libws

#include "libws/base/alloc.hpp"

#include <atomic>
#include <cstdlib>

namespace libws {
namespace {

void* libc_resize(void*, void* ptr, size_t bytes) {
  if (bytes == 0) {
    std::free(ptr);
    return nullptr;
  }
  return std::realloc(ptr, bytes);
}

// Written once before threads exist (the contract of ws_set_allocator), so plain pointers do;
// `used` is atomic only so that a program which breaks the contract is told so, not undefined.
void* (*hook)(void* user, void* ptr, size_t bytes) = libc_resize;
void* hook_user = nullptr;
std::atomic<bool> used{false};

}  // namespace

bool set_allocator_hook(void* (*resize)(void*, void*, size_t), void* user) {
  if (used.load(std::memory_order_relaxed)) return false;
  hook = resize;
  hook_user = user;
  return true;
}

void* hook_resize(void* ptr, size_t bytes) {
  if (!used.load(std::memory_order_relaxed)) used.store(true, std::memory_order_relaxed);
  return hook(hook_user, ptr, bytes);
}

}  // namespace libws

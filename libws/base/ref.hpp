// Intrusive reference counting: shared handles of the C API, atomically counted so that ref and
// unref may come from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace libws {

// Derive as `class X : public RefCounted<X>`; the count starts at one, owned by the creator.
template <class T>
class RefCounted {
 public:
  void ref() const { count_.fetch_add(1, std::memory_order_relaxed); }

  void unref() const {
    // Release so that writes of this owner are seen by the one that deletes, which acquires.
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete static_cast<const T*>(this);
  }

  // How many hold it, at some moment.
  uint32_t holders() const { return count_.load(std::memory_order_relaxed); }
  // True when nobody else holds it.
  bool unique() const { return count_.load(std::memory_order_acquire) == 1; }

 protected:
  ~RefCounted() = default;

 private:
  mutable std::atomic<uint32_t> count_{1};
};

template <class T>
class Ref {
 public:
  Ref() = default;
  // Takes over the reference the caller holds.
  static Ref adopt(T* p) {
    Ref r;
    r.p_ = p;
    return r;
  }
  // Adds a reference of its own.
  static Ref share(T* p) {
    if (p != nullptr) p->ref();
    return adopt(p);
  }
  Ref(const Ref& o) : p_(o.p_) {
    if (p_ != nullptr) p_->ref();
  }
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_ != nullptr) p_->unref();
  }

  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  // Gives the reference to the caller.
  T* release() { return std::exchange(p_, nullptr); }

 private:
  T* p_ = nullptr;
};

}  // namespace libws

// A hash table of pointers to objects that are somebody else's: open addressing, linear probing,
// eight bytes a slot.  Inserting is in two steps, so that what can fail comes first.
#pragma once

#include "libws/base/alloc.hpp"

#include <cassert>
#include <cstdint>

namespace libws {

// T has a member `uint32_t hash`.
template <class T>
class HashTable {
 public:
  HashTable() = default;
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;
  ~HashTable() { release(slots_); }

  size_t size() const { return size_; }

  // The one with this hash for which same(const T&) is true, or null.
  template <class Same>
  T* find(uint32_t hash, Same same) const {
    if (size_ == 0) return nullptr;
    for (size_t i = hash & mask_; slots_[i] != nullptr; i = (i + 1) & mask_) {
      if (slots_[i]->hash == hash && same(*slots_[i])) return slots_[i];
    }
    return nullptr;
  }

  // Room for one more.  Throws std::bad_alloc.
  void reserve_one() {
    if ((size_ + 1) * 4 <= capacity() * 3) return;
    if (!resize(capacity() != 0 ? capacity() * 2 : kMinSlots)) throw std::bad_alloc();
  }
  // After reserve_one(); not in it yet.
  void insert(T* item) {
    assert(size_ < capacity());
    put(item);
    ++size_;
  }
  void erase(const T* item) {
    size_t hole = item->hash & mask_;
    while (slots_[hole] != item) hole = (hole + 1) & mask_;
    // Whoever probed past the hole moves into it.
    for (size_t i = (hole + 1) & mask_; slots_[i] != nullptr; i = (i + 1) & mask_) {
      const size_t home = slots_[i]->hash & mask_;
      if (((i - home) & mask_) < ((i - hole) & mask_)) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = nullptr;
    --size_;
  }
  // Gives back memory that is not needed any more, if it can.
  void shrink() {
    size_t wanted = capacity();
    while (wanted > kMinSlots && size_ * 8 < wanted) wanted /= 2;
    if (wanted < capacity()) (void)resize(wanted);
  }

  // The first one at or behind *cursor, which begins at 0 and is left there, or null.  The one that
  // was given may be erased before the next call; then the cursor stays, otherwise it is advanced.
  T* at(size_t* cursor) const {
    while (*cursor < capacity() && slots_[*cursor] == nullptr) ++*cursor;
    return *cursor < capacity() ? slots_[*cursor] : nullptr;
  }

 private:
  static constexpr size_t kMinSlots = 16;

  size_t capacity() const { return slots_ != nullptr ? mask_ + 1 : 0; }
  void put(T* item) {
    size_t i = item->hash & mask_;
    while (slots_[i] != nullptr) i = (i + 1) & mask_;
    slots_[i] = item;
  }
  bool resize(size_t capacity_wanted) {
    auto** fresh = static_cast<T**>(try_alloc(capacity_wanted * sizeof(T*)));
    if (fresh == nullptr) return false;
    for (size_t i = 0; i < capacity_wanted; ++i) fresh[i] = nullptr;
    const size_t before = capacity();
    T** old = std::exchange(slots_, fresh);
    mask_ = capacity_wanted - 1;
    for (size_t i = 0; i < before; ++i) {
      if (old[i] != nullptr) put(old[i]);
    }
    release(old);
    return true;
  }

  T** slots_ = nullptr;
  size_t mask_ = 0;
  size_t size_ = 0;
};

}  // namespace libws

// An intrusive doubly linked list: membership costs no allocation, removal needs no search.
#pragma once

#include <cassert>
#include <cstddef>

namespace libws {

// A node that is on no list points at itself.
struct ListNode {
  ListNode* prev = this;
  ListNode* next = this;

  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;

  bool linked() const { return next != this; }

  void unlink() {
    prev->next = next;
    next->prev = prev;
    prev = next = this;
  }

  // Puts `node`, which is on no list, in front of this one.
  void insert_before(ListNode* node) {
    assert(!node->linked());
    node->prev = prev;
    node->next = this;
    prev->next = node;
    prev = node;
  }
};

// T derives from Tag, which derives from ListNode; a T on several lists has several tags.
template <class T, class Tag = ListNode>
class List {
 public:
  bool empty() const { return !head_.linked(); }
  void push_back(T* item) { head_.insert_before(static_cast<Tag*>(item)); }

  T* front() { return empty() ? nullptr : item(head_.next); }
  T* next(T* of) {
    ListNode* n = static_cast<Tag*>(of)->next;
    return n == &head_ ? nullptr : item(n);
  }
  const T* front() const { return const_cast<List*>(this)->front(); }
  const T* next(const T* of) const { return const_cast<List*>(this)->next(const_cast<T*>(of)); }
  T* pop_front() {
    T* first = front();
    if (first != nullptr) static_cast<Tag*>(first)->unlink();
    return first;
  }
  static void remove(T* item) { static_cast<Tag*>(item)->unlink(); }
  static bool linked(const T* item) { return static_cast<const Tag*>(item)->linked(); }

  // Moves every item of `from` to the end of this list.
  void splice(List& from) {
    if (from.empty()) return;
    ListNode* first = from.head_.next;
    ListNode* last = from.head_.prev;
    from.head_.prev = from.head_.next = &from.head_;
    first->prev = head_.prev;
    last->next = &head_;
    head_.prev->next = first;
    head_.prev = last;
  }

 private:
  static T* item(ListNode* n) { return static_cast<T*>(static_cast<Tag*>(n)); }
  ListNode head_;
};

}  // namespace libws

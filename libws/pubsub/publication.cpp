#include "libws/pubsub/publication.hpp"

#include "libws/base/alloc.hpp"

#include <cstring>
#include <new>

namespace libws {

Publication::Publication(const Published& what, uint32_t places)
    : what_(what),
      cost_(what.message->data().size() + what.topic.size() + kWaitingOverhead),
      message_(Ref<Message>::share(what.message)) {
  char* text = reinterpret_cast<char*>(this->places() + places);
  std::memcpy(text, what.topic.data(), what.topic.size());
  text[what.topic.size()] = '\0';
  what_.topic = {text, what.topic.size()};
  for (uint32_t i = 0; i < places; ++i) new (&place(i)) Place{this, nullptr};
}

Publication* Publication::make(const Published& what, uint32_t places) {
  static_assert(sizeof(Publication) % alignof(Place) == 0);
  void* memory = try_alloc(sizeof(Publication) + sizeof(Place) * places + what.topic.size() + 1);
  return memory != nullptr ? new (memory) Publication(what, places) : nullptr;
}

void Publication::unref() {
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~Publication();
  release(this);
}

}  // namespace libws

#include "libws/pubsub/patterns.hpp"

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"

#include <new>

namespace libws {
namespace {

constexpr std::string_view kOne = "*", kRest = "**";

}  // namespace

Patterns::~Patterns() {
  // Only what an abandoned loop leaves.  Nodes of "*" are in no table, so they go with the parent.
  const auto drop = [](Node* n) {
    while (n != nullptr) {
      Node* star = n->star;
      release(n);
      n = star;
    }
  };
  for (size_t cursor = 0; Node* n = edges_.at(&cursor); ++cursor) drop(n);
  drop(root_.star);
}

uint32_t Patterns::edge(const Node& parent, std::string_view segment) const {
  const uint64_t place = reinterpret_cast<uintptr_t>(&parent) * 0x9e3779b97f4a7c15u;
  return static_cast<uint32_t>(hash_(segment) ^ (place >> 32));
}

Patterns::Node* Patterns::child(const Node& parent, std::string_view segment) const {
  if (edges_.size() == 0) return nullptr;
  return edges_.find(edge(parent, segment),
                     [&](const Node& n) { return n.parent == &parent && n.segment() == segment; });
}

Patterns::Node* Patterns::add_child(Node& parent, std::string_view segment) {
  const bool star = segment == kOne;
  if (!star) edges_.reserve_one();
  void* memory = try_alloc(sizeof(Node) + segment.size());
  if (memory == nullptr) throw std::bad_alloc();
  Node* n = new (memory) Node;
  n->parent = &parent;
  n->len = static_cast<uint16_t>(segment.size());
  if (!segment.empty()) std::memcpy(n->text(), segment.data(), segment.size());
  ++parent.children;
  if (star) {
    parent.star = n;
  } else {
    n->hash = edge(parent, segment);
    edges_.insert(n);
  }
  return n;
}

// Frees the node and those above it that lead nowhere any more.
void Patterns::prune(Node* node) {
  while (node != &root_ && node->unused()) {
    Node* parent = node->parent;
    if (parent->star == node) {
      parent->star = nullptr;
    } else {
      edges_.erase(node);
    }
    --parent->children;
    release(node);
    node = parent;
  }
  edges_.shrink();
}

void Patterns::insert(std::string_view pattern, void* value) {
  Node* at = &root_;
  std::string_view segment;
  try {
    for (bool more = true; more;) {
      more = take_segment(&pattern, &segment);
      if (segment == kRest) {
        at->rest = value;
        return;
      }
      Node* next = segment == kOne ? at->star : child(*at, segment);
      at = next != nullptr ? next : add_child(*at, segment);
    }
    at->here = value;
  } catch (const std::bad_alloc&) {
    prune(at);
    throw;
  }
}

void Patterns::erase(std::string_view pattern) {
  Node* at = &root_;
  std::string_view segment;
  for (bool more = true; more;) {
    more = take_segment(&pattern, &segment);
    if (segment == kRest) {
      at->rest = nullptr;
      return prune(at);
    }
    at = segment == kOne ? at->star : child(*at, segment);
  }
  at->here = nullptr;
  prune(at);
}

}  // namespace libws

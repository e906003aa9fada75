// Patterns as a tree of segments, each with a value that is somebody else's.  A topic is matched by
// walking it: at each segment on to the child of that name and to that of "*".  A node is visited
// at most once, and no path is longer than kMaxPatternSegments.
#pragma once

#include "libws/base/hash_table.hpp"
#include "libws/base/keyed_hash.hpp"
#include "libws/pubsub/topic_name.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

class Patterns {
 public:
  explicit Patterns(const KeyedHash& hash) : hash_(hash) {}
  Patterns(const Patterns&) = delete;
  Patterns& operator=(const Patterns&) = delete;
  ~Patterns();

  bool empty() const { return root_.children == 0 && root_.rest == nullptr; }

  // `pattern` passed check_topic() and is not in it.  Throws std::bad_alloc, and then changes
  // nothing.
  void insert(std::string_view pattern, void* value);
  // It is in it.
  void erase(std::string_view pattern);

  // found(value) for each pattern that `topic` matches; must not change the patterns.
  template <class Found>
  void match(std::string_view topic, Found found) const {
    match_from(root_, topic, found);
  }

 private:
  // Children are found in one table for all nodes, by parent and segment; only "*" has a pointer.
  struct Node {
    Node* parent = nullptr;
    Node* star = nullptr;
    void* here = nullptr;   // of the pattern that ends with this segment
    void* rest = nullptr;   // of the pattern that goes on with "**"
    uint32_t children = 0;  // "*" included
    uint32_t hash = 0;
    uint16_t len = 0;

    bool unused() const { return children == 0 && here == nullptr && rest == nullptr; }
    char* text() { return reinterpret_cast<char*>(this + 1); }
    std::string_view segment() const { return {reinterpret_cast<const char*>(this + 1), len}; }
  };

  uint32_t edge(const Node& parent, std::string_view segment) const;
  Node* child(const Node& parent, std::string_view segment) const;
  Node* add_child(Node& parent, std::string_view segment);
  void prune(Node* node);

  template <class Found>
  void match_from(const Node& node, std::string_view topic, Found& found) const {
    if (node.rest != nullptr) found(node.rest);
    if (node.children == 0) return;
    std::string_view segment;
    const bool more = take_segment(&topic, &segment);
    for (const Node* next :
         {static_cast<const Node*>(child(node, segment)), static_cast<const Node*>(node.star)}) {
      if (next == nullptr) continue;
      if (more) {
        match_from(*next, topic, found);
      } else if (next->here != nullptr) {
        found(next->here);
      }
    }
  }

  KeyedHash hash_;
  HashTable<Node> edges_;  // all nodes but the root and those of "*"
  Node root_;
};

}  // namespace libws

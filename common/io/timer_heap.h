// common/io/timer_heap.h — the moments at which something is due, the nearest first.
//
// A 4-ary heap of nodes that know their place in it, so that an operation that ends in time leaves
// in O(log n). Deadlines mostly ascend (each new read waits as long as the one before), which makes
// adding O(1) in practice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/check.h"

namespace postern::io {

struct TimerNode {
  static constexpr size_t kNotInHeap = ~size_t{0};
  int64_t due_nanoseconds = 0;
  size_t heap_index = kNotInHeap;
  bool in_heap() const { return heap_index != kNotInHeap; }
};

class TimerHeap {
 public:
  bool empty() const { return nodes_.empty(); }
  size_t size() const { return nodes_.size(); }
  TimerNode* nearest() const { return nodes_.front(); }

  void Add(TimerNode& node) {
    CHECK(!node.in_heap());
    nodes_.push_back(&node);
    SiftUp(nodes_.size() - 1);
  }

  void Remove(TimerNode& node) {
    const size_t index = node.heap_index;
    CHECK(index < nodes_.size());
    node.heap_index = TimerNode::kNotInHeap;
    TimerNode* last = nodes_.back();
    nodes_.pop_back();
    if (last == &node) return;
    nodes_[index] = last;
    last->heap_index = index;
    SiftUp(index);
    SiftDown(last->heap_index);
  }

 private:
  static constexpr size_t kFanOut = 4;

  void Place(size_t index, TimerNode* node) {
    nodes_[index] = node;
    node->heap_index = index;
  }
  void SiftUp(size_t index) {
    TimerNode* node = nodes_[index];
    while (index > 0) {
      const size_t parent = (index - 1) / kFanOut;
      if (nodes_[parent]->due_nanoseconds <= node->due_nanoseconds) break;
      Place(index, nodes_[parent]);
      index = parent;
    }
    Place(index, node);
  }
  void SiftDown(size_t index) {
    TimerNode* node = nodes_[index];
    for (;;) {
      const size_t first = index * kFanOut + 1;
      if (first >= nodes_.size()) break;
      size_t least = first;
      for (size_t i = first + 1; i < first + kFanOut && i < nodes_.size(); ++i) {
        if (nodes_[i]->due_nanoseconds < nodes_[least]->due_nanoseconds) least = i;
      }
      if (node->due_nanoseconds <= nodes_[least]->due_nanoseconds) break;
      Place(index, nodes_[least]);
      index = least;
    }
    Place(index, node);
  }

  std::vector<TimerNode*> nodes_;
};

}  // namespace postern::io

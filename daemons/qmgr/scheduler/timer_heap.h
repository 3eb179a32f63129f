// daemons/qmgr/scheduler/timer_heap.h — moments in order, each of a numbered object that knows its
// place, so that it can be taken out again. All changes cost O(log n), the first is at hand.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "daemons/qmgr/scheduler/slab.h"

namespace postern::qmgr {

class TimerHeap {
 public:
  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  size_t octets() const { return entries_.capacity() * sizeof(Entry); }
  int64_t first_us() const { return entries_.front().at_us; }
  uint32_t first() const { return entries_.front().slot; }
  uint64_t steps() const { return steps_; }

  // `place(slot)` gives the uint32_t& in which an object keeps its place; kNone: not in the heap.
  template <class P>
  void Add(int64_t at_us, uint32_t slot, P place) {
    entries_.push_back({at_us, slot});
    Up(entries_.size() - 1, place);
  }

  template <class P>
  void Remove(uint32_t slot, P place) {
    const size_t at = place(slot);
    place(slot) = kNone;
    const Entry last = entries_.back();
    entries_.pop_back();
    if (at == entries_.size()) return;
    entries_[at] = last;
    Down(Up(at, place), place);
  }

 private:
  // Four children: a shallower tree than with two, and one cache line for all of them.
  static constexpr size_t kChildren = 4;
#pragma pack(push, 4)
  struct Entry {  // 12 octets
    int64_t at_us;
    uint32_t slot;
  };
#pragma pack(pop)

  template <class P>
  size_t Up(size_t at, P place) {
    const Entry entry = entries_[at];
    for (; at > 0; ++steps_) {
      const size_t parent = (at - 1) / kChildren;
      if (entries_[parent].at_us <= entry.at_us) break;
      Put(at, entries_[parent], place);
      at = parent;
    }
    Put(at, entry, place);
    return at;
  }

  template <class P>
  void Down(size_t at, P place) {
    const Entry entry = entries_[at];
    for (;; ++steps_) {
      const size_t begin = at * kChildren + 1;
      if (begin >= entries_.size()) break;
      size_t least = begin;
      for (size_t i = begin + 1; i < std::min(begin + kChildren, entries_.size()); ++i) {
        if (entries_[i].at_us < entries_[least].at_us) least = i;
      }
      if (entries_[least].at_us >= entry.at_us) break;
      Put(at, entries_[least], place);
      at = least;
    }
    Put(at, entry, place);
  }

  template <class P>
  void Put(size_t at, const Entry& entry, P place) {
    entries_[at] = entry;
    place(entry.slot) = static_cast<uint32_t>(at);
  }

  std::vector<Entry> entries_;
  uint64_t steps_ = 0;
};

}  // namespace postern::qmgr

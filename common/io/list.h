// common/io/list.h — a node of an intrusive, circular, doubly linked list; it leaves its list when
// it dies. A list's head is a node too.
#pragma once

namespace postern::io {

class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { Unlink(); }

  bool linked() const { return next_ != this; }
  ListNode* next() const { return next_; }

  void Unlink() {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = next_ = this;
  }
  void LinkBefore(ListNode& other) {
    Unlink();
    prev_ = other.prev_;
    next_ = &other;
    prev_->next_ = this;
    next_->prev_ = this;
  }

 private:
  ListNode* prev_ = this;
  ListNode* next_ = this;
};

}  // namespace postern::io

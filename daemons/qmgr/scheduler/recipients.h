// daemons/qmgr/scheduler/recipients.h — the recipients of one unit as indices of the envelope: one
// or two without an allocation, which is nearly all mail.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace postern::qmgr {

class Recipients {
 public:
  Recipients() = default;
  Recipients(const Recipients&) = delete;
  Recipients& operator=(const Recipients&) = delete;
  Recipients& operator=(Recipients&& other) noexcept {
    Assign({});
    count_ = other.count_;
    if (count_ > kFew) {
      many_ = other.many_;
    } else {
      std::copy_n(other.few_, kFew, few_);
    }
    other.count_ = 0;
    return *this;
  }
  ~Recipients() { Assign({}); }

  void Assign(std::span<const uint32_t> indices) {
    if (count_ > kFew) delete[] many_;
    count_ = static_cast<uint32_t>(indices.size());
    if (count_ > kFew) many_ = new uint32_t[count_];
    std::copy(indices.begin(), indices.end(), count_ > kFew ? many_ : few_);
  }

  std::vector<uint32_t> ToVector() const {
    const uint32_t* begin = count_ > kFew ? many_ : few_;
    return {begin, begin + count_};
  }
  uint32_t size() const { return count_; }

 private:
  static constexpr uint32_t kFew = 2;
  union {
    uint32_t few_[kFew] = {};
    uint32_t* many_;
  };
  uint32_t count_ = 0;
};

}  // namespace postern::qmgr

// common/io/buffer_pool.h — the memory of the buffers that all receiving connections share. Pages
// are touched only as they are used.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/status.h"

namespace postern::io {

class BufferPool {
 public:
  BufferPool() = default;
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;

  absl::Status Map(uint32_t buffer_octets, uint32_t buffer_count);
  char* At(uint32_t id) const { return memory_ + size_t{id} * buffer_octets_; }
  uint32_t buffer_octets() const { return buffer_octets_; }
  uint32_t count() const { return count_; }

 private:
  char* memory_ = nullptr;
  uint32_t buffer_octets_ = 0;
  uint32_t count_ = 0;
};

}  // namespace postern::io

#include "common/io/buffer_pool.h"

#include <sys/mman.h>

#include <cerrno>

namespace postern::io {

absl::Status BufferPool::Map(uint32_t buffer_octets, uint32_t buffer_count) {
  const size_t total = size_t{buffer_octets} * buffer_count;
  void* memory = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "map ", total, " octets of receive buffers");
  memory_ = static_cast<char*>(memory);
  buffer_octets_ = buffer_octets;
  count_ = buffer_count;
  return absl::OkStatus();
}

BufferPool::~BufferPool() {
  if (memory_ != nullptr) ::munmap(memory_, size_t{buffer_octets_} * count_);
}

}  // namespace postern::io

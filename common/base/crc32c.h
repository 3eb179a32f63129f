// common/base/crc32c.h — the CRC-32C (Castagnoli) checksum of RFC 3720 §12.1, which guards the
// records of the queue. With SSE 4.2 it runs at several GB/s; elsewhere a table is used.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern {

// The checksum of `bytes` appended to data whose checksum is `crc` (0 for none):
// Crc32c("ab") == Crc32c("b", Crc32c("a")).
uint32_t Crc32c(std::string_view bytes, uint32_t crc = 0);

// The portable form, for machines without the instruction and for tests.
uint32_t Crc32cPortable(std::string_view bytes, uint32_t crc = 0);

}  // namespace postern

// common/mime/limits.h — bounds on header sections.
#pragma once

#include <cstddef>

namespace postern::mime {

inline constexpr size_t kFoldColumns = 78;           // RFC 5322 §2.1.1: lines should not be longer
inline constexpr size_t kMaxLineOctets = 998;        // and must not be, without CRLF
inline constexpr size_t kMaxFieldName = 76;          // ours: of the names the scanner tells apart
inline constexpr size_t kMaxDeliveredTo = 64;        // ours: Delivered-To values kept
inline constexpr size_t kMaxValueOctets = 512;       // ours: of each kept value
inline constexpr size_t kMaxHeaderOctets = 1 << 20;  // ours: a longer section is no header section
inline constexpr size_t kMaxForeignWord = 255;       // of what a client says, in a Received field

}  // namespace postern::mime

#include "common/ipc/frame.h"

#include "common/base/bytes.h"

namespace postern::ipc {
namespace {

constexpr uint8_t kHasDescriptor = 1;

}  // namespace

void AppendFrameHeader(std::string& to, const FrameHeader& header) {
  AppendLittleEndian(to, header.payload_octets);
  AppendLittleEndian(to, header.type);
  AppendLittleEndian(to, static_cast<uint8_t>(header.has_descriptor ? kHasDescriptor : 0));
  AppendLittleEndian(to, uint16_t{0});
  AppendLittleEndian(to, header.id);
}

Parsed<FrameHeader> ParseFrameHeader(std::string_view bytes, size_t max_payload_octets) {
  if (bytes.size() < kFrameHeaderOctets) return Malformed("frame header is cut off");
  FrameHeader header;
  header.payload_octets = LoadLittleEndian<uint32_t>(bytes.data());
  header.type = LoadLittleEndian<uint8_t>(bytes.data() + 4);
  const auto flags = LoadLittleEndian<uint8_t>(bytes.data() + 5);
  const auto zero = LoadLittleEndian<uint16_t>(bytes.data() + 6);
  header.id = LoadLittleEndian<uint32_t>(bytes.data() + 8);
  if (header.payload_octets > max_payload_octets) return Malformed("frame is too large", 0);
  if ((flags & ~kHasDescriptor) != 0 || zero != 0) return Malformed("frame has unknown flags", 5);
  header.has_descriptor = (flags & kHasDescriptor) != 0;
  return header;
}

}  // namespace postern::ipc

// Header sections: the scanner sees the same however the message is cut, and agrees with the
// splitter; editing keeps every other octet.
//
// Covers: common/mime/header_edit.cc common/mime/header_field.cc common/mime/header_scanner.cc
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/mime/header_edit.h"
#include "common/mime/header_field.h"
#include "common/mime/header_scanner.h"
#include "common/mime/limits.h"
#include "common/mime/trace.h"

namespace {

using namespace postern::mime;

HeaderScanner Scanned(std::string_view message, size_t step) {
  HeaderScanner scanner(HeaderScanner::Values::kKeep);
  for (; !message.empty(); message.remove_prefix(std::min(step, message.size()))) {
    scanner.Scan(message.substr(0, step));
  }
  scanner.Finish();
  return scanner;
}

void CheckSame(const HeaderScanner& a, const HeaderScanner& b) {
  CHECK(a.octets() == b.octets());
  CHECK(a.fields() == b.fields());
  CHECK(a.received_fields() == b.received_fields());
  CHECK(a.from_fields() == b.from_fields());
  CHECK(a.has_8bit() == b.has_8bit());
  CHECK(a.delivered_to() == b.delivered_to());
}

void CheckOneField(const std::string& text) {
  HeaderScanner scanner;
  scanner.Scan(text);
  scanner.Scan("\r\n");
  CHECK(scanner.ended() && scanner.fields() == 1 && scanner.octets() == text.size() + 2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view message(reinterpret_cast<const char*>(data) + 1, size - 1);
  const HeaderScanner whole = Scanned(message, size);
  CheckSame(whole, Scanned(message, 1 + data[0]));
  CheckSame(whole, Scanned(message, 1));
  CHECK(whole.delivered_to().size() <= kMaxDeliveredTo);

  const SplitMessage split = SplitHeader(message, kMaxHeaderOctets);
  if (!split.cut) {
    CHECK(split.body.size() == message.size() - whole.octets());
  }
  CHECK(WithoutFields(split.header, {}) == split.header);
  const std::string without = WithoutBcc(split.header);
  CHECK(!FindField(without, "bcc").has_value());
  CHECK(WithoutBcc(without) == without);

  CheckOneField(FormatField("X-Test", message));
  CheckOneField(FormatReceived({.helo = std::string(message),
                                .client_name = std::string(message),
                                .client_ip = "192.0.2.1",
                                .by = "mx.example.org",
                                .id = "X",
                                .for_recipient = std::string(message)}));
  CheckOneField(FormatReturnPath(message));
  return 0;
}

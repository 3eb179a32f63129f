// common/log/redact.h — what must not be read in a log, masked.
#pragma once

#include <string>
#include <string_view>

namespace postern::log {

// For secrets: says only whether there was something; not even the length shows.
std::string Redacted(std::string_view secret);

// For addresses where the configuration wants them masked: "alice@example.org" is
// "a***@example.org". The domain stays; a local part of one character is masked wholly; without a
// domain it is as Redacted.
std::string RedactedMailbox(std::string_view mailbox);

}  // namespace postern::log

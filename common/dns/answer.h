// common/dns/answer.h — what a DNS look-up says to whoever asked: one of four outcomes, the records
// of one type, and how far they can be trusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/dns/message.h"

namespace postern::dns {

enum class Status : uint8_t {
  kFound,     // records is not empty
  kNoData,    // the name exists, without records of this type
  kNxDomain,  // the name does not exist
  // SERVFAIL, no server answered in time, a broken answer, a signature that is wrong: says nothing
  // about the name, so the mail that asked stays queued.
  kTemporaryFailure,
};
std::string_view StatusName(Status status);  // "found", "nodata", "nxdomain", "tempfail"

enum class Security : uint8_t {
  kUnknown,   // nobody we trust has looked
  kInsecure,  // the zone is not signed
  kSecure,    // signed, and valid up to a trust anchor
  kBogus,     // signed, and wrong: status is kTemporaryFailure
};
std::string_view SecurityName(Security security);  // "unknown", "insecure", ...

struct Answer {
  Status status = Status::kTemporaryFailure;
  Security security = Security::kUnknown;
  std::string reason;               // why, for the log; empty when found
  Name canonical_name;              // where the CNAME chain led; the name asked for without one
  std::vector<RecordData> records;  // all of the type asked for, at most kMaxRecords
  uint32_t ttl_seconds = 0;         // may be remembered for so long; 0: not at all
  // There were more records than kMaxRecords or kMaxAnswerOctets allow, or longer ones than
  // kMaxRecordOctets: what is here is not all.
  bool truncated = false;
  // The chain left this message (the server knows no more): ask again for canonical_name.
  bool incomplete = false;

  friend bool operator==(const Answer&, const Answer&) = default;
};

// Reads the answer to (`name`, `type`) out of a response, following up to kMaxCnames CNAMEs within
// it; `cnames_before` counts those that messages before it had. `security` is the verdict on the
// whole message: kBogus makes a failure of anything.
Answer AnswerFrom(const Message& response, const Name& name, Type type, Security security,
                  int cnames_before = 0);

// How many CNAMEs AnswerFrom follows in `response` from `name`; more than kMaxCnames for a loop.
int CountCnames(const Message& response, const Name& name, Type type);

// A temporary failure.
Answer Failure(const Name& name, std::string reason);

}  // namespace postern::dns

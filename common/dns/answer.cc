#include "common/dns/answer.h"

#include <algorithm>
#include <utility>

#include "common/dns/limits.h"

namespace postern::dns {
namespace {

bool Is(const Record& record, const Name& owner, Type type) {
  return record.type == type && record.record_class == kClassIn && record.owner == owner;
}

// Where the CNAME chain from a name leads, and what it costs.
struct Chain {
  Name end;
  int cnames = 0;
  uint32_t ttl_seconds = kMaxTtlSeconds;
};

// Follows CNAMEs in the answer section until there is none, or records of `type` are there, or
// more than `limit` were followed: so a loop ends too.
Chain Follow(const Message& response, const Name& name, Type type, int limit) {
  Chain chain{.end = name};
  while (chain.cnames <= limit) {
    const Record* alias = nullptr;
    for (const Record& record : response.answers) {
      if (Is(record, chain.end, type)) return chain;
      if (alias == nullptr && Is(record, chain.end, Type::kCname)) alias = &record;
    }
    if (alias == nullptr) return chain;
    ++chain.cnames;
    chain.ttl_seconds = std::min(chain.ttl_seconds, alias->ttl_seconds);
    chain.end = std::get<Target>(alias->data).name;
  }
  return chain;
}

void CollectRecords(const Message& response, Type type, Answer& answer) {
  size_t octets = 0;
  for (const Record& record : response.answers) {
    if (!Is(record, answer.canonical_name, type)) continue;
    const size_t its_octets = OctetsOf(record.data);
    if (answer.records.size() >= kMaxRecords || its_octets > kMaxRecordOctets ||
        octets + its_octets > kMaxAnswerOctets) {
      answer.truncated = true;
      continue;
    }
    octets += its_octets;
    answer.ttl_seconds = std::min(answer.ttl_seconds, record.ttl_seconds);
    answer.records.push_back(record.data);
  }
}

// The SOA that comes with "does not exist" (RFC 2308 §3), of a zone that `name` is in.
const Record* NegativeSoa(const Message& response, const Name& name) {
  for (const Record& record : response.authorities) {
    if (record.type == Type::kSoa && record.record_class == kClassIn && name.IsWithin(record.owner))
      return &record;
  }
  return nullptr;
}

uint32_t NegativeTtl(const Record& soa) {
  return std::min({soa.ttl_seconds, std::get<Soa>(soa.data).minimum, kMaxNegativeTtlSeconds});
}

}  // namespace

std::string_view StatusName(Status status) {
  switch (status) {
    case Status::kFound:
      return "found";
    case Status::kNoData:
      return "nodata";
    case Status::kNxDomain:
      return "nxdomain";
    case Status::kTemporaryFailure:
      break;
  }
  return "tempfail";
}

std::string_view SecurityName(Security security) {
  switch (security) {
    case Security::kUnknown:
      break;
    case Security::kInsecure:
      return "insecure";
    case Security::kSecure:
      return "secure";
    case Security::kBogus:
      return "bogus";
  }
  return "unknown";
}

Answer Failure(const Name& name, std::string reason) {
  Answer answer;
  answer.canonical_name = name;
  answer.reason = std::move(reason);
  return answer;
}

int CountCnames(const Message& response, const Name& name, Type type) {
  return Follow(response, name, type, kMaxCnames).cnames;
}

Answer AnswerFrom(const Message& response, const Name& name, Type type, Security security,
                  int cnames_before) {
  if (security == Security::kBogus) {
    Answer answer = Failure(name, "the answer's signatures are not valid");
    answer.security = security;
    return answer;
  }
  const Rcode rcode = response.header.rcode;
  if (rcode != Rcode::kNoError && rcode != Rcode::kNameError)
    return Failure(name, "the name server says " + RcodeName(rcode));
  const int limit = kMaxCnames - cnames_before;
  Chain chain = Follow(response, name, type, limit);
  if (chain.cnames > limit)
    return Failure(name,
                   "the chain of CNAMEs is a loop or longer than " + std::to_string(kMaxCnames));
  Answer answer;
  answer.security = security;
  answer.canonical_name = std::move(chain.end);
  answer.ttl_seconds = chain.ttl_seconds;
  CollectRecords(response, type, answer);
  answer.truncated = answer.truncated || response.records_dropped;
  if (!answer.records.empty()) {
    answer.status = Status::kFound;
    return answer;
  }
  if (answer.truncated) {
    return Failure(name, "the answer is larger than we take");
  }
  const Record* soa = NegativeSoa(response, answer.canonical_name);
  answer.ttl_seconds = soa == nullptr ? 0 : std::min(answer.ttl_seconds, NegativeTtl(*soa));
  if (rcode == Rcode::kNameError) {
    // It is the end of the chain that does not exist (RFC 6604 §3).
    answer.status = Status::kNxDomain;
    answer.reason = "the name does not exist";
    return answer;
  }
  answer.status = Status::kNoData;
  answer.reason = "the name has no " + TypeName(type) + " record";
  answer.incomplete = chain.cnames > 0 && soa == nullptr;
  return answer;
}

}  // namespace postern::dns

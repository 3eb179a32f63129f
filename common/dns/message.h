// common/dns/message.h — whole DNS messages (RFC 1035 §4): the questions we ask, and what comes
// back.
//
// What is read is a stranger's: lengths, pointers and counts are checked, and no more than
// kMaxSectionRecords of a section are kept, however many there are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/dns/record.h"

namespace postern::dns {

enum class Rcode : uint16_t {
  kNoError = 0,
  kFormatError = 1,
  kServerFailure = 2,
  kNameError = 3,  // NXDOMAIN
  kNotImplemented = 4,
  kRefused = 5,
  kBadVersion = 16,
};

// "SERVFAIL"; "RCODE11" for one we have no name for.
std::string RcodeName(Rcode rcode);

struct Header {
  uint16_t id = 0;
  bool response = false;             // QR
  uint8_t opcode = 0;                // 0: a query
  bool authoritative = false;        // AA
  bool truncated = false;            // TC
  bool recursion_desired = false;    // RD
  bool recursion_available = false;  // RA
  bool authentic_data = false;       // AD, RFC 4035 §3.2.3
  bool checking_disabled = false;    // CD
  Rcode rcode = Rcode::kNoError;     // with the upper bits from EDNS

  friend bool operator==(const Header&, const Header&) = default;
};

struct Question {
  Name name;
  Type type{};
  uint16_t question_class = kClassIn;

  friend bool operator==(const Question&, const Question&) = default;
};

// RFC 6891 §6.1; options are not kept.
struct Edns {
  uint16_t udp_payload_octets = 512;
  uint8_t version = 0;
  bool dnssec_ok = false;  // DO

  friend bool operator==(const Edns&, const Edns&) = default;
};

struct Message {
  Header header;
  std::optional<Question> question;  // a server may answer a broken query without it
  std::vector<Record> answers;
  std::vector<Record> authorities;
  std::optional<Edns> edns;
  bool records_dropped = false;  // a section had more than kMaxSectionRecords

  friend bool operator==(const Message&, const Message&) = default;
};

// Reads a whole message. Records of the additional section other than OPT are skipped, and so is
// what lies behind the last record.
// Errors: too short, more than one question, a broken name or record, a second OPT
Parsed<Message> ParseMessage(std::string_view bytes);

// The header and the question alone: enough to know what a packet answers, also of a truncated one.
Parsed<Message> ParseHead(std::string_view bytes);

// The message's octets, no name compressed. What exceeds kMaxMessageOctets is for the caller to
// see.
std::string Encode(const Message& message);

struct QueryOptions {
  uint16_t id = 0;      // random, from the caller
  bool edns = true;     // offer kUdpPayloadOctets
  bool want_ad = true;  // ask for the server's verdict (RFC 6840 §5.7)
  bool dnssec_ok = false;
};

// A recursive query in class IN. The case of `name` goes out as it is.
std::string BuildQuery(const Name& name, Type type, const QueryOptions& options);

// The same name with the case of each letter taken from `random`: what comes back must have it too,
// so that whoever forges an answer has that to guess as well ("0x20").
Name RandomiseCase(const Name& name, std::string_view random);

// How far a packet is the answer to a question with `id`.
enum class Match {
  kYes,
  kCaseDiffers,  // all is right but the case of the name: ask over TCP instead
  kNo,           // someone else's, or forged: ignore it and go on waiting
};
Match MatchResponse(const Message& response, uint16_t id, const Question& asked);

}  // namespace postern::dns

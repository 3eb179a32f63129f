// A DNS response from a stranger: reading it never crashes, what was read is written and read the
// same again, names survive their text form, and every answer drawn from it keeps its bounds.
//
// Covers: common/dns/message.cc common/dns/name.cc common/dns/record.cc common/dns/answer.cc
// Covers: common/dns/mx.cc
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/dns/answer.h"
#include "common/dns/limits.h"
#include "common/dns/mx.h"

namespace {

using namespace postern::dns;

void Require(bool condition) {
  if (!condition) std::abort();
}

void CheckName(const Name& name) {
  Require(name.wire().size() <= kMaxNameOctets && name.wire().back() == '\0');
  const auto again = Name::FromText(name.ToText());
  Require(again.has_value() && again->wire() == name.wire());
  Require(name.IsWithin(name) && name.IsWithin(Name()) && name.Lower() == name);
  for (const char c : name.ToText()) Require(c > ' ' && c < '\x7F');
}

void CheckAnswer(const Message& message, const Name& name, Type type) {
  const Answer answer = AnswerFrom(message, name, type, Security::kInsecure);
  Require(answer.records.size() <= kMaxRecords);
  Require((answer.status == Status::kFound) == !answer.records.empty());
  Require(answer.ttl_seconds <= kMaxTtlSeconds);
  size_t octets = 0;
  for (const RecordData& data : answer.records) octets += OctetsOf(data);
  Require(octets <= kMaxAnswerOctets);
  Require(AnswerFrom(message, name, type, Security::kBogus).status == Status::kTemporaryFailure);
  if (type != Type::kMx) return;
  std::vector<MailExchanger> exchangers;
  for (const RecordData& data : answer.records) {
    const Mx& mx = std::get<Mx>(data);
    exchangers.push_back({mx.preference, mx.exchange.ToText()});
  }
  const MxPlan plan = PlanRoute(answer.status, name.ToText(), exchangers, {}, message.header.id);
  Require((plan.route == Route::kHosts) == !plan.hosts.empty());
  Require(plan.hosts.size() <= kMaxMailExchangers);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto head = ParseHead(bytes);
  const auto message = ParseMessage(bytes);
  if (!message.has_value()) return 0;
  Require(head.has_value() && head->question == message->question);
  for (const auto* section : {&message->answers, &message->authorities}) {
    Require(section->size() <= kMaxSectionRecords);
    for (const Record& record : *section) CheckName(record.owner);
  }
  if (message->question.has_value()) {
    const Name& name = message->question->name;
    CheckName(name);
    Require(RandomiseCase(name, bytes.substr(0, 8)) == name);
    Require(!message->header.response || message->header.opcode != 0 ||
            MatchResponse(*message, message->header.id, *message->question) == Match::kYes);
    for (const Type type : {message->question->type, Type::kA, Type::kMx, Type::kTxt, Type::kCname})
      CheckAnswer(*message, name, type);
  }
  const std::string encoded = Encode(*message);
  // Without compression it may no longer fit a message.
  if (encoded.size() > kMaxMessageOctets) return 0;
  auto again = ParseMessage(encoded);
  Require(again.has_value());
  again->records_dropped = message->records_dropped;
  Require(*again == *message);
  return 0;
}

#include "tools/postern/story.h"

#include <gtest/gtest.h>

namespace postern::tool {
namespace {

constexpr char kId[] = "0SAX9BSAM3G00";

TEST(StoryReader, KeepsTheLinesOfOneMessageInOrder) {
  StoryReader story(kId);
  for (const char* line : {
           "2026-11-24T09:00:00.000000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G00 "
           "from=a@example.org size=10 recipients=1 client=192.0.2.1",
           "2026-11-24T09:00:00.500000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G01 "
           "from=0SAX9BSAM3G00@example.org size=10 recipients=1 client=192.0.2.1",
           "not a line of ours 0SAX9BSAM3G00",
           "",
           R"({"time":"2026-11-24T09:00:01.000000Z","daemon":"smtpc/0","pid":8,"severity":"info",)"
           R"("event":"message.relayed","id":"0SAX9BSAM3G00","to":"c@example.net","remote":"mx"})",
       }) {
    story.TakeLine(line);
  }
  ASSERT_EQ(story.records().size(), 2u);
  EXPECT_EQ(Sentence(story.records()[0]),
            "2026-11-24 09:00:00Z  qmgr: accepted from <a@example.org>, sent by 192.0.2.1 (10 "
            "octets, 1 recipient)");
  EXPECT_EQ(Sentence(story.records()[1]),
            "2026-11-24 09:00:01Z  smtpc: taken by mx for <c@example.net>");
}

std::string Told(const char* event_and_fields) {
  StoryReader story(kId);
  story.TakeLine("2026-11-24T09:00:00.000000Z x[7] info " + std::string(event_and_fields));
  if (story.records().size() != 1) return "not read";
  return Sentence(story.records()[0]).substr(std::string("2026-11-24 09:00:00Z  x: ").size());
}

TEST(Sentence, EachEventHasWords) {
  const struct {
    const char* line;
    const char* told;
  } rows[] = {
      {"message.queued id=0SAX9BSAM3G00 error=\"disk full\"",
       "not taken: it could not be stored: disk full"},
      {"message.queued id=0SAX9BSAM3G00 from=\"\" size=1 recipients=2 client=local",
       "accepted from <>, sent by local (1 octets, 2 recipients)"},
      {"message.delivered id=0SAX9BSAM3G00 to=a@x via=local user=a",
       "delivered to <a@x>, mailbox of a"},
      {"message.deferred id=0SAX9BSAM3G00 to=a@x status=4.4.1 reason=\"no route\"",
       "not delivered to <a@x> this time (4.4.1): no route"},
      {"message.bounced id=0SAX9BSAM3G00 to=a@x status=5.1.1 reason=no",
       "given up: <a@x> cannot be reached (5.1.1): no"},
      {"message.expired id=0SAX9BSAM3G00 age_ms=5", "given up: it was in the queue for too long"},
      {"message.held id=0SAX9BSAM3G00 reason=poison", "held: poison"},
      {"message.released id=0SAX9BSAM3G00", "released"},
      {"message.deferred id=0SAX9BSAM3G00 recipients=2 status=4.3.0 reason=lost",
       "not delivered this time (4.3.0): lost"},
      {"message.held id=0SAX9BSAM3G00 by=operator uid=1000 reason=wait",
       "held by operator (user 1000): wait"},
      {"message.released id=0SAX9BSAM3G00 by=operator uid=0", "released by operator (user 0)"},
      {"message.requeued id=0SAX9BSAM3G00 by=qmgr reason=\"it died\"",
       "to be tried again now by qmgr: it died"},
      {"message.deleted id=0SAX9BSAM3G00 by=operator uid=0", "deleted by operator (user 0)"},
      {"message.requeued id=0SAX9BSAM3G00", "to be tried again now"},
      {"message.deleted id=0SAX9BSAM3G00 reason=operator", "deleted: operator"},
      {"message.removed id=0SAX9BSAM3G00 age_ms=5", "done: it left the queue"},
      {"message.discarded id=0SAX9BSAM3G00 reason=policy", "thrown away: policy"},
      {"notice.sent id=0SAX9BSAM3G00 kind=failure to=a@x notice=0SAX9BSAM3G01",
       "a failure notice went to <a@x> as 0SAX9BSAM3G01"},
      {"notice.skipped id=0SAX9BSAM3G00 kind=delay", "no delay notice was called for"},
      {"notice.double id=0SAX9BSAM3G00 to=a@x reason=no",
       "no notice is sent about a notice; <a@x> did not get it: no"},
      {"remote.failed id=0SAX9BSAM3G00 remote=192.0.2.1:25 reason=refused",
       "tried 192.0.2.1:25, which did not work: refused"},
      {"deliver.failed id=0SAX9BSAM3G00 user=a reason=full",
       "the mailbox of a did not take it: full"},
      {"future.event id=0SAX9BSAM3G00 key=value", "future.event key=value"},
      {"message.unheard id=0SAX9BSAM3G00 key=value", "message.unheard key=value"},
  };
  for (const auto& row : rows) EXPECT_EQ(Told(row.line), row.told) << row.line;
}

TEST(Sentence, ForeignBytesReachNoTerminal) {
  EXPECT_EQ(Told(R"(message.deleted id=0SAX9BSAM3G00 reason="a\x1b[2J")"), R"(deleted: a\x1b[2J)");
}

TEST(Counted, KnowsOneFromMany) {
  EXPECT_EQ(Counted(0, "time"), "0 times");
  EXPECT_EQ(Counted(1, "time"), "1 time");
  EXPECT_EQ(Counted(2, "time"), "2 times");
}

}  // namespace
}  // namespace postern::tool

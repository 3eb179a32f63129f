#include "tools/postern/story.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Story, IsToldOfOneMessageInOrder) {
  const std::string log =
      "2026-11-24T09:00:00.000000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G00 "
      "from=a@example.org size=10 recipients=1 client=192.0.2.1\n"
      "2026-11-24T09:00:00.500000Z qmgr/0[7] info message.queued id=0SAX9BSAM3G01 "
      "from=b@example.org size=10 recipients=1 client=192.0.2.1\n"
      "not a line of ours 0SAX9BSAM3G00\n"
      "2026-11-24T09:00:01.000000Z smtpc/0[8] info message.relayed id=0SAX9BSAM3G00 "
      "to=c@example.net remote=mx status=2.0.0 reply=\"250 ok\"\n";
  const std::vector<log::Record> records = tool::RecordsOf(log, "0SAX9BSAM3G00");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(tool::Sentence(records[0]),
            "2026-11-24 09:00:00Z  qmgr: accepted from <a@example.org>, sent by 192.0.2.1 (10 "
            "octets, 1 recipients)");
  EXPECT_EQ(tool::Sentence(records[1]),
            "2026-11-24 09:00:01Z  smtpc: taken by mx for <c@example.net>: 250 ok");
}

}  // namespace
}  // namespace postern

#include "daemons/qmgr/admin.h"

#include "daemons/qmgr/admin_connection.h"
#include "daemons/qmgr/admin_filter.h"
#include "tests/daemons/qmgr/station.h"

namespace postern::qmgr {
namespace {

namespace admin = protocol::admin;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(AddressFits, AnAddressADomainOrTheNullSender) {
  const struct {
    const char* pattern;
    const char* address;
    bool fits;
  } rows[] = {
      {"", "", true},
      {"", "a@example.net", true},
      {"a@example.net", "a@example.net", true},
      {"A@Example.NET", "a@example.net", true},
      {"a@example.net", "b@example.net", false},
      {"a@example.net", "aa@example.net", false},
      {"@example.net", "a@example.net", true},
      {"@EXAMPLE.net", "a@Example.net", true},
      {"@example.net", "a@sub.example.net", false},
      {"@example.net", "a@notexample.net", false},
      {"@example.net", "\"@example.net\"@other.example", false},
      {"@example.net", "postmaster", false},
      {"<>", "", true},
      {"<>", "a@example.net", false},
  };
  for (const auto& row : rows)
    EXPECT_EQ(AddressFits(row.pattern, row.address), row.fits) << row.pattern << " " << row.address;
}

template <class Answer, class Question>
io::Task<absl::StatusOr<Answer>> Ask(Talker& tool, const Question& question) {
  const uint32_t id = tool.NewId();
  CO_RETURN_IF_ERROR(tool.Send(id, question));
  CO_ASSIGN_OR_RETURN(auto heard, co_await tool.Receive<Answer>());
  if (heard.id != id) co_return DataLoss("an answer to another question");
  co_return std::move(heard.message);
}

io::Task<absl::Status> Put(Station& station, uint16_t n, const std::vector<std::string>& to) {
  MessageRecord record = RecordTo(to);
  record.arrival_us = station.queue.WallUs();
  co_return co_await station.queue.Accept(IdOf(n), std::move(record), "hello\n");
}

std::vector<uint64_t> IdsIn(const admin::Listed& listed) {
  std::vector<uint64_t> ids;
  for (const admin::Message& message : listed.messages) ids.push_back(message.queue_id);
  return ids;
}

TEST(List, AFilterByRecipientLooksAtAllWhoAreLeft) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    std::vector<std::string> many;
    for (int i = 0; i < 3000; ++i) many.push_back("u" + std::to_string(i) + "@example.net");
    CO_RETURN_IF_ERROR(co_await Put(station, 1, many));
    CO_RETURN_IF_ERROR(co_await Put(station, 2, {"other@example.net"}));
    CO_RETURN_IF_ERROR(co_await Put(station, 3, {"x@elsewhere.example", "U2999@Example.net"}));
    Talker& tool = station.Tool(0);
    CO_ASSIGN_OR_RETURN(
        const auto listed,
        co_await Ask<admin::Listed>(tool, admin::List{.recipient = "u2999@example.net"}));
    EXPECT_THAT(IdsIn(listed), ElementsAre(IdOf(1), IdOf(3)));
    if (!listed.messages.empty()) {
      EXPECT_THAT(listed.messages[0].recipients, SizeIs(1));
      EXPECT_EQ(listed.messages[0].recipients[0].address, "u2999@example.net");
      EXPECT_EQ(listed.messages[0].recipient_count, 3000u);
    }
    CO_ASSIGN_OR_RETURN(const auto domain, co_await Ask<admin::Listed>(
                                               tool, admin::List{.recipient = "@example.net"}));
    EXPECT_THAT(IdsIn(domain), ElementsAre(IdOf(1), IdOf(2), IdOf(3)));
    EXPECT_THAT(domain.messages[0].recipients, SizeIs(AdminConnection::kListedRecipients));
    CO_ASSIGN_OR_RETURN(const auto none, co_await Ask<admin::Listed>(
                                             tool, admin::List{.recipient = "@nowhere.example"}));
    EXPECT_THAT(IdsIn(none), IsEmpty());
    EXPECT_EQ(none.active, 3u) << "totals are of all";
    co_return absl::OkStatus();
  });
}

TEST(List, GoesThroughAllPagesWhateverTheFilterLeavesOut) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    for (uint16_t n = 1; n <= 25; ++n)
      CO_RETURN_IF_ERROR(co_await Put(station, n, {"a@b.example"}));
    Talker& tool = station.Tool(0);
    admin::List list{.limit = 10};
    std::vector<uint64_t> all;
    size_t pages = 0;
    for (;;) {
      CO_ASSIGN_OR_RETURN(const auto page, co_await Ask<admin::Listed>(tool, list));
      for (const uint64_t id : IdsIn(page)) all.push_back(id);
      ++pages;
      if (!page.more) break;
      list.after = page.last_seen;
    }
    EXPECT_EQ(pages, 3u);
    EXPECT_THAT(all, SizeIs(25));
    EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
    co_return absl::OkStatus();
  });
}

TEST(List, TotalsAndStatesAreOfMessages) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    std::vector<std::string> many;
    for (int i = 0; i < 250; ++i)
      many.push_back("u@d" + std::to_string(i) + ".example");  // 250 units of one message
    CO_RETURN_IF_ERROR(co_await Put(station, 1, many));
    for (;;) {
      const auto job = station.queue.scheduler().Next(Route::kRemote, station.queue.NowUs());
      if (!job.has_value()) break;
      station.queue.Finish(*job, {}, Verdict::kHealthy, "later");
    }
    CO_RETURN_IF_ERROR(co_await Put(station, 2, {"a@b.example"}));
    CO_RETURN_IF_ERROR(co_await Put(station, 3, {"a@b.example"}));
    Talker& tool = station.Tool(0);
    const admin::Act hold{.verb = admin::Verb::kHold, .queue_id = IdOf(3), .reason = "wait"};
    CO_ASSIGN_OR_RETURN(const auto acted, co_await Ask<admin::Acted>(tool, hold));
    EXPECT_EQ(acted.count, 1u);
    CO_ASSIGN_OR_RETURN(const auto all, co_await Ask<admin::Listed>(tool, admin::List{}));
    EXPECT_EQ(all.deferred, 1u);
    EXPECT_EQ(all.active, 1u);
    EXPECT_EQ(all.held, 1u);
    for (const auto& [state, id] :
         {std::pair{admin::State::kDeferred, IdOf(1)}, std::pair{admin::State::kActive, IdOf(2)},
          std::pair{admin::State::kHeld, IdOf(3)}}) {
      CO_ASSIGN_OR_RETURN(
          const auto some,
          co_await Ask<admin::Listed>(tool, admin::List{.only_state = true, .state = state}));
      EXPECT_THAT(IdsIn(some), ElementsAre(id));
    }
    EXPECT_GT(all.messages[0].next_attempt_us, station.queue.WallUs());
    EXPECT_EQ(all.messages[0].attempts, 1u);
    CO_ASSIGN_OR_RETURN(const auto flushed,
                        co_await Ask<admin::Acted>(tool, admin::Act{.verb = admin::Verb::kFlush,
                                                                    .destination = "d7.example"}));
    EXPECT_EQ(flushed.count, 1u);
    CO_ASSIGN_OR_RETURN(const auto after, co_await Ask<admin::Listed>(tool, admin::List{}));
    EXPECT_EQ(after.deferred, 0u) << "a part of it is due";
    co_return absl::OkStatus();
  });
}

TEST(Show, HasAllRecipientsPageByPageWithTheirLastWords) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    std::vector<std::string> many;
    for (int i = 0; i < 250; ++i) many.push_back("u" + std::to_string(i) + "@example.net");
    CO_RETURN_IF_ERROR(co_await Put(station, 1, many));
    const auto job = station.queue.scheduler().Next(Route::kRemote, station.queue.NowUs());
    station.queue.Finish(
        *job, {Rig::ResultFor(0, Outcome::kDelivered), Rig::ResultFor(1, Outcome::kDeferred)},
        Verdict::kHealthy, "no answer");
    CO_RETURN_IF_ERROR(co_await station.queue.store().Flush());
    Talker& tool = station.Tool(0);
    std::vector<admin::Recipient> all;
    uint32_t from = 0;
    do {
      CO_ASSIGN_OR_RETURN(
          const auto shown,
          co_await Ask<admin::Shown>(tool, admin::Show{.queue_id = IdOf(1), .from = from}));
      EXPECT_EQ(shown.error, "");
      EXPECT_EQ(shown.message.recipient_count, 249u);
      for (const admin::Recipient& one : shown.message.recipients) all.push_back(one);
      from = shown.next;
    } while (from != 0);
    EXPECT_THAT(all, SizeIs(250));
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].address, many[i]);
    EXPECT_TRUE(all[0].done);
    EXPECT_EQ(all[1].diagnostic, "mx.example.net: 450 come again");
    EXPECT_EQ(all[2].diagnostic, "no answer");
    EXPECT_EQ(all[249].diagnostic, "");
    CO_ASSIGN_OR_RETURN(
        const auto beyond,
        co_await Ask<admin::Shown>(tool, admin::Show{.queue_id = IdOf(1), .from = UINT32_MAX}));
    EXPECT_THAT(beyond.message.recipients, IsEmpty());
    EXPECT_EQ(beyond.next, 0u);
    CO_ASSIGN_OR_RETURN(const auto unknown,
                        co_await Ask<admin::Shown>(tool, admin::Show{.queue_id = IdOf(9)}));
    EXPECT_EQ(unknown.error, "no such message in the queue");
    co_return absl::OkStatus();
  });
}

TEST(Act, AnOrderIsDurableLoggedWithTheUserAndSaysWhatItCannotDo) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    CO_RETURN_IF_ERROR(co_await Put(station, 1, {"a@b.example"}));
    Talker& tool = station.Tool(1234);
    const std::string id = QueueId(IdOf(1)).ToString();
    const struct {
      admin::Verb verb;
      uint64_t count;
      std::string line;
    } rows[] = {
        {admin::Verb::kHold, 1, "message.held id=" + id + " by=operator uid=1234 reason=why"},
        {admin::Verb::kHold, 0, ""},
        {admin::Verb::kRequeue, 0, ""},
        {admin::Verb::kRelease, 1, "message.released id=" + id + " by=operator uid=1234"},
        {admin::Verb::kRelease, 0, ""},
        {admin::Verb::kRequeue, 1, "message.requeued id=" + id + " by=operator uid=1234"},
        {admin::Verb::kFlush, 1, "message.requeued id=" + id + " by=operator uid=1234"},
        {admin::Verb::kDelete, 1, "message.deleted id=" + id + " by=operator uid=1234"},
        {admin::Verb::kDelete, 0, ""},
    };
    for (const auto& row : rows) {
      const size_t before = row.line.empty() ? 0 : log.Count(row.line);
      const size_t lines = log.lines().size();
      CO_ASSIGN_OR_RETURN(
          const auto acted,
          co_await Ask<admin::Acted>(
              tool, admin::Act{.verb = row.verb, .queue_id = IdOf(1), .reason = "why"}));
      EXPECT_EQ(acted.count, row.count) << static_cast<int>(row.verb);
      EXPECT_EQ(acted.error.empty(), row.count > 0);
      EXPECT_EQ(log.lines().size(), lines + row.count);
      if (!row.line.empty()) EXPECT_EQ(log.Count(row.line), before + 1) << row.line;
    }
    co_return absl::OkStatus();
  });
}

TEST(Act, AllOfThemAreReachedInTurns) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    for (uint16_t n = 1; n <= 3 * AdminConnection::kActedAtOnce; ++n)
      CO_RETURN_IF_ERROR(co_await Put(station, n, {"a@b.example"}));
    Talker& tool = station.Tool(0);
    CO_ASSIGN_OR_RETURN(
        const auto held,
        co_await Ask<admin::Acted>(tool, admin::Act{.verb = admin::Verb::kHold, .all = true}));
    EXPECT_EQ(held.count, 3 * AdminConnection::kActedAtOnce);
    EXPECT_EQ(station.queue.scheduler().Counts().held, held.count);
    CO_ASSIGN_OR_RETURN(
        const auto gone,
        co_await Ask<admin::Acted>(tool, admin::Act{.verb = admin::Verb::kDelete, .all = true}));
    EXPECT_EQ(gone.count, held.count);
    EXPECT_THAT(station.queue.messages(), IsEmpty());
    co_return absl::OkStatus();
  });
}

TEST(Admin, AQuestionForMasterEndsTheConnectionAndIsLogged) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    Talker& tool = station.Tool(77);
    CO_RETURN_IF_ERROR(tool.Send(tool.NewId(), admin::Processes{}));
    CO_RETURN_IF_ERROR(co_await tool.End());
    EXPECT_EQ(log.Count("incident.frame edge=admin uid=77"), 1u);
    co_return absl::OkStatus();
  });
}

}  // namespace
}  // namespace postern::qmgr

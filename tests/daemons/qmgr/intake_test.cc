#include "daemons/qmgr/intake.h"

#include <unistd.h>

#include "tests/daemons/qmgr/station.h"

namespace postern::qmgr {
namespace {

namespace submission = protocol::submission;
using ::testing::IsEmpty;

// What a power cut at this moment would leave: the ids a start finds.
io::Task<absl::StatusOr<std::vector<uint64_t>>> AfterAPowerCut(Station& station) {
  const std::unique_ptr<FaultyDisk> left = station.disk.AfterPowerCut(0);
  Store store(*left, {.segment_octets = 1u << 20, .reserve_octets = 1u << 20});
  std::vector<uint64_t> ids;
  const auto report =
      co_await store.Open([&ids](RecoveredMessage&& message) { ids.push_back(message.queue_id); });
  CO_RETURN_IF_ERROR(report.status());
  co_return ids;
}

bool HasContent(const Station& station, uint64_t id) {
  return station.disk.files_.contains(ContentName(id));
}

TEST(Intake, CommittedMeansDurable) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(smtpd, IdOf(1), {"a@example.net"}));
    EXPECT_EQ(done.outcome, submission::Outcome::kCommitted);
    CO_ASSIGN_OR_RETURN(const auto ids, co_await AfterAPowerCut(station));
    EXPECT_EQ(ids, std::vector<uint64_t>{IdOf(1)});
    co_return absl::OkStatus();
  });
}

// The write, then the sync, of the log, and all operations on a large message's own file.
TEST(Intake, NothingIsCommittedWhoseWriteOrSyncFailed) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_ASSIGN_OR_RETURN(const auto first, co_await Deposit(smtpd, IdOf(1), {"a@example.net"}));
    EXPECT_EQ(first.outcome, submission::Outcome::kCommitted);
    uint16_t n = 2;
    size_t refused = 0;
    const std::string large(100u << 10, 'x');
    for (const std::string_view content : {std::string_view("small"), std::string_view(large)}) {
      for (int at = 1; at <= 6; ++at, ++n) {
        const log::ScopedCapture log;
        station.disk.FailAt(at, FaultyDisk::Fault::kError, absl::InternalError("EIO"));
        CO_ASSIGN_OR_RETURN(const auto done,
                            co_await Deposit(smtpd, IdOf(n), {"a@example.net"}, content));
        station.disk.FailAt(1 << 20, FaultyDisk::Fault::kNone, absl::OkStatus());
        CO_ASSIGN_OR_RETURN(const auto ids, co_await AfterAPowerCut(station));
        const bool there = std::find(ids.begin(), ids.end(), IdOf(n)) != ids.end();
        if (done.outcome == submission::Outcome::kCommitted) {
          EXPECT_TRUE(there) << at;
          continue;
        }
        ++refused;
        EXPECT_EQ(done.reply.code, 451);
        EXPECT_FALSE(station.queue.Knows(IdOf(n)));
        EXPECT_FALSE(HasContent(station, IdOf(n)));
        EXPECT_EQ(log.Count("message.refused id=" + QueueId(IdOf(n)).ToString()), 1u);
      }
    }
    EXPECT_GE(refused, 6u);
    co_return absl::OkStatus();
  });
}

TEST(Intake, LargeContentIsAFileOfItsOwnByteForByte) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    uint16_t n = 1;
    const size_t edge = station.settings.queue.inline_octets;
    for (const size_t octets : {edge - 1, edge, edge + 1, 2 * edge + 17}) {
      std::string content;
      while (content.size() < octets) content += std::to_string(content.size()) + "\r\n";
      content.resize(octets);
      CO_ASSIGN_OR_RETURN(const auto done,
                          co_await Deposit(smtpd, IdOf(n), {"a@example.net"}, content));
      EXPECT_EQ(done.outcome, submission::Outcome::kCommitted);
      EXPECT_EQ(HasContent(station, IdOf(n)), octets > edge) << octets;
      QueuedMessage* message = station.queue.Find(IdOf(n));
      CO_ASSIGN_OR_RETURN(const LoadedMessage loaded,
                          co_await station.queue.store().Load(IdOf(n), message->where));
      EXPECT_EQ(loaded.record.content_octets, octets);
      EXPECT_TRUE((octets > edge ? station.disk.files_[ContentName(IdOf(n))]->synced
                                 : loaded.content) == content);
      ++n;
    }
    co_return absl::OkStatus();
  });
}

TEST(Intake, AnIdInUseIsRefusedAndTheFirstMessageIsUntouched) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    const std::string large(100u << 10, 'x');
    CO_ASSIGN_OR_RETURN(const auto first,
                        co_await Deposit(smtpd, IdOf(1), {"a@example.net"}, large));
    EXPECT_EQ(first.outcome, submission::Outcome::kCommitted);
    CO_ASSIGN_OR_RETURN(const auto again,
                        co_await Deposit(smtpd, IdOf(1), {"b@example.net"}, large));
    EXPECT_EQ(again.outcome, submission::Outcome::kRefused);
    EXPECT_EQ(again.reply.code, 451);
    EXPECT_TRUE(HasContent(station, IdOf(1)));
    // Two at once: the second finds the file that the first is writing.
    CO_ASSIGN_OR_RETURN(const uint32_t a, SubmitTo(smtpd, IdOf(2), {"a@example.net"}, large));
    CO_ASSIGN_OR_RETURN(const uint32_t b, SubmitTo(smtpd, IdOf(2), {"b@example.net"}, large));
    CO_RETURN_IF_ERROR(smtpd.Send(b, submission::End{}));
    CO_ASSIGN_OR_RETURN(const auto second, co_await smtpd.Receive<submission::Done>());
    EXPECT_EQ(second.id, b);
    EXPECT_EQ(second.message.outcome, submission::Outcome::kRefused);
    CO_RETURN_IF_ERROR(smtpd.Send(a, submission::End{}));
    CO_ASSIGN_OR_RETURN(const auto kept, co_await smtpd.Receive<submission::Done>());
    EXPECT_EQ(kept.message.outcome, submission::Outcome::kCommitted);
    EXPECT_TRUE(HasContent(station, IdOf(2)));
    co_return absl::OkStatus();
  });
}

TEST(Intake, WhatIsCutOffOrCancelledLeavesNothing) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const std::string large(100u << 10, 'x');
    Talker& smtpd = station.Smtpd();
    for (const std::string_view content : {std::string_view("small"), std::string_view(large)}) {
      CO_ASSIGN_OR_RETURN(const uint32_t stream,
                          SubmitTo(smtpd, IdOf(1), {"a@example.net"}, content));
      CO_RETURN_IF_ERROR(smtpd.Send(stream, submission::Cancel{}));
      CO_ASSIGN_OR_RETURN(const auto done, co_await smtpd.Receive<submission::Done>());
      EXPECT_EQ(done.message.outcome, submission::Outcome::kCancelled);
      EXPECT_FALSE(HasContent(station, IdOf(1)));
    }
    CO_RETURN_IF_ERROR(SubmitTo(smtpd, IdOf(2), {"a@example.net"}, large).status());
    CO_RETURN_IF_ERROR(SubmitTo(smtpd, IdOf(3), {"a@example.net"}, "small").status());
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return HasContent(station, IdOf(2)); }));
    smtpd.Close();
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return !HasContent(station, IdOf(2)); }));
    EXPECT_THAT(station.queue.messages(), IsEmpty());
    EXPECT_EQ(station.totals.streams, 0u);
    EXPECT_EQ(station.totals.buffered_octets, 0u);
    co_return absl::OkStatus();
  });
}

TEST(Intake, ContentBeyondItsCreditCostsTheChannel) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    station.slow_disk.contents_made.Reset();  // so no credit comes
    Talker& honest = station.Smtpd(1);
    Talker& smtpd = station.Smtpd();
    const std::string all(submission::kInitialCredit, 'x');
    CO_ASSIGN_OR_RETURN(const uint32_t stream, SubmitTo(smtpd, IdOf(1), {"a@example.net"}, all));
    CO_RETURN_IF_ERROR(
        co_await station.Until([&] { return station.totals.buffered_octets >= all.size(); }));
    EXPECT_EQ(log.Count("incident.frame"), 0u) << "as far as the credit goes";
    CO_RETURN_IF_ERROR(smtpd.Send(stream, submission::Content{.bytes = "x"}));
    CO_RETURN_IF_ERROR(co_await smtpd.End());
    EXPECT_EQ(log.Count("incident.frame edge=smtpd-qmgr"), 1u);
    EXPECT_EQ(log.Count("credit"), 1u);
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(honest, IdOf(2), {"a@example.net"}));
    EXPECT_EQ(done.outcome, submission::Outcome::kCommitted);
    station.slow_disk.contents_made.Set();
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return station.totals.buffered_octets == 0; }));
    co_return absl::OkStatus();
  });
}

TEST(Intake, MoreThanMemoryTakesIsRefusedForNow) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    station.totals.buffered_octets = IntakeTotals::kMaxBufferedOctets - 600;  // of others
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(smtpd, IdOf(1), {"a@example.net"},
                                                          std::string(1000, 'x')));
    EXPECT_EQ(done.outcome, submission::Outcome::kRefused);
    EXPECT_EQ(done.reply.code, 452);
    EXPECT_EQ(station.totals.buffered_octets, IntakeTotals::kMaxBufferedOctets - 600);
    std::vector<std::string> many(100, "a@example.net");
    CO_ASSIGN_OR_RETURN(const auto too_many, co_await Deposit(smtpd, IdOf(2), many));
    EXPECT_EQ(too_many.reply.code, 452);
    CO_ASSIGN_OR_RETURN(const auto fits, co_await Deposit(smtpd, IdOf(3), {"a@example.net"}));
    EXPECT_EQ(fits.outcome, submission::Outcome::kCommitted);
    station.totals.buffered_octets = 0;
    co_return absl::OkStatus();
  });
}

TEST(Intake, RecipientsAreCountedToTheLimitAndNotBeyond) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const std::vector<std::string> most(submission::kMaxRecipients, "a@b.c");
    Talker& smtpd = station.Smtpd();
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(smtpd, IdOf(1), most));
    EXPECT_EQ(done.outcome, submission::Outcome::kCommitted);
    EXPECT_EQ(station.queue.Find(IdOf(1))->recipients, submission::kMaxRecipients);
    const log::ScopedCapture log;
    std::vector<std::string> more = most;
    more.push_back("a@b.c");
    CO_RETURN_IF_ERROR(SubmitTo(smtpd, IdOf(2), more, "").status());
    CO_RETURN_IF_ERROR(co_await smtpd.End());
    EXPECT_EQ(log.Count("too many recipients"), 1u);
    co_return absl::OkStatus();
  });
}

TEST(Intake, AMessageForNobodyIsNotTaken) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(smtpd, IdOf(1), {}));
    EXPECT_EQ(done.outcome, submission::Outcome::kRefused);
    EXPECT_THAT(station.queue.messages(), IsEmpty());
    co_return absl::OkStatus();
  });
}

TEST(Intake, AnIdOfAnotherOriginCostsTheChannel) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    Talker& smtpd = station.Smtpd();
    const uint64_t foreign = QueueId::Of(1'767'225'600'000, kSmtpdOrigin + 1, 1).value();
    CO_RETURN_IF_ERROR(SubmitTo(smtpd, foreign, {"a@example.net"}, "").status());
    CO_RETURN_IF_ERROR(co_await smtpd.End());
    EXPECT_EQ(log.Count("incident.frame edge=smtpd-qmgr"), 1u);
    co_return absl::OkStatus();
  });
}

TEST(Intake, BytesThatAreNoFramesCostTheChannelAndNothingElse) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    Talker& honest = station.Smtpd(1);
    const UniqueFd raw = station.RawSmtpd(2);
    const std::string junk(64, '\xff');
    EXPECT_EQ(::send(raw.get(), junk.data(), junk.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(junk.size()));
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return log.Count("incident.frame") == 1; }));
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(honest, IdOf(2), {"a@example.net"}));
    EXPECT_EQ(done.outcome, submission::Outcome::kCommitted);
    co_return absl::OkStatus();
  });
}

TEST(Intake, AFullDiskIsSaidOnceAndMailIsTakenAgainWhenThereIsRoom) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    station.disk.SetFree(0);
    Talker& smtpd = station.Smtpd();
    for (uint16_t n = 1; n <= 3; ++n) {
      CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(smtpd, IdOf(n), {"a@example.net"}));
      EXPECT_EQ(done.outcome, submission::Outcome::kRefused);
      EXPECT_EQ(done.reply.code, 452);
      EXPECT_EQ(done.reply.enhanced, "4.3.1");
    }
    EXPECT_EQ(smtpd.Waiting<submission::Refused>(), 3u) << "before the content, too";
    EXPECT_EQ(log.Count("queue.full"), 1u);
    station.disk.SetFree(uint64_t{1} << 40);
    // The disk is asked once a second.
    for (uint16_t n = 4; !log.Count("queue.room") && n < 2000; ++n) {
      CO_RETURN_IF_ERROR(co_await io::Sleep(station.loop.After(absl::Milliseconds(10))));
      CO_RETURN_IF_ERROR((co_await Deposit(smtpd, IdOf(n), {"a@example.net"})).status());
    }
    CO_ASSIGN_OR_RETURN(const auto done, co_await Deposit(smtpd, IdOf(2000), {"a@example.net"}));
    EXPECT_EQ(done.outcome, submission::Outcome::kCommitted);
    EXPECT_EQ(log.Count("queue.room"), 1u);
    co_return absl::OkStatus();
  });
}

TEST(Intake, AtTheStopNewMailIsTurnedAwayAndWhatIsUnderWayIsAnswered) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_ASSIGN_OR_RETURN(const uint32_t begun, SubmitTo(smtpd, IdOf(1), {"a@example.net"}, "x"));
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return station.totals.streams == 1; }));
    station.totals.stopping = true;
    CO_ASSIGN_OR_RETURN(const auto turned_away,
                        co_await Deposit(smtpd, IdOf(2), {"a@example.net"}));
    EXPECT_EQ(turned_away.reply.code, 421);
    CO_RETURN_IF_ERROR(smtpd.Send(begun, submission::End{}));
    CO_ASSIGN_OR_RETURN(const auto done, co_await smtpd.Receive<submission::Done>());
    EXPECT_EQ(done.message.outcome, submission::Outcome::kCommitted);
    co_return absl::OkStatus();
  });
}

TEST(Intake, ManyMessagesAtOnceShareACommit) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_ASSIGN_OR_RETURN(const auto first, co_await Deposit(smtpd, IdOf(1), {"a@example.net"}));
    EXPECT_EQ(first.outcome, submission::Outcome::kCommitted);
    const uint64_t before = station.queue.store().counters().commits;
    for (uint16_t n = 2; n < 102; ++n) {
      CO_ASSIGN_OR_RETURN(const uint32_t stream,
                          SubmitTo(smtpd, IdOf(n), {"a@example.net"}, "hello\r\n"));
      CO_RETURN_IF_ERROR(smtpd.Send(stream, submission::End{}));
    }
    for (int i = 0; i < 100; ++i) {
      CO_ASSIGN_OR_RETURN(const auto done, co_await smtpd.Receive<submission::Done>());
      EXPECT_EQ(done.message.outcome, submission::Outcome::kCommitted);
    }
    EXPECT_LE(station.queue.store().counters().commits - before, 5u);
    co_return absl::OkStatus();
  });
}

}  // namespace
}  // namespace postern::qmgr

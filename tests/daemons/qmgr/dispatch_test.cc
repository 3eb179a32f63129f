// Jobs that go out to workers, what those say of them, and notices asked of bounced.
#include "daemons/qmgr/dispatch.h"

#include <map>

#include "tests/daemons/qmgr/station.h"

namespace postern::qmgr {
namespace {

namespace delivery = protocol::delivery;
namespace notice = protocol::notice;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A job with what its views showed, since they do not outlive the frame.
struct Given {
  uint32_t id = 0;
  uint64_t queue_id = 0;
  std::string domain;
  std::string content;
  std::vector<uint32_t> indices;
};

// Jobs hold a view of their content, so they are taken apart as they come.
struct JobCopy {
  static constexpr uint8_t kType = delivery::kJob;
  Given given;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    delivery::Job job;
    delivery::Job::Fields(v, job);
    m.given.queue_id = job.queue_id;
    m.given.domain = job.domain;
    m.given.content = std::string(job.inline_content);
    for (const delivery::JobRecipient& one : job.recipients) m.given.indices.push_back(one.index);
  }
};

io::Task<absl::StatusOr<Given>> NextJob(Talker& worker) {
  CO_ASSIGN_OR_RETURN(auto heard, co_await worker.Receive<JobCopy>());
  heard.message.given.id = heard.id;
  co_return std::move(heard.message.given);
}

absl::Status SayCapacity(Talker& worker, uint32_t jobs) {
  return worker.Send(worker.NewId(), delivery::Capacity{.jobs = jobs});
}

absl::Status Report(Talker& worker, const Given& job, Outcome outcome,
                    const std::vector<uint32_t>& indices) {
  delivery::Results results;
  for (const uint32_t index : indices) results.results.push_back(Rig::ResultFor(index, outcome));
  return worker.Send(job.id, results);
}

absl::Status End(Talker& worker, const Given& job) {
  return worker.Send(job.id, delivery::JobDone{});
}

// Destinations without a verdict yet may use three quarters of the room.
TEST(Dispatch, GivesOutWhatTheWorkerHasRoomForAndNoMore) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    for (uint16_t n = 1; n <= 8; ++n)
      CO_RETURN_IF_ERROR((co_await Deposit(smtpd, IdOf(n), {"a@example.net"})).status());
    Talker& worker = station.Smtpc();
    CO_RETURN_IF_ERROR(SayCapacity(worker, 4));
    size_t at_once = 3;
    for (int left = 8; left > 0; at_once = 4) {
      std::vector<Given> jobs;
      while (jobs.size() < std::min<size_t>(at_once, static_cast<size_t>(left))) {
        CO_ASSIGN_OR_RETURN(Given job, co_await NextJob(worker));
        EXPECT_EQ(job.content, "Received: by us\r\nhello\r\n");
        EXPECT_EQ(job.domain, "example.net");
        jobs.push_back(std::move(job));
      }
      CO_RETURN_IF_ERROR(co_await io::Sleep(station.loop.After(absl::Milliseconds(20))));
      EXPECT_EQ(worker.Waiting<JobCopy>(), 0u);
      EXPECT_EQ(station.dispatch.running(), jobs.size());
      left -= static_cast<int>(jobs.size());
      for (const Given& job : jobs) {
        CO_RETURN_IF_ERROR(Report(worker, job, Outcome::kDelivered, job.indices));
        CO_RETURN_IF_ERROR(End(worker, job));
      }
    }
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return station.queue.messages().empty(); }));
    co_return absl::OkStatus();
  });
}

TEST(Dispatch, LocalMailGoesToLocaldAndRemoteMailToSmtpc) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    Talker& smtpc = station.Smtpc();
    Talker& locald = station.Locald();
    CO_RETURN_IF_ERROR(SayCapacity(smtpc, 10));
    CO_RETURN_IF_ERROR(SayCapacity(locald, 10));
    CO_RETURN_IF_ERROR(
        (co_await Deposit(smtpd, IdOf(1), {"alice@example.org", "b@example.net"})).status());
    CO_ASSIGN_OR_RETURN(const Given local, co_await NextJob(locald));
    EXPECT_EQ(local.indices, std::vector<uint32_t>{0});
    CO_ASSIGN_OR_RETURN(const Given remote, co_await NextJob(smtpc));
    EXPECT_EQ(remote.indices, std::vector<uint32_t>{1});
    co_return absl::OkStatus();
  });
}

// What one smart host would have taken together goes to two domains' own hosts after a reload.
TEST(Dispatch, AReloadOfRoutesGroupsAnewWhatWaits) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    config::Settings before = station.settings;
    before.outbound.smarthost = config::NextHop{.host = {.host = "relay.example", .port = 25}};
    station.queue.OnSettings(before);
    Talker& smtpd = station.Smtpd();
    CO_RETURN_IF_ERROR(
        (co_await Deposit(smtpd, IdOf(1), {"a@one.example", "b@two.example", "c@one.example"}))
            .status());
    station.queue.OnSettings(station.settings);
    Talker& smtpc = station.Smtpc();
    CO_RETURN_IF_ERROR(SayCapacity(smtpc, 10));
    std::map<std::string, std::vector<uint32_t>> given;
    for (int i = 0; i < 2; ++i) {
      CO_ASSIGN_OR_RETURN(const Given job, co_await NextJob(smtpc));
      given[job.domain] = job.indices;
    }
    EXPECT_EQ(given["one.example"], (std::vector<uint32_t>{0, 2}));
    EXPECT_EQ(given["two.example"], std::vector<uint32_t>{1});
    co_return absl::OkStatus();
  });
}

TEST(Dispatch, AWorkerThatDiesHasItsJobsGivenToAnother) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    Talker& smtpd = station.Smtpd();
    CO_RETURN_IF_ERROR(
        (co_await Deposit(smtpd, IdOf(1), {"a@example.net", "b@example.net"})).status());
    Talker& dies = station.Smtpc(0);
    CO_RETURN_IF_ERROR(SayCapacity(dies, 10));
    CO_ASSIGN_OR_RETURN(const Given job, co_await NextJob(dies));
    // What it reported without ending the job does not count: nobody knows how far it came.
    CO_RETURN_IF_ERROR(Report(dies, job, Outcome::kDelivered, {0}));
    Talker& other = station.Smtpc(1);
    CO_RETURN_IF_ERROR(SayCapacity(other, 10));
    CO_RETURN_IF_ERROR(co_await io::Sleep(station.loop.After(absl::Milliseconds(20))));
    dies.Close();
    CO_ASSIGN_OR_RETURN(const Given again, co_await NextJob(other));
    EXPECT_EQ(again.queue_id, IdOf(1));
    EXPECT_EQ(again.indices, (std::vector<uint32_t>{0, 1}));
    EXPECT_EQ(log.Count("message.requeued id=" + QueueId(IdOf(1)).ToString()), 1u);
    CO_RETURN_IF_ERROR(Report(other, again, Outcome::kDelivered, {0, 1}));
    CO_RETURN_IF_ERROR(End(other, again));
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return station.queue.messages().empty(); }));
    co_return absl::OkStatus();
  });
}

TEST(Dispatch, AWorkerThatSaysWhatItHasNoRightToSayLosesItsChannel) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_RETURN_IF_ERROR(
        (co_await Deposit(smtpd, IdOf(1), {"a@example.net", "b@other.example"})).status());
    const struct {
      const char* what;
      std::vector<uint32_t> indices;
    } rows[] = {
        {"a result for a recipient it was not given", {1}},
        {"two results for one recipient", {0, 0}},
    };
    for (const auto& row : rows) {
      const log::ScopedCapture log;
      Talker& worker = station.Smtpc();
      CO_RETURN_IF_ERROR(SayCapacity(worker, 1));
      CO_ASSIGN_OR_RETURN(const Given job, co_await NextJob(worker));
      EXPECT_EQ(job.indices, std::vector<uint32_t>{0}) << "it is given out again";
      CO_RETURN_IF_ERROR(Report(worker, job, Outcome::kDelivered, row.indices));
      CO_RETURN_IF_ERROR(co_await worker.End());
      EXPECT_EQ(log.Count("incident.frame edge=qmgr-smtpc"), 1u) << row.what;
      EXPECT_EQ(log.Count(row.what), 1u);
      EXPECT_EQ(station.queue.Find(IdOf(1))->left, 2u);
    }
    co_return absl::OkStatus();
  });
}

TEST(Dispatch, RecipientsWithoutAResultAreDeferred) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& smtpd = station.Smtpd();
    CO_RETURN_IF_ERROR(
        (co_await Deposit(smtpd, IdOf(1), {"a@example.net", "b@example.net"})).status());
    Talker& worker = station.Smtpc();
    CO_RETURN_IF_ERROR(SayCapacity(worker, 10));
    CO_ASSIGN_OR_RETURN(const Given job, co_await NextJob(worker));
    CO_RETURN_IF_ERROR(Report(worker, job, Outcome::kDelivered, {0}));
    CO_RETURN_IF_ERROR(
        worker.Send(job.id, delivery::JobDone{.destination = delivery::Destination::kUnreachable,
                                              .reason = "no route"}));
    CO_RETURN_IF_ERROR(
        co_await station.Until([&] { return station.queue.Find(IdOf(1))->left == 1; }));
    EXPECT_EQ(station.queue.scheduler().Counts().deferred, 1u);
    CO_RETURN_IF_ERROR(co_await station.queue.store().Flush());
    CO_ASSIGN_OR_RETURN(const AttemptRecord attempt,
                        co_await station.queue.store().LoadAttempt(
                            IdOf(1), station.queue.Find(IdOf(1))->last_attempt));
    EXPECT_THAT(attempt.recipients, SizeIs(2));
    EXPECT_EQ(attempt.recipients[1].diagnostic, "no route");
    co_return absl::OkStatus();
  });
}

// A notice's text is a view too.
struct NoticeCopy {
  static constexpr uint8_t kType = notice::kNotice;
  notice::Notice notice;
  std::string returned;
  template <class V, class M>
  static void Fields(V& v, M& m) {
    notice::Notice::Fields(v, m.notice);
    m.returned = std::string(m.notice.returned);
    m.notice.returned = {};
  }
};

TEST(Notices, BouncedIsToldAllItNeedsAndAskedAgainWhenItFails) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    const log::ScopedCapture log;
    Talker& smtpd = station.Smtpd();
    CO_RETURN_IF_ERROR((co_await Deposit(smtpd, IdOf(1), {"a@example.net"})).status());
    Talker& worker = station.Smtpc();
    Talker& bounced = station.Bounced();
    CO_RETURN_IF_ERROR(SayCapacity(worker, 10));
    CO_ASSIGN_OR_RETURN(const Given job, co_await NextJob(worker));
    CO_RETURN_IF_ERROR(Report(worker, job, Outcome::kFailed, {0}));
    CO_RETURN_IF_ERROR(End(worker, job));
    CO_ASSIGN_OR_RETURN(const auto asked, co_await bounced.Receive<NoticeCopy>());
    const notice::Notice& wanted = asked.message.notice;
    EXPECT_EQ(wanted.kind, notice::Kind::kFailure);
    EXPECT_EQ(wanted.queue_id, IdOf(1));
    EXPECT_EQ(QueueId(wanted.notice_id).origin(), kBouncedOrigin);
    EXPECT_EQ(wanted.sender, "sender@example.org");
    EXPECT_TRUE(wanted.complete);
    EXPECT_EQ(asked.message.returned, "Received: by us\r\nhello\r\n");
    EXPECT_THAT(wanted.recipients, SizeIs(1));
    CO_RETURN_IF_ERROR(bounced.Send(
        asked.id, notice::NoticeDone{.outcome = notice::Outcome::kFailed, .reason = "full"}));
    CO_ASSIGN_OR_RETURN(const auto again, co_await bounced.Receive<NoticeCopy>());
    EXPECT_NE(again.message.notice.notice_id, wanted.notice_id);
    EXPECT_TRUE(station.queue.Knows(IdOf(1)));
    CO_RETURN_IF_ERROR(
        bounced.Send(again.id, notice::NoticeDone{.outcome = notice::Outcome::kSubmitted}));
    CO_RETURN_IF_ERROR(co_await station.Until([&] { return station.queue.messages().empty(); }));
    EXPECT_EQ(log.Count("notice.failed id=" + QueueId(IdOf(1)).ToString()), 1u);
    EXPECT_EQ(log.Count("notice.sent id=" + QueueId(IdOf(1)).ToString()), 1u);
    co_return absl::OkStatus();
  });
}

io::Task<void> Notify(Station& station, const LoadedMessage& loaded, NoticeWish& wish, bool& told) {
  told = co_await station.notices.Notify(IdOf(1), loaded, wish);
}

TEST(Notices, ThoseThatWereSentAreNotRepeatedWhenALaterOneFails) {
  RunStation([](Station& station) -> io::Task<absl::Status> {
    Talker& bounced = station.Bounced();
    CO_RETURN_IF_ERROR(co_await io::Sleep(station.loop.After(absl::Milliseconds(5))));
    std::vector<std::string> many;
    for (int i = 0; i < 150; ++i) many.push_back("u" + std::to_string(i) + "@example.net");
    const LoadedMessage loaded{.record = RecordTo(many), .content = "hello\n"};
    std::vector<delivery::Result> failed;
    for (uint32_t i = 0; i < many.size(); ++i)
      failed.push_back(Rig::ResultFor(i, Outcome::kFailed));
    NoticeWish wish = WishFor(notice::Kind::kFailure, loaded.record, failed, Transport::kRemote, 0);
    bool told = true;
    io::TaskScope first;
    first.Spawn(Notify(station, loaded, wish, told));
    for (const auto outcome : {notice::Outcome::kSubmitted, notice::Outcome::kFailed}) {
      CO_ASSIGN_OR_RETURN(const auto asked, co_await bounced.Receive<NoticeCopy>());
      EXPECT_THAT(asked.message.notice.recipients,
                  SizeIs(outcome == notice::Outcome::kSubmitted ? 100u : 50u));
      CO_RETURN_IF_ERROR(bounced.Send(asked.id, notice::NoticeDone{.outcome = outcome}));
    }
    co_await first.Join();
    EXPECT_FALSE(told);
    io::TaskScope second;
    second.Spawn(Notify(station, loaded, wish, told));
    CO_ASSIGN_OR_RETURN(const auto asked, co_await bounced.Receive<NoticeCopy>());
    EXPECT_EQ(asked.message.notice.recipients[0].address, "u100@example.net");
    CO_RETURN_IF_ERROR(
        bounced.Send(asked.id, notice::NoticeDone{.outcome = notice::Outcome::kNotWanted}));
    co_await second.Join();
    EXPECT_TRUE(told);
    EXPECT_THAT(wish.recipients, IsEmpty());
    co_return absl::OkStatus();
  });
}

}  // namespace
}  // namespace postern::qmgr

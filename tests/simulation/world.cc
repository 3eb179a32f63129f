#include "tests/simulation/world.h"

#include <algorithm>
#include <utility>

#include "common/base/queue_id.h"
#include "daemons/qmgr/routing.h"
#include "daemons/smtpc/transfer.h"

namespace postern::simulation {
namespace {

namespace delivery = protocol::delivery;

config::Settings SettingsOf() {
  config::Settings settings;
  settings.hostname = "mail.example.org";
  settings.domains = {"example.org"};
  settings.queue.inline_octets = 64u << 10;
  settings.queue.segment_octets = 64u << 10;
  settings.queue.reserve_octets = 1u << 20;
  settings.queue.retry_first = absl::Minutes(1);
  settings.queue.retry_longest = absl::Minutes(20);
  settings.queue.lifetime = World::kLifetime;
  settings.queue.bounce_lifetime = World::kLifetime;
  settings.queue.delay_notice = absl::Hours(1);
  settings.queue.max_active = 1000;
  settings.outbound.max_connections_per_destination = 20;
  settings.outbound.greeting_timeout = absl::Minutes(1);
  settings.outbound.command_timeout = absl::Minutes(1);
  settings.outbound.data_timeout = absl::Minutes(1);
  settings.outbound.final_timeout = absl::Minutes(2);
  return settings;
}

}  // namespace

// From one start of the server to its end.
struct World::Life {
  Life(World& world, std::unique_ptr<qmgr::FaultyDisk> found)
      : disk(std::move(found)), queue(world.fake_.loop(), *disk, world.settings_) {
    queue.SetNotify([this, &world](uint64_t id, const qmgr::LoadedMessage&,
                                   qmgr::NoticeWish& wish) -> io::Task<bool> {
      return world.Tell(*this, id, wish);
    });
  }

  // What the disk keeps is settled; nothing that is said or heard from now on counts.
  void Die(std::unique_ptr<qmgr::FaultyDisk> remains) {
    if (!alive->now) return;
    alive->now = false;
    left = std::move(remains);
    died.Set();
  }

  std::unique_ptr<qmgr::FaultyDisk> disk;
  std::unique_ptr<qmgr::FaultyDisk> left;
  qmgr::Queue queue;
  std::shared_ptr<Alive> alive = std::make_shared<Alive>();
  io::Event died;
  io::TaskScope writer;
  io::TaskScope background;
  io::TaskScope jobs;
  size_t running = 0;
};

World::World(uint64_t seed)
    : settings_(SettingsOf()),
      chance_(seed),
      network_(chance_, record_),
      disk_(std::make_unique<qmgr::FaultyDisk>()) {}

Outcome World::Run() {
  const absl::Status ended = fake_.Run(RunAll());
  Outcome outcome;
  outcome.broken = ended.ok() ? WhatIsBroken() : std::string(Message(ended));
  outcome.trace = record_.trace();
  outcome.events = record_.events();
  outcome.letters = record_.letters.size();
  outcome.crashes = crashes_;
  return outcome;
}

io::Task<absl::Status> World::RunAll() {
  io::Loop& loop = fake_.loop();
  weather_until_ = loop.After(kWeather);
  network_.set_calm_from(weather_until_.nanoseconds() / 1000);
  const uint64_t lives = chance_.OneIn(3) ? 1 : 1 + chance_.Below(6);
  for (uint64_t number = 1;; ++number) {
    const bool last = number >= lives || loop.Now() >= weather_until_;
    Life life(*this, std::move(disk_));
    if (!last) PlanCrash(life);
    calm_ = last;
    const io::Deadline until = last ? weather_until_ + kLifetime + absl::Hours(2) : weather_until_;
    CO_RETURN_IF_ERROR(co_await RunLife(life, until));
    if (last) break;
    // It was down for a while.
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(absl::Seconds(1 + chance_.Below(900)))));
    disk_ = life.left != nullptr ? std::move(life.left) : life.disk->Copy();
  }
  co_await network_.Close();
  co_return absl::OkStatus();
}

// The power goes, or only the process, before one of the disk's next operations.
void World::PlanCrash(Life& life) {
  const auto countdown = std::make_shared<uint64_t>(1 + chance_.Below(400));
  life.disk->OnOperation([this, &life, countdown] {
    if (--*countdown != 0) return;
    ++crashes_;
    const bool power = chance_.OneIn(2);
    life.Die(power ? life.disk->AfterPowerCut([this] { return chance_.OneIn(2); })
                   : life.disk->Copy());
    record_.Note(absl::ToInt64Microseconds(fake_.elapsed()), power ? "power cut" : "killed", 0);
    for (auto& [id, letter] : record_.letters) letter.excused = true;
  });
}

io::Task<absl::Status> World::RunLife(Life& life, io::Deadline until) {
  io::Loop& loop = fake_.loop();
  life.writer.Spawn(
      [](Life& of) -> io::Task<absl::Status> { co_return co_await of.queue.store().Run(); }(life));
  const absl::Status recovered = co_await life.queue.Recover();
  // A disk that fails at the start ends the process, which is started anew.
  if (recovered.ok()) {
    life.background.Spawn(GiveOut(life));
    if (loop.Now() < weather_until_) {
      life.background.Spawn(Submit(life));
      life.background.Spawn(Trouble(life));
    }
    // The last life ends when the queue is empty and nothing more comes.
    while (!life.died.is_set() && loop.Now() < until) {
      if (calm_ && loop.Now() >= weather_until_ && life.queue.messages().empty()) break;
      if (calm_ && loop.Now() >= weather_until_) ReleaseHeld(life);
      const absl::Status waited = co_await life.died.Wait(
          std::min(until, loop.After(calm_ ? absl::Minutes(1) : absl::Hours(24))));
      if (absl::IsCancelled(waited)) co_return waited;
    }
    if (calm_) {
      for (const auto& [id, message] : life.queue.messages())
        left_over_ += QueueId(id).ToString() + " ";
    }
  }
  life.disk->OnOperation({});
  life.background.RequestStop();
  co_await life.background.Join();
  life.jobs.RequestStop();
  co_await life.jobs.Join();
  life.queue.RequestStop();
  co_await life.queue.Join();
  life.writer.RequestStop();
  co_await life.writer.Join();
  co_return absl::OkStatus();
}

// What an operator does about mail that the queue held by itself: it could not be read back, or
// three workers died with it.
void World::ReleaseHeld(Life& life) {
  std::vector<uint64_t> held;
  for (const auto& [id, message] : life.queue.messages()) {
    if (message.held()) held.push_back(id);
  }
  for (const uint64_t id : held) life.queue.Release(id, "the weather is calm", {});
}

// What smtpd would bring.
io::Task<absl::Status> World::Submit(Life& life) {
  io::Loop& loop = fake_.loop();
  while (loop.Now() < weather_until_ && life.alive->now) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(absl::Seconds(1 + chance_.Below(600)))));
    if (loop.Now() >= weather_until_) break;  // an empty queue ends the run from then on
    const uint64_t id = QueueId::Of(absl::ToUnixMillis(loop.WallTime()), 3, next_letter_++).value();
    Letter letter;
    letter.sender = StrCat("s", chance_.Below(3), "@example.org");
    letter.content =
        StrCat("X-Letter: ", id, "\r\n\r\n",
               std::string(chance_.OneIn(8) ? 30'000 : chance_.Below(2000), 'x'), "\r\n");
    qmgr::MessageRecord message;
    message.sender = letter.sender;
    message.submitter = "192.0.2.1";
    message.content_octets = letter.content.size();
    message.arrival_us = life.queue.WallUs();
    for (uint64_t left = 1 + chance_.Below(4); left > 0; --left) {
      qmgr::RecipientRecord recipient;
      recipient.address = StrCat(chance_.OneIn(8) ? "gone" : "user", left, "@h",
                                 chance_.Below(Network::kHosts), ".example.net");
      letter.recipients.push_back(recipient.address);
      message.recipients.push_back(std::move(recipient));
    }
    const std::string content = letter.content;
    record_.letters[id] = std::move(letter);
    const absl::Status accepted = co_await life.queue.Accept(id, std::move(message), content);
    if (!life.alive->now) break;
    record_.Note(life.queue.NowUs(), accepted.ok() ? "accepted" : "refused", id);
    if (accepted.ok()) {
      record_.letters[id].accepted_us = life.queue.NowUs();
    } else {
      record_.letters[id].excused = true;  // its client may try again
    }
  }
  co_return absl::OkStatus();
}

// The wall clock jumps, a worker dies, the disk fails now and then.
io::Task<absl::Status> World::Trouble(Life& life) {
  io::Loop& loop = fake_.loop();
  while (loop.Now() < weather_until_ && life.alive->now) {
    CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(absl::Minutes(5 + chance_.Below(120)))));
    switch (chance_.Below(4)) {
      case 0: {
        static constexpr int kHours[] = {1, -1, 24 * 365, -24 * 365};
        fake_.JumpWall(absl::Hours(kHours[chance_.Below(std::size(kHours))]));
        wall_jumped_ = true;
        break;
      }
      case 1:
        life.disk->FailAt(
            1 + static_cast<int>(chance_.Below(20)),
            chance_.OneIn(2) ? qmgr::FaultyDisk::Fault::kError : qmgr::FaultyDisk::Fault::kShort,
            absl::ResourceExhaustedError("no space left on device"));
        // Whether what failed is on the disk nobody knows: it may be done again.
        for (auto& [id, letter] : record_.letters) letter.excused = true;
        break;
      case 2:
        life.disk->FailLookAt(1 + static_cast<int>(chance_.Below(20)),
                              absl::DataLossError("input/output error"));
        break;
      case 3:
        break;
    }
  }
  co_return absl::OkStatus();
}

// As qmgr does it, with smtpc's side in the same process.
io::Task<absl::Status> World::GiveOut(Life& life) {
  for (;;) {
    life.queue.TakeAged();
    while (life.running < kMaxJobs) {
      std::optional<qmgr::Job> job =
          life.queue.scheduler().Next(qmgr::Route::kRemote, life.queue.NowUs());
      if (!job.has_value()) break;
      ++life.running;
      life.jobs.Spawn(Deliver(life, *std::move(job)));
    }
    const std::optional<int64_t> next = life.queue.scheduler().NextWakeup(life.queue.NowUs());
    const io::Deadline until = next.has_value()
                                   ? io::Deadline::AtNanoseconds(
                                         std::max<int64_t>(*next, life.queue.NowUs() + 1000) * 1000)
                                   : io::Deadline::Never();
    if (absl::IsCancelled(co_await life.queue.changed().Wait(until)))
      co_return absl::CancelledError("");
  }
}

io::Task<void> World::Deliver(Life& life, qmgr::Job job) {
  const auto finish = [&](std::vector<delivery::Result> results, qmgr::Verdict verdict,
                          const std::string& why) {
    --life.running;
    life.queue.Finish(job, std::move(results), verdict, why);
  };
  qmgr::QueuedMessage* message = life.queue.Find(job.message_id);
  if (message == nullptr) co_return finish({}, qmgr::Verdict::kHealthy, "the message is gone");
  const auto loaded = co_await life.queue.Load(*message);
  if (!loaded.ok())
    co_return finish({}, qmgr::Verdict::kHealthy, std::string(Message(loaded.status())));
  smtpc::Work work;
  work.front = (*loaded)->record.prepend + (*loaded)->content;
  work.job.queue_id = job.message_id;
  work.job.sender = (*loaded)->record.sender;
  work.job.inline_content = work.front;
  for (const uint32_t index : job.recipients) {
    work.job.recipients.push_back({.index = index,
                                   .address = (*loaded)->record.recipients.at(index).address,
                                   .orcpt = {},
                                   .notify = 0});
  }
  io::Loop& loop = fake_.loop();
  auto connection = co_await network_.Connect(
      loop, std::string(qmgr::DomainOf(work.job.recipients.front().address)), life.alive);
  if (!connection.ok()) {
    co_return finish({}, qmgr::Verdict::kUnreachable, std::string(Message(connection.status())));
  }
  const auto greeting = co_await (*connection)->Open("mail.example.org", settings_.outbound);
  if (!greeting.ok())
    co_return finish({}, qmgr::Verdict::kUnreachable, std::string(Message(greeting.status())));
  if (!greeting->positive()) co_return finish({}, qmgr::Verdict::kBusy, greeting->text);
  smtpc::Transferred transferred =
      co_await smtpc::Transfer(loop, **connection, work, settings_.outbound);
  if (!calm_ && chance_.OneIn(30) && life.alive->now) {
    record_.letters[job.message_id].excused = true;
    --life.running;
    co_return life.queue.Lost(job);  // the worker died before it could say so
  }
  finish(std::move(transferred.results),
         transferred.busy            ? qmgr::Verdict::kBusy
         : transferred.try_elsewhere ? qmgr::Verdict::kUnreachable
                                     : qmgr::Verdict::kHealthy,
         transferred.reason);
  co_await (*connection)->Quit();
}

io::Task<bool> World::Tell(Life& life, uint64_t id, qmgr::NoticeWish& wish) {
  if (!(co_await io::Sleep(fake_.loop().After(absl::Milliseconds(20)))).ok()) co_return false;
  if (!life.alive->now || (!calm_ && chance_.OneIn(6))) co_return false;
  if (wish.kind == protocol::notice::Kind::kFailure) {
    for (const protocol::notice::NoticeRecipient& recipient : wish.recipients) {
      record_.letters[id].told.try_emplace(recipient.address, life.queue.NowUs());
      record_.Note(life.queue.NowUs(), "told of", id, recipient.address);
    }
  }
  wish.recipients.clear();
  co_return true;
}

std::string World::WhatIsBroken() const {
  if (!record_.complaints().empty()) return record_.complaints().front();
  if (!left_over_.empty()) return StrCat("left in the queue: ", left_over_);
  for (const auto& [id, letter] : record_.letters) {
    const std::string name = StrCat("letter ", id);
    for (const std::string& recipient : letter.recipients) {
      const auto delivered = letter.delivered.find(recipient);
      const auto told = letter.told.find(recipient);
      const bool arrived = delivered != letter.delivered.end();
      if (letter.accepted_us >= 0 && !arrived && told == letter.told.end())
        return StrCat(name, ": neither delivered to ", recipient, " nor told of");
      const auto copies = std::ranges::count(letter.recipients, recipient);
      if (arrived && delivered->second > copies && !letter.excused)
        return StrCat(name, ": ", delivered->second, " copies for ", recipient);
      // Told of, though no server ever refused it: then it was too old.
      if (told != letter.told.end() && !letter.refused.contains(recipient) && !wall_jumped_ &&
          letter.accepted_us >= 0 &&
          told->second - letter.accepted_us < absl::ToInt64Microseconds(kLifetime))
        return StrCat(name, ": given up too early for ", recipient);
    }
  }
  return "";
}

}  // namespace postern::simulation

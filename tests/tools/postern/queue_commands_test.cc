#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tools/postern/commands.h"
#include "tools/postern/text.h"

namespace postern::tool {
namespace {

namespace admin = protocol::admin;
using nlohmann::json;

// A shard with some messages, behind its socket. Serves one tool, then ends.
class FakeShard {
 public:
  FakeShard(const std::string& path, std::vector<uint64_t> ids) : ids_(std::move(ids)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread([this] { Serve(UniqueFd(::accept(listener_.get(), nullptr, nullptr))); });
  }
  ~FakeShard() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

 private:
  static constexpr uint32_t kShardPage = 2;  // pages are as small as the shard likes

  void Serve(const UniqueFd& fd) {
    char head[ipc::kFrameHeaderOctets];
    while (fd && ::recv(fd.get(), head, sizeof head, MSG_WAITALL) == sizeof head) {
      const auto header = ipc::ParseFrameHeader({head, sizeof head}, 1 << 20);
      std::string payload(header->payload_octets, '\0');
      ::recv(fd.get(), payload.data(), payload.size(), MSG_WAITALL);
      if (header->type == admin::kList) {
        Answer(fd.get(), header->id, List(*ipc::Decode<admin::List>(payload)));
      } else if (header->type == admin::kShow) {
        Answer(fd.get(), header->id, Show(*ipc::Decode<admin::Show>(payload)));
      } else if (header->type == admin::kAct) {
        Answer(fd.get(), header->id, Act(*ipc::Decode<admin::Act>(payload)));
      } else {
        return;
      }
    }
  }

  admin::Listed List(const admin::List& list) const {
    admin::Listed listed;
    listed.active = ids_.size();
    for (const uint64_t id : ids_) {
      if (id <= list.after) continue;
      if (listed.messages.size() >= std::min(list.limit, kShardPage)) {
        listed.more = true;
        break;
      }
      listed.messages.emplace_back().queue_id = id;
      listed.last_seen = id;
    }
    return listed;
  }

  // Every message has five recipients, told two at a time.
  admin::Shown Show(const admin::Show& show) const {
    admin::Shown shown;
    if (std::ranges::find(ids_, show.queue_id) == ids_.end()) {
      shown.error = "no such message in the queue";
      return shown;
    }
    shown.message.queue_id = show.queue_id;
    shown.message.recipient_count = 5;
    for (uint32_t i = show.from; i < std::min(show.from + 2, 5u); ++i)
      shown.message.recipients.emplace_back().address = std::to_string(i);
    if (show.from + 2 < 5) shown.next = show.from + 2;
    return shown;
  }

  admin::Acted Act(const admin::Act& act) const {
    if (act.all) return {.count = ids_.size(), .error = {}};
    const bool here = std::ranges::find(ids_, act.queue_id) != ids_.end();
    return {.count = here, .error = here ? "" : "no such message in the queue"};
  }

  template <class M>
  static void Answer(int fd, uint32_t id, const M& message) {
    std::string payload;
    std::string frame;
    if (!ipc::Encode(message, payload)) return;
    ipc::AppendFrameHeader(frame, {.payload_octets = static_cast<uint32_t>(payload.size()),
                                   .type = static_cast<uint8_t>(M::kType),
                                   .id = id});
    frame += payload;
    ::send(fd, frame.data(), frame.size(), MSG_NOSIGNAL);
  }

  const std::vector<uint64_t> ids_;
  UniqueFd listener_;
  std::thread thread_;
};

class QueueCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/postern-tool-XXXXXX";
    ASSERT_NE(::mkdtemp(path), nullptr);
    root_ = path;
    common_ = {.config = root_ + "/postern.toml", .as_json = true};
    std::ofstream(common_.config) << "hostname = \"h.example\"\nroot = \"" << root_
                                  << "\"\nrun_directory = \"run\"\n[queue]\ndirectories = [\"a\", "
                                     "\"b\"]\n";
    std::filesystem::create_directory(root_ + "/run");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  // Runs a command against shards with the ids 1, 3, 5 and 2, 4.
  template <class Command>
  json Run(int status, const Command& command) {
    const FakeShard a(root_ + "/run/queue-0.sock", {1, 3, 5});
    const FakeShard b(root_ + "/run/queue-1.sock", {2, 4});
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(command(), status);
    return json::parse(::testing::internal::GetCapturedStdout());
  }

  std::string root_;
  Common common_;
};

std::vector<std::string> IdsIn(const json& listed) {
  std::vector<std::string> ids;
  for (const json& message : listed["messages"])
    ids.push_back(message["id"].get<std::string>().substr(12));
  return ids;
}

TEST_F(QueueCommands, ListGoesThroughAllPagesOfAllShards) {
  const json listed = Run(kDone, [&] { return QueueList(common_, {}); });
  EXPECT_EQ(IdsIn(listed), (std::vector<std::string>{"1", "3", "5", "2", "4"}));
  EXPECT_EQ(listed["active"], 5);
  EXPECT_EQ(listed["total"], 5);
  EXPECT_EQ(listed["more"], false);
}

TEST_F(QueueCommands, ListStopsAtItsLimitAndSaysSo) {
  const json listed = Run(kDone, [&] {
    ListOptions options;
    options.limit = 3;
    return QueueList(common_, options);
  });
  EXPECT_EQ(IdsIn(listed), (std::vector<std::string>{"1", "3", "5"}));
  EXPECT_EQ(listed["active"], 5);  // totals are of all shards all the same
  EXPECT_EQ(listed["more"], true);
}

TEST_F(QueueCommands, ShowHasAllRecipientsOfAMessage) {
  const json shown = Run(kDone, [&] { return QueueShow(common_, "0000000000004", false); });
  ASSERT_EQ(shown["recipients"].size(), 5u);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(shown["recipients"][i]["address"], std::to_string(i));
  EXPECT_EQ(shown["recipients_not_listed"], 0);
}

TEST_F(QueueCommands, AMessageOfAnyShardIsFound) {
  const json acted = Run(kDone, [&] {
    return QueueAct(
        common_, admin::Verb::kHold,
        {.ids = {"0000000000005", "0000000000004"}, .all = false, .destination = {}, .reason = {}});
  });
  EXPECT_EQ(acted, (json{{"count", 2}, {"errors", json::array()}}));
}

TEST_F(QueueCommands, OneIdThatFailsDoesNotStopTheOthers) {
  const json acted = Run(kFailed, [&] {
    return QueueAct(
        common_, admin::Verb::kDelete,
        {.ids = {"0000000000009", "0000000000004"}, .all = false, .destination = {}, .reason = {}});
  });
  EXPECT_EQ(acted["count"], 1);
  EXPECT_EQ(acted["errors"], json::array({"0000000000009: no such message in the queue"}));
}

TEST_F(QueueCommands, AllMeansAllShards) {
  const json acted = Run(kDone, [&] {
    return QueueAct(common_, admin::Verb::kHold,
                    {.ids = {}, .all = true, .destination = {}, .reason = {}});
  });
  EXPECT_EQ(acted["count"], 5);
}

TEST_F(QueueCommands, WrongUseIsToldBeforeAnythingIsAsked) {
  const auto act = [&](const ActOptions& options) {
    return QueueAct(common_, admin::Verb::kDelete, options);
  };
  EXPECT_EQ(act({}), kUsage);
  EXPECT_EQ(act({.ids = {"x"}, .all = false, .destination = {}, .reason = {}}), kUsage);
  EXPECT_EQ(act({.ids = {"0000000000001"}, .all = true, .destination = {}, .reason = {}}), kUsage);
  EXPECT_EQ(QueueShow(common_, "0000000000000", false), kUsage);
  EXPECT_EQ(Why(common_, "x"), kUsage);
}

TEST_F(QueueCommands, AServerThatDoesNotRunIsNotReachable) {
  EXPECT_EQ(QueueList(common_, {}), kNotReachable);
  EXPECT_EQ(Ps(common_), kNotReachable);
  common_.config += ".missing";
  EXPECT_EQ(QueueList(common_, {}), kFailed);
}

}  // namespace
}  // namespace postern::tool

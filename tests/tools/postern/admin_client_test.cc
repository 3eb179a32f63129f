#include "tools/postern/admin_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace postern::tool {
namespace {

namespace admin = protocol::admin;

template <class M>
std::string FrameOf(const M& message, uint32_t id) {
  std::string payload;
  EXPECT_TRUE(ipc::Encode(message, payload));
  std::string frame;
  ipc::AppendFrameHeader(frame, {.payload_octets = static_cast<uint32_t>(payload.size()),
                                 .type = static_cast<uint8_t>(M::kType),
                                 .id = id});
  return frame + payload;
}

// Answers each frame it gets with the next of `answers`, then closes.
class FakeServer {
 public:
  explicit FakeServer(std::vector<std::string> answers) {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    client = AdminClient(UniqueFd(fds[0]));
    thread_ = std::thread([this, fd = fds[1], all = std::move(answers)] {
      const UniqueFd own(fd);
      for (const std::string& answer : all) {
        char head[ipc::kFrameHeaderOctets];
        if (::recv(own.get(), head, sizeof head, MSG_WAITALL) != sizeof head) return;
        const auto header = ipc::ParseFrameHeader({head, sizeof head}, 1 << 20);
        if (!header.has_value()) return;
        ids.push_back(header->id);
        questions.emplace_back(header->payload_octets, '\0');
        if (header->payload_octets > 0)
          ::recv(own.get(), questions.back().data(), header->payload_octets, MSG_WAITALL);
        // An octet at a time: answers arrive in whatever pieces.
        for (const char c : answer) {
          if (::send(own.get(), &c, 1, MSG_NOSIGNAL) != 1) return;
        }
      }
    });
  }
  ~FakeServer() {
    client = AdminClient(UniqueFd());
    thread_.join();
  }

  AdminClient client{UniqueFd()};
  std::vector<uint32_t> ids;  // to be read when all answers are there
  std::vector<std::string> questions;

 private:
  std::thread thread_;
};

TEST(AdminClient, AsksUnderOddIdsAndReadsTheAnswers) {
  FakeServer server({FrameOf(admin::Acted{.count = 3, .error = {}}, 1),
                     FrameOf(admin::Acted{.count = 4, .error = "e"}, 3)});
  admin::Act act;
  act.verb = admin::Verb::kDelete;
  act.queue_id = 77;
  const auto first = server.client.Ask<admin::Acted>(act);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->count, 3u);
  const auto second = server.client.Ask<admin::Acted>(act);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->error, "e");
  EXPECT_EQ(server.ids, (std::vector<uint32_t>{1, 3}));
  const auto asked = ipc::Decode<admin::Act>(server.questions[0]);
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->queue_id, 77u);
  EXPECT_EQ(asked->verb, admin::Verb::kDelete);
}

TEST(AdminClient, ContentComesBeforeTheAnswer) {
  FakeServer server({FrameOf(admin::ShownContent{.bytes = "one "}, 1) +
                     FrameOf(admin::ShownContent{.bytes = "two"}, 1) + FrameOf(admin::Shown{}, 1)});
  std::string content;
  const auto shown =
      server.client.Ask<admin::Shown>(admin::Show{.queue_id = 1, .content = true},
                                      [&](std::string_view piece) { content += piece; });
  EXPECT_TRUE(shown.ok()) << shown.status();
  EXPECT_EQ(content, "one two");
}

TEST(AdminClient, WhatIsNoAnswerIsAnError) {
  std::string huge;
  ipc::AppendFrameHeader(huge, {.payload_octets = (16u << 20) + 1, .type = admin::kActed, .id = 1});
  std::string cut;
  ipc::AppendFrameHeader(cut, {.payload_octets = 3, .type = admin::kActed, .id = 1});
  const struct {
    const char* what;
    std::string answer;
    absl::StatusCode code;
  } rows[] = {
      {"closed", "", absl::StatusCode::kUnavailable},
      {"closed in the middle", FrameOf(admin::Acted{}, 1).substr(0, 15),
       absl::StatusCode::kUnavailable},
      {"another type", FrameOf(admin::Listed{}, 1), absl::StatusCode::kDataLoss},
      {"another question's", FrameOf(admin::Acted{}, 3), absl::StatusCode::kDataLoss},
      {"content nobody asked for", FrameOf(admin::ShownContent{.bytes = "x"}, 1),
       absl::StatusCode::kDataLoss},
      {"too long", huge, absl::StatusCode::kDataLoss},
      {"cut off", cut + "abc", absl::StatusCode::kDataLoss},
      {"no frame", std::string(12, '\xff'), absl::StatusCode::kDataLoss},
  };
  for (const auto& row : rows) {
    FakeServer server({row.answer});
    EXPECT_EQ(server.client.Ask<admin::Acted>(admin::Act{}).status().code(), row.code) << row.what;
  }
}

TEST(AdminClient, RefusesToAskWhatIsTooLong) {
  FakeServer server({});
  admin::List list;
  list.sender = std::string(protocol::kMaxAddress + 1, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(server.client.Ask<admin::Listed>(list).status()));
}

TEST(AdminClient, NobodyListeningSaysWhatToTry) {
  const auto client = AdminClient::Connect("/nonexistent/master.sock");
  ASSERT_TRUE(absl::IsUnavailable(client.status()));
  EXPECT_NE(client.status().message().find("does the server run"), absl::string_view::npos);
  EXPECT_TRUE(absl::IsInvalidArgument(AdminClient::Connect(std::string(108, 'x')).status()));
}

}  // namespace
}  // namespace postern::tool

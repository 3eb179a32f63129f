// tools/postern/admin_client.h — asking master or a qmgr over its Unix socket
// (common/ipc/protocol/admin.h).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/protocol/admin.h"

namespace postern::tool {

// Blocking; one request at a time.
class AdminClient {
 public:
  // kUnavailable: nobody listens there, or we may not ask; the message says what to try.
  static absl::StatusOr<AdminClient> Connect(const std::string& path);
  // On a socket that is connected already.
  explicit AdminClient(UniqueFd socket) : socket_(std::move(socket)) {}

  // Errors: kUnavailable  the server closed the connection (it does so to other users), or was
  //                       silent for a minute
  //         kDataLoss     what it sent is no answer
  // `on_content` gets what comes before the answer (the pieces of a shown message).
  template <class Answer, class Question>
  absl::StatusOr<Answer> Ask(const Question& question,
                             const std::function<void(std::string_view)>& on_content = {}) {
    std::string payload;
    if (!ipc::Encode(question, payload)) return InvalidArgument("an argument is too long");
    ASSIGN_OR_RETURN(const uint32_t id, Send(static_cast<uint8_t>(Question::kType), payload));
    for (;;) {
      ASSIGN_OR_RETURN(const uint8_t type, Receive(id, payload));
      if (type == protocol::admin::kShownContent && on_content) {
        const auto piece = ipc::Decode<protocol::admin::ShownContent>(payload);
        if (!piece.has_value()) return DataLoss("answer: ", piece.error().reason);
        on_content(piece->bytes);
        continue;
      }
      if (type != static_cast<uint8_t>(Answer::kType))
        return DataLoss("an answer to another question");
      Parsed<Answer> answer = ipc::Decode<Answer>(payload);
      if (!answer.has_value()) return DataLoss("answer: ", answer.error().reason);
      return *std::move(answer);
    }
  }

 private:
  absl::StatusOr<uint32_t> Send(uint8_t type, std::string_view payload);
  absl::StatusOr<uint8_t> Receive(uint32_t id, std::string& payload);
  absl::Status Read(char* to, size_t octets);
  UniqueFd socket_;
  uint32_t next_id_ = 1;
};

}  // namespace postern::tool

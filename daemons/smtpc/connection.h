// daemons/smtpc/connection.h — one connection to a remote server: its greeting, what it offers,
// commands and replies. What the server says is hostile input, and bounded.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/config/settings.h"
#include "common/io/loop.h"
#include "common/io/stream.h"
#include "common/smtp/reply.h"
#include "common/smtp/reply_parser.h"

namespace postern::smtpc {

// From the answer to EHLO or LHLO.
struct Offers {
  bool extended = false;  // EHLO was understood
  bool pipelining = false;
  bool size = false;
  uint64_t max_octets = 0;  // 0: no limit known
  bool eight_bit = false;
  bool utf8 = false;
  bool dsn = false;
  bool chunking = false;
  bool binary = false;
  bool enhanced = false;
};
Offers ParseOffers(const smtp::Reply& reply);

class Connection {
 public:
  // `remote` is its name in logs and notices.
  Connection(io::Loop& loop, std::unique_ptr<io::ByteStream> stream, std::string remote, bool lmtp)
      : loop_(loop), stream_(std::move(stream)), remote_(std::move(remote)), lmtp_(lmtp) {}

  const std::string& remote() const { return remote_; }
  const Offers& offers() const { return offers_; }
  bool lmtp() const { return lmtp_; }
  uint64_t messages() const { return messages_; }
  void CountMessage() { ++messages_; }

  // Greeting and EHLO (HELO where that is not understood; LHLO). The reply is the one that decided:
  // a positive one opens the connection for mail.
  io::Task<absl::StatusOr<smtp::Reply>> Open(const std::string& own_name,
                                             const config::Outbound& settings);
  io::Task<absl::Status> Send(std::string_view bytes, absl::Duration within) {
    co_return co_await stream_->Send(bytes, loop_.After(within));
  }
  // Errors: kDataLoss  what came is no reply
  //         kUnavailable  the server closed
  //         kDeadlineExceeded
  io::Task<absl::StatusOr<smtp::Reply>> ReadReply(absl::Duration within);
  io::Task<absl::StatusOr<smtp::Reply>> Ask(std::string command, absl::Duration within);
  // Whether it can take another message: nothing unasked has come, and it was not closed.
  io::Task<bool> StillGood();
  // Says QUIT and does not wait for the answer.
  io::Task<void> Quit();

 private:
  io::Loop& loop_;
  std::unique_ptr<io::ByteStream> stream_;
  const std::string remote_;
  const bool lmtp_;
  Offers offers_;
  smtp::ReplyParser parser_;
  uint64_t messages_ = 0;
};

}  // namespace postern::smtpc

// tests/testing/memory_stream.h — two io::ByteStreams joined in memory, on any loop.
//
// The peer's misbehaviour is set here: few octets at a time, a window that fills, a close at any
// moment, a connection that breaks after so many octets.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "common/io/event.h"
#include "common/io/stream.h"

namespace postern::test {

struct MemoryStreamOptions {
  // A Receive gives at most this many; 1 finds every parser that expects whole lines.
  size_t max_octets_per_receive = std::numeric_limits<size_t>::max();
  // How much one side may have sent and the other not yet received: then Send waits.
  size_t window_octets = 65536;
};

class MemoryStream final : public io::ByteStream {
 public:
  ~MemoryStream() override;
  MemoryStream(const MemoryStream&) = delete;

  std::string_view Unread() override { return unread_; }
  io::Task<absl::StatusOr<std::string_view>> Receive(io::Deadline until) override;
  void Consume(size_t octets) override;
  io::Task<absl::Status> Send(std::string_view bytes, io::Deadline until) override;

  // Sends no more: the peer receives what was sent, then the end. Death does this too, and lets the
  // peer's sends fail with kUnavailable.
  void Close();
  // From now on Receive and Send of this end return `status`, also those that wait.
  void Fail(absl::Status status);
  // Receive gives `octets` more, then `status`.
  void FailReceiveAfter(size_t octets, absl::Status status);
  // Send takes `octets` more (the peer receives them), then returns `status`.
  void FailSendAfter(size_t octets, absl::Status status);

  uint64_t sent_octets() const { return sent_octets_; }
  uint64_t received_octets() const { return received_octets_; }

 private:
  friend std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> MakeMemoryStreams(
      MemoryStreamOptions options);

  // One direction.
  struct Pipe {
    std::string bytes;
    bool writer_closed = false;
    bool reader_gone = false;
    io::Event changed;
  };
  // A failure that comes after so many octets.
  struct Fault {
    size_t after_octets = std::numeric_limits<size_t>::max();
    absl::Status status;
    bool due() const { return after_octets == 0; }
    void Pass(size_t octets) {
      if (after_octets != std::numeric_limits<size_t>::max()) after_octets -= octets;
    }
  };

  MemoryStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, MemoryStreamOptions options)
      : in_(std::move(in)), out_(std::move(out)), options_(options) {}

  std::shared_ptr<Pipe> in_;
  std::shared_ptr<Pipe> out_;
  MemoryStreamOptions options_;
  std::string unread_;
  Fault receive_fault_;
  Fault send_fault_;
  uint64_t sent_octets_ = 0;
  uint64_t received_octets_ = 0;
};

std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> MakeMemoryStreams(
    MemoryStreamOptions options = {});

}  // namespace postern::test

#include "tests/testing/memory_stream.h"

#include <algorithm>

#include "common/base/check.h"

namespace postern::test {

MemoryStream::~MemoryStream() {
  Close();
  in_->reader_gone = true;
  in_->changed.Wake();
}

io::Task<absl::StatusOr<std::string_view>> MemoryStream::Receive(io::Deadline until) {
  // Held here: the stream may be told to fail while we wait, but must outlive the wait.
  Pipe& in = *in_;
  while (unread_.empty()) {
    if (receive_fault_.due()) co_return receive_fault_.status;
    if (!in.bytes.empty()) break;
    if (in.writer_closed) co_return std::string_view();
    const absl::Status woken = co_await in.changed.Wait(until);
    if (!woken.ok() && in.bytes.empty()) co_return Annotate(woken, "receive");
  }
  if (unread_.empty()) {
    const size_t octets =
        std::min({in.bytes.size(), options_.max_octets_per_receive, receive_fault_.after_octets});
    unread_ = in.bytes.substr(0, octets);
    in.bytes.erase(0, octets);
    receive_fault_.Pass(octets);
    received_octets_ += octets;
    in.changed.Wake();
  }
  co_return std::string_view(unread_);
}

void MemoryStream::Consume(size_t octets) {
  CHECK(octets <= unread_.size());
  unread_.erase(0, octets);
}

io::Task<absl::Status> MemoryStream::Send(std::string_view bytes, io::Deadline until) {
  Pipe& out = *out_;
  CHECK(!out.writer_closed);
  while (!bytes.empty()) {
    if (send_fault_.due()) co_return send_fault_.status;
    if (out.reader_gone) co_return Unavailable("send: the peer is gone");
    const size_t room = options_.window_octets - std::min(options_.window_octets, out.bytes.size());
    const size_t octets = std::min({bytes.size(), room, send_fault_.after_octets});
    if (octets == 0) {
      CO_RETURN_IF_ERROR(Annotate(co_await out.changed.Wait(until), "send"));
      continue;
    }
    out.bytes += bytes.substr(0, octets);
    bytes.remove_prefix(octets);
    send_fault_.Pass(octets);
    sent_octets_ += octets;
    out.changed.Wake();
  }
  co_return absl::OkStatus();
}

void MemoryStream::Close() {
  out_->writer_closed = true;
  out_->changed.Wake();
}

void MemoryStream::Fail(absl::Status status) {
  FailReceiveAfter(0, status);
  FailSendAfter(0, std::move(status));
}

void MemoryStream::FailReceiveAfter(size_t octets, absl::Status status) {
  receive_fault_ = {.after_octets = octets, .status = std::move(status)};
  in_->changed.Wake();
}

void MemoryStream::FailSendAfter(size_t octets, absl::Status status) {
  send_fault_ = {.after_octets = octets, .status = std::move(status)};
  out_->changed.Wake();
}

std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> MakeMemoryStreams(
    MemoryStreamOptions options) {
  auto there = std::make_shared<MemoryStream::Pipe>();
  auto back = std::make_shared<MemoryStream::Pipe>();
  return {std::unique_ptr<MemoryStream>(new MemoryStream(back, there, options)),
          std::unique_ptr<MemoryStream>(new MemoryStream(there, back, options))};
}

}  // namespace postern::test

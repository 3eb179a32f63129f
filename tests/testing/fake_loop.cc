#include "tests/testing/fake_loop.h"

#include "common/base/check.h"

namespace postern::test {

bool FakeBackend::Start(io::Operation&, int*) {
  CheckFailed(__FILE__, __LINE__, "the fake loop has no kernel: use memory streams");
}

void FakeBackend::Cancel(io::Operation&) {
  CheckFailed(__FILE__, __LINE__, "the fake loop started nothing");
}

void FakeBackend::Close(int) {
  CheckFailed(__FILE__, __LINE__, "the fake loop has no descriptors");
}

char* FakeBackend::BufferAt(uint32_t) {
  CheckFailed(__FILE__, __LINE__, "the fake loop has no buffers");
}

void FakeBackend::ReturnBuffer(uint32_t) {
  CheckFailed(__FILE__, __LINE__, "the fake loop has no buffers");
}

absl::Status FakeBackend::Wait(int64_t timeout_ns) {
  if (timeout_ns >= 0) {
    now_ns_ += timeout_ns;
    return absl::OkStatus();
  }
  if (on_stall_) return on_stall_();
  return FailedPrecondition("stalled: nothing can run and no timer is due");
}

FakeLoop::FakeLoop() : backend_(new FakeBackend()), loop_(std::unique_ptr<io::Backend>(backend_)) {
  backend_->set_on_stall([this] { return OnStall(); });
}

absl::Status FakeLoop::OnStall() {
  if (stalled_) {
    CheckFailed(__FILE__, __LINE__, "stalled, and a task still waits after the stop request: that");
  }
  stalled_ = true;
  loop_.RequestStop();
  return absl::OkStatus();
}

absl::Status FakeLoop::Run(io::Task<absl::Status> root) {
  const absl::Status ended = loop_.Run(std::move(root));
  if (!stalled_) return ended;
  return FailedPrecondition("stalled: nothing could run and no timer was due; then it ended with ",
                            ToStd(ended.ToString()));
}

absl::Status RunInFakeLoop(io::Task<absl::Status> root) { return FakeLoop().Run(std::move(root)); }

}  // namespace postern::test

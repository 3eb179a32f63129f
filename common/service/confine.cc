// How a daemon becomes confined: sandbox/README.md has the order and its reasons.
#include <unistd.h>

#include "common/log/log.h"
#include "common/service/outside.h"
#include "common/service/service.h"
#include "sandbox/namespaces.h"

namespace postern::service {
namespace {

constexpr uid_t kOverflowUid = 65534;  // kernel.overflowuid, as everybody leaves it

}  // namespace

sandbox::Identity Service::identity() const {
  return {.drop = configure_.drop_ids, .uid = configure_.uid, .gid = configure_.gid};
}

sandbox::BorrowedIdentity Service::BorrowIdentity() {
  absl::StatusOr<sandbox::BorrowedIdentity> borrowed = sandbox::BorrowedIdentity::Take(identity());
  if (!borrowed.ok()) Fail(borrowed.status(), "sandbox");
  return *std::move(borrowed);
}

bool Service::EnterNamespaces(const sandbox::Namespaces& namespaces) {
  if (namespaces_tried_) return namespaces_entered_ > 0;
  namespaces_tried_ = true;
  log::Flush();  // the new process would write it, too
  sandbox::Outside outside;
  if (configure_.drop_ids) outside.map_ids = [](pid_t pid) { return AskToMapIds(kControlFd, pid); };
  outside.moved = [](pid_t pid) { return TellMoved(kControlFd, pid); };
  const absl::StatusOr<pid_t> entered = sandbox::EnterNamespaces(namespaces, outside);
  if (!entered.ok()) {
    missing_.Add(sandbox::Layer::kNamespaces, entered.status());
    return false;
  }
  log::SetPid(*entered);
  namespaces_entered_ = namespaces.count();
  if (!configure_.drop_ids && ::geteuid() != 0) root_uid_ = kOverflowUid;
  return true;
}

void Service::DropIdentity() {
  if (identity_dropped_) return;
  identity_dropped_ = true;
  if (const absl::Status dropped = sandbox::DropIdentity(identity()); !dropped.ok())
    Fail(dropped, "sandbox");
}

int Service::EnterLandlock(const sandbox::Profile& profile) {
  int abi = 0;
  if (const absl::Status s = sandbox::EnterLandlock(profile, abi); !s.ok()) {
    // What the kernel has must also work.
    if (abi > 0) Fail(s, "sandbox");
    missing_.Add(sandbox::Layer::kLandlock, s);
    return 0;
  }
  const std::string has = StrCat("this kernel's Landlock has version ", abi);
  if (abi < sandbox::kLandlockNetworkAbi)
    missing_.Add(sandbox::Layer::kLandlockNetwork, FailedPrecondition(has));
  if (abi < sandbox::kLandlockScopesAbi)
    missing_.Add(sandbox::Layer::kLandlockScopes, FailedPrecondition(has));
  return abi;
}

void Service::TellMissing() {
  if (const absl::Status s = missing_.Check(); !s.ok()) Fail(s, "sandbox");
  for (const sandbox::MissingLayers::One& one : missing_.all()) {
    log::Event(log::Severity::kWarning, log::kSandboxMissing)
        .Str("layer", sandbox::NameOf(one.layer))
        .Str("reason", one.why)
        .Str("remedy", sandbox::RemedyFor(one.layer));
  }
  // Not a layer: the same rules hold with epoll, which is only slower.
  if (settings_->io == config::IoBackend::kAuto && backend_ == sandbox::Backend::kEpoll) {
    log::Event(log::Severity::kNotice, log::kSandboxMissing)
        .Str("layer", "io_uring")
        .Str("reason", "the kernel refuses a ring; epoll serves")
        .Str("remedy", sandbox::kRemedyForRing);
  }
}

void Service::Confine(const sandbox::Profile& profile, io::LoopOptions options) {
  EnterNamespaces(profile.namespaces);
  DropIdentity();
  if (const absl::Status s = sandbox::HardenProcess(); !s.ok()) Fail(s, "sandbox");
  if (const absl::Status s = sandbox::RefuseExecGain(); !s.ok())
    missing_.Add(sandbox::Layer::kMdwe, s);
  const int landlock_abi = EnterLandlock(profile);
  TellMissing();
  options.backend =
      backend_ == sandbox::Backend::kUring ? io::BackendKind::kUring : io::BackendKind::kEpoll;
  options.restrict_ring = [&profile](int ring_fd) {
    return sandbox::RestrictRing(ring_fd, profile);
  };
  absl::StatusOr<std::unique_ptr<io::Loop>> loop = io::Loop::Create(options);
  if (!loop.ok()) Fail(loop.status(), "sandbox");
  loop_ = *std::move(loop);
  loop_->BeforeWait([](bool brief) { brief ? log::FlushAged() : log::Flush(); });
  if (backend_ == sandbox::Backend::kUring) {
    if (const absl::Status s = sandbox::VerifyRingRestricted(loop_->registered_ring_index());
        !s.ok())
      Fail(s, "sandbox");
  }
  layers_ = Layers(profile, landlock_abi);
  if (const absl::Status s = sandbox::Seal(profile, loop_->registered_ring_index()); !s.ok())
    Fail(s, "sandbox");
  log::Event(log::Severity::kInfo, log::kSandboxEntered)
      .Str("layers", layers_)
      .Str("io", loop_->backend_name());
}

std::string Service::Layers(const sandbox::Profile& profile, int landlock_abi) const {
  std::string layers;
  if (namespaces_entered_ > 0) layers = StrCat("namespaces:", namespaces_entered_, ' ');
  layers += sandbox::DescribeLayers(profile, identity(), landlock_abi);
  if (const std::string missing = missing_.Describe(); !missing.empty()) layers += " " + missing;
  return layers;
}

}  // namespace postern::service

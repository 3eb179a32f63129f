// How a daemon becomes confined: sandbox/README.md has the order and its reasons.
#include <unistd.h>

#include "common/log/log.h"
#include "common/service/confining.h"
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
    missing_.Add(sandbox::KernelLayer::kNamespaces, entered.status());
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

void Service::TellMissing() {
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
  options.backend =
      backend_ == sandbox::Backend::kUring ? io::BackendKind::kUring : io::BackendKind::kEpoll;
  absl::StatusOr<Confined> confined = EnterLayers(profile, identity(), options, missing_);
  if (!confined.ok()) Fail(confined.status(), "sandbox");
  loop_ = std::move(confined->loop);
  loop_->BeforeWait([](bool brief) { brief ? log::FlushAged() : log::Flush(); });
  layers_ = confined->layers;
  if (namespaces_entered_ > 0) layers_ = StrCat("namespaces:", namespaces_entered_, " ", layers_);
  if (const std::string missing = missing_.Describe(); !missing.empty()) layers_ += " " + missing;
  TellMissing();
  log::Event(log::Severity::kInfo, log::kSandboxEntered)
      .Str("layers", layers_)
      .Str("io", loop_->backend_name());
}

}  // namespace postern::service

// deliver: see README.md.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "common/service/service.h"
#include "daemons/deliver/deliver.h"
#include "sandbox/profiles/profiles.h"

namespace {

using namespace postern;

absl::StatusOr<UniqueFd> OpenAsUser(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, "open ", path);
  return fd;
}

// In an instance what lies above the mailbox is the instance's own, and may be closed to its users:
// it is opened before root's powers go. In a user's home every step is taken as the user, whose
// links must not lead root anywhere.
absl::StatusOr<deliver::OpenMailbox> Open(service::Service& service, const std::string& mailbox) {
  const config::Settings& settings = service.settings();
  std::filesystem::path path = std::filesystem::path(mailbox).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // written with a slash at its end
  const std::string above = path.parent_path();
  const bool in_instance = settings.root != "/" && path.native().starts_with(settings.root + "/");
  if (!in_instance) service.DropIdentity();
  absl::StatusOr<UniqueFd> parent =
      in_instance ? deliver::OpenBelowRoot(settings.root, above) : OpenAsUser(above);
  service.DropIdentity();
  RETURN_IF_ERROR(parent.status());
  const deliver::Format format = settings.local.format == config::MailboxFormat::kMbox
                                     ? deliver::Format::kMbox
                                     : deliver::Format::kMaildir;
  return deliver::OpenMailboxAt(parent->get(), path.filename(), format, settings.hostname);
}

}  // namespace

int main() {
  service::Service service = service::Service::Begin();
  if (service.accounts().size() != 1)
    service.Fail(InvalidArgument("started without an account"), "start");
  const protocol::control::Account& account = service.accounts().front();
  ::umask(077);
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write
  absl::StatusOr<deliver::OpenMailbox> opened = Open(service, account.mailbox);
  // Without a mailbox it still says why, to each message it is given.
  if (!opened.ok()) {
    opened = deliver::OpenMailbox{
        .granted = {}, .mailbox = deliver::NoMailbox(Annotate(opened.status(), account.mailbox))};
  }
  service.Confine(sandbox::DeliverProfile(service.backend(), std::move(opened->granted)), {});
  deliver::Deliver daemon(service, std::move(opened->mailbox), account.name);
  return service.Run(daemon);
}

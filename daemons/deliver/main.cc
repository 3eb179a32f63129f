// deliver: see README.md.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "common/service/service.h"
#include "daemons/deliver/deliver.h"
#include "sandbox/profiles/profiles.h"

namespace {

using namespace postern;

struct Place {
  std::string path;   // of the mailbox
  std::string above;  // its directory
  std::string name;   // in there
  deliver::Format format;
};

Place PlaceOf(const service::Service& service, const std::string& mailbox) {
  std::filesystem::path path = std::filesystem::path(mailbox).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // written with a slash at its end
  return {.path = path,
          .above = path.parent_path(),
          .name = path.filename(),
          .format = service.settings().local.format == config::MailboxFormat::kMbox
                        ? deliver::Format::kMbox
                        : deliver::Format::kMaildir};
}

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, "open ", path);
  return fd;
}

// In an instance what lies above the mailbox is the instance's own, and may be closed to its users:
// it is opened before root's powers go. In a user's home every step is taken as the user, whose
// links must not lead root anywhere.
absl::StatusOr<UniqueFd> OpenAbove(service::Service& service, const Place& place) {
  const std::string& root = service.settings().root;
  if (root != "/" && place.path.starts_with(root + "/"))
    return deliver::OpenBelowRoot(root, place.above);
  const auto as_user = service.BorrowIdentity();
  return OpenDirectory(place.above);
}

// As the user; makes what is missing.
absl::StatusOr<deliver::OpenMailbox> OpenAt(service::Service& service, const Place& place,
                                            const UniqueFd& above) {
  const auto as_user = service.BorrowIdentity();
  return deliver::OpenMailboxAt(above.get(), place.name, place.format, service.settings().hostname);
}

absl::StatusOr<deliver::OpenMailbox> Open(service::Service& service, const Place& place) {
  ASSIGN_OR_RETURN(const UniqueFd above, OpenAbove(service, place));
  return OpenAt(service, place, above);
}

// The Maildir alone, for the namespaces to show.
absl::StatusOr<UniqueFd> OpenMaildir(service::Service& service, const Place& place) {
  ASSIGN_OR_RETURN(const UniqueFd above, OpenAbove(service, place));
  const auto as_user = service.BorrowIdentity();
  UniqueFd fd(
      ::openat(above.get(), place.name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return ErrnoStatus(errno, "open ", place.path);
  return fd;
}

// Once nothing else can be seen. An mbox is one open file, which leads nowhere; from a Maildir that
// was opened before, there is a way up.
void EnterNamespaces(service::Service& service, const Place& place,
                     absl::StatusOr<deliver::OpenMailbox>& opened) {
  const bool shown = opened.ok() && place.format == deliver::Format::kMaildir;
  sandbox::Namespaces namespaces;
  if (shown) {
    namespaces.shown.push_back(
        {.path = place.path, .open = [&] { return OpenMaildir(service, place); }});
  }
  if (!service.EnterNamespaces(namespaces) || !shown) return;
  const absl::StatusOr<UniqueFd> above = OpenDirectory(place.above);
  if (above.ok()) {
    opened = OpenAt(service, place, *above);
  } else {
    opened = above.status();
  }
}

}  // namespace

int main() {
  service::Service service = service::Service::Begin();
  if (service.accounts().size() != 1)
    service.Fail(InvalidArgument("started without an account"), "start");
  const protocol::control::Account& account = service.accounts().front();
  ::umask(077);
  ::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write
  const Place place = PlaceOf(service, account.mailbox);
  absl::StatusOr<deliver::OpenMailbox> opened = Open(service, place);
  EnterNamespaces(service, place, opened);
  // Without a mailbox it still says why, to each message it is given.
  if (!opened.ok()) {
    opened = deliver::OpenMailbox{
        .granted = {}, .mailbox = deliver::NoMailbox(Annotate(opened.status(), account.mailbox))};
  }
  service.Confine(sandbox::DeliverProfile(service.backend(), std::move(opened->granted)), {});
  deliver::Deliver daemon(service, std::move(opened->mailbox), account.name);
  return service.Run(daemon);
}

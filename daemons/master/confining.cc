// What daemons ask for while they enter namespaces of their own.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "daemons/master/id_map.h"
#include "daemons/master/master.h"

namespace postern::master {
namespace {

// A pipe that nobody wrote to takes it at once; the descriptor is a child's, so it may be anything.
void Answer(const UniqueFd& pipe, std::string_view answer) {
  answer = answer.substr(0, protocol::control::kMaxOutsideAnswer);
  ::fcntl(pipe.get(), F_SETFL, O_NONBLOCK);
  if (::write(pipe.get(), answer.data(), answer.size()) < 0) {
    // Nobody waits: it was ended meanwhile.
  }
}

// What ended a process whose status somebody else's death took along.
constexpr int kKilled = SIGKILL;

}  // namespace

// A daemon that is confined has no business with processes; it may be in somebody's hands.
absl::Status Master::CheckStillEntering(const Child& child) const {
  if (child.pid > 0 && !child.confined && !child.moved) return absl::OkStatus();
  return DataLoss("control: ", child.name, " enters namespaces at the wrong time");
}

absl::Status Master::MapIds(Child& child, pid_t pid, UniqueFd answer) {
  RETURN_IF_ERROR(CheckStillEntering(child));
  if (!child.identity.drop) return DataLoss("control: ", child.name, " keeps its ids");
  const absl::Status written = WriteIdMaps(pid);
  Answer(answer, written.ok() ? protocol::control::kOutsideDone : Message(written));
  return absl::OkStatus();
}

// It goes on once it is answered, so it cannot end unseen before.
absl::Status Master::OnMoved(Child& child, pid_t pid, UniqueFd answer) {
  RETURN_IF_ERROR(CheckStillEntering(child));
  if (pid <= 1) return DataLoss("control: ", child.name, " cannot be process ", pid);
  child.moved = true;
  child.pid = pid;
  // Unless somebody killed it; we took its end for some process's of which we know nothing.
  if (::kill(pid, 0) < 0 && errno == ESRCH) {
    OnDied(child, kKilled);
    return absl::OkStatus();
  }
  Answer(answer, protocol::control::kOutsideDone);
  return absl::OkStatus();
}

}  // namespace postern::master

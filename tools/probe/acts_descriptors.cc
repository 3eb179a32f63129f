// Descriptors: making more of them, moving data between them, and what they can be asked for; and
// the kernel's objects for talking to other processes.
#include <fcntl.h>
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/uio.h>
#include <termios.h>

#include <string>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

void AddDuplicates(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, Allowance allowed = {}) {
    acts.push_back({.group = "descriptors",
                    .name = name,
                    .attempt = attempt,
                    .refusals = {EMFILE},
                    .allowed = std::move(allowed)});
  };
  add("double a descriptor", [](const Scene& s) { return Call(SYS_dup, s.stage.edge.get()); });
  add("double a descriptor by dup2",
      [](const Scene& s) { return Call(SYS_dup2, s.stage.edge.get(), 40); });
  add("put a descriptor in another's place",
      [](const Scene& s) { return Call(SYS_dup3, s.stage.edge.get(), 40, 0); });
  add("double a descriptor by fcntl",
      [](const Scene& s) { return Call(SYS_fcntl, s.stage.edge.get(), F_DUPFD, 0); });
  add("double a descriptor that programs do not inherit",
      [](const Scene& s) { return Call(SYS_fcntl, s.stage.edge.get(), F_DUPFD_CLOEXEC, 0); },
      {.roles = {"locald"}, .reason = "one content for several recipients"});
  add("have signals sent by a descriptor",
      [](const Scene& s) { return Call(SYS_fcntl, s.stage.edge.get(), F_SETOWN, s.stage.victim); });
  add("choose the signal of a descriptor",
      [](const Scene& s) { return Call(SYS_fcntl, s.stage.edge.get(), F_SETSIG, 0); });
  add("be told when a directory changes",
      [](const Scene& s) { return Call(SYS_fcntl, s.stage.edge.get(), F_NOTIFY, 0); });
  add("seal a descriptor",
      [](const Scene& s) { return Call(SYS_fcntl, s.stage.edge.get(), F_ADD_SEALS, 0); });
  add("make a pipe", [](const Scene&) {
    int ends[2];
    return Call(SYS_pipe2, ends, 0);
  });
  add("make an event counter", [](const Scene&) { return Call(SYS_eventfd2, 0, 0); });
  add("make a timer descriptor", [](const Scene&) { return Call(SYS_timerfd_create, 1, 0); });
  add("make a signal descriptor", [](const Scene&) {
    const uint64_t none = 0;
    return Call(SYS_signalfd4, -1, &none, sizeof none, 0);
  });
  add("make another poller", [](const Scene&) { return Call(SYS_epoll_create1, 0); });
  add("close a range of descriptors",
      [](const Scene&) { return Call(SYS_close_range, 500, 600, 0); });
}

void AddMoving(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt, Allowance allowed = {}) {
    acts.push_back(
        {.group = "descriptors", .name = name, .attempt = attempt, .allowed = std::move(allowed)});
  };
  add("ask a terminal for typed words",
      [](const Scene& s) { return Call(SYS_ioctl, s.stage.edge.get(), TIOCSTI, "x"); });
  add("have signals when data comes", [](const Scene& s) {
    const int on = 0;
    return Call(SYS_ioctl, s.stage.edge.get(), FIOASYNC, &on);
  });
  add("ask how much there is to read", [](const Scene& s) {
    int octets;
    return Call(SYS_ioctl, s.stage.edge.get(), FIONREAD, &octets);
  });
  add("send a file into a socket", [](const Scene& s) {
    return Call(SYS_sendfile, s.stage.edge.get(), s.stage.program_fd.get(), nullptr, 1);
  });
  add("copy between files", [](const Scene& s) {
    return Call(SYS_copy_file_range, s.stage.program_fd.get(), nullptr, s.stage.writable_fd.get(),
                nullptr, 1, 0);
  });
  add("splice", [](const Scene& s) {
    return Call(SYS_splice, s.stage.edge.get(), nullptr, s.stage.program_fd.get(), nullptr, 0, 0);
  });
  add("tee", [](const Scene& s) {
    return Call(SYS_tee, s.stage.edge.get(), s.stage.program_fd.get(), 0, 0);
  });
  add("give memory to a pipe",
      [](const Scene& s) { return Call(SYS_vmsplice, s.stage.edge.get(), nullptr, 0, 0); });
  add("move in a file",
      [](const Scene& s) { return Call(SYS_lseek, s.stage.program_fd.get(), 0, 0); });
  add("cut a file short",
      [](const Scene& s) { return Call(SYS_ftruncate, s.stage.writable_fd.get(), 5); },
      {.roles = {"deliver"}, .reason = "takes back what a full disk left half written"});
  add("lock a file",
      [](const Scene& s) { return Call(SYS_flock, s.stage.writable_fd.get(), LOCK_EX | LOCK_NB); },
      {.roles = {"deliver"}, .reason = "locks an mbox"});
  add("read from many places at once", [](const Scene& s) {
    char octet;
    const iovec place{&octet, 1};
    return Call(SYS_preadv, s.stage.program_fd.get(), &place, 1, 0, 0);
  });
  add("write from many places at once", [](const Scene& s) {
    return Call(SYS_pwritev, s.stage.writable_fd.get(), nullptr, 0, 0, 0);
  });
  add("wait by select", [](const Scene&) {
    const timespec none{};
    return Call(SYS_pselect6, 0, nullptr, nullptr, nullptr, &none, nullptr);
  });
}

void AddObjects(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "objects", .name = name, .attempt = attempt});
  };
  add("make semaphores", [](const Scene&) {
    const long made = Call(SYS_semget, IPC_PRIVATE, 1, IPC_CREAT | 0600);
    if (made >= 0) Call(SYS_semctl, made, 0, IPC_RMID, 0);
    return made;
  });
  add("make a message queue", [](const Scene&) {
    const long made = Call(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600);
    if (made >= 0) Call(SYS_msgctl, made, IPC_RMID, nullptr);
    return made;
  });
  add("make a named message queue", [](const Scene& s) {
    const std::string& name = s.stage.abstract_name;
    const long made = Call(SYS_mq_open, name.c_str(), O_RDWR | O_CREAT, 0600, nullptr);
    if (made >= 0) Call(SYS_mq_unlink, name.c_str());
    return made;
  });
  add("start a timer", [](const Scene&) {
    const itimerval never{};
    return Call(SYS_setitimer, ITIMER_REAL, &never, nullptr);
  });
  add("make a timer", [](const Scene&) {
    int timer;
    return Call(SYS_timer_create, CLOCK_MONOTONIC, nullptr, &timer);
  });
  add("set an alarm", [](const Scene&) { return Call(SYS_alarm, 0); });
  add("wait for all processors", [](const Scene&) { return Call(SYS_membarrier, 0, 0, 0); });
  add("have restartable sequences", [](const Scene&) { return Call(SYS_rseq, nullptr, 0, 0, 0); });
}

}  // namespace

void AddDescriptorActs(std::vector<Act>& acts) {
  AddDuplicates(acts);
  AddMoving(acts);
  AddObjects(acts);
}

}  // namespace postern::probe

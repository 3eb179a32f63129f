// Programs, processes, threads and signals.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

constexpr int kHarmless = SIGURG;  // ignored by whoever does not ask for it

void AddPrograms(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "programs", .name = name, .attempt = attempt, .refusals = kHidden});
  };
  // The scratch program is of no known format: ENOEXEC tells that it would have run.
  static const char* const kNoWords[] = {"probe", nullptr};
  add("run a program", [](const Scene& s) {
    return Call(SYS_execve, s.stage.program.c_str(), kNoWords, kNoWords + 1);
  });
  add("run a program by its descriptor", [](const Scene& s) {
    return Call(SYS_execveat, s.stage.program_fd.get(), "", kNoWords, kNoWords + 1, AT_EMPTY_PATH);
  });
  add("run a program by its path in a directory", [](const Scene& s) {
    return Call(SYS_execveat, AT_FDCWD, s.stage.program.c_str(), kNoWords, kNoWords + 1, 0);
  });
  add("run a program made in memory", [](const Scene&) {
    const long memory = Call(SYS_memfd_create, "program", 0);
    if (memory < 0) return memory;
    Call(SYS_write, memory, "no format", 9);
    return Call(SYS_execveat, memory, "", kNoWords, kNoWords + 1, AT_EMPTY_PATH);
  });
  add("run a shell", [](const Scene&) {
    // As a program that is not there, below one that is: ENOTDIR without a refusal.
    return Call(SYS_execve, "/bin/sh/none", kNoWords, kNoWords + 1);
  });
}

// In the new process or thread: its end, and nothing before.
int EndAtOnce(void*) {
  ::syscall(SYS_exit, 0);
  return 0;
}

alignas(16) char new_stack[1 << 16];

long Clone(int flags) {
  const int child = ::clone(&EndAtOnce, new_stack + sizeof new_stack, flags, nullptr);
  return child < 0 ? -errno : child;
}

void AddMaking(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "processes", .name = name, .attempt = attempt, .refusals = {EAGAIN}});
  };
  add("fork", [](const Scene&) {
    const long child = Call(SYS_fork);
    if (child == 0) ::syscall(SYS_exit_group, 0);
    return child;
  });
  add("fork by clone", [](const Scene&) { return Clone(SIGCHLD); });
  add("fork as vfork does", [](const Scene&) { return Clone(CLONE_VM | CLONE_VFORK | SIGCHLD); });
  add("fork by clone3", [](const Scene&) {
    clone_args arguments{};
    arguments.exit_signal = SIGCHLD;
    const long child = Call(SYS_clone3, &arguments, sizeof arguments);
    if (child == 0) ::syscall(SYS_exit_group, 0);
    return child;
  });
  add("make a thread", [](const Scene&) {
    return Clone(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM);
  });
  add("wait for a child", [](const Scene&) {
    return Call(SYS_wait4, -1, nullptr, WNOHANG, nullptr);  // ECHILD: nobody refused
  });
  add("begin a session of its own", [](const Scene&) { return Call(SYS_setsid); });
  add("join another process group", [](const Scene&) { return Call(SYS_setpgid, 0, 0); });
}

void AddSignals(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "signals", .name = name, .attempt = attempt, .refusals = {ESRCH}});
  };
  add("signal another process",
      [](const Scene& s) { return Call(SYS_kill, s.stage.victim, kHarmless); });
  add("find out whether a process is there",
      [](const Scene& s) { return Call(SYS_kill, s.stage.victim, 0); });
  add("signal another process's thread",
      [](const Scene& s) { return Call(SYS_tgkill, s.stage.victim, s.stage.victim, kHarmless); });
  add("signal by tkill", [](const Scene& s) { return Call(SYS_tkill, s.stage.victim, kHarmless); });
  add("signal itself", [](const Scene&) {
    const long self = Call(SYS_getpid);
    return Call(SYS_tgkill, self, self, kHarmless);
  });
  add("signal with data", [](const Scene& s) {
    siginfo_t data{};
    data.si_signo = kHarmless;
    data.si_code = SI_QUEUE;
    return Call(SYS_rt_sigqueueinfo, s.stage.victim, kHarmless, &data);
  });
  add("take hold of a process",
      [](const Scene& s) { return Call(SYS_pidfd_open, s.stage.victim, 0); });
  add("signal a process that it holds", [](const Scene& s) {
    return Call(SYS_pidfd_send_signal, s.stage.victim_pidfd.get(), kHarmless, nullptr, 0);
  });
  add("take a descriptor of another process",
      [](const Scene& s) { return Call(SYS_pidfd_getfd, s.stage.victim_pidfd.get(), 0, 0); });
  add("handle a signal",
      [](const Scene&) { return Call(SYS_rt_sigaction, SIGUSR1, nullptr, nullptr, 8); });
  add("take another stack for signals",
      [](const Scene&) { return Call(SYS_sigaltstack, nullptr, nullptr); });
}

void AddOthers(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back(
        {.group = "other processes", .name = name, .attempt = attempt, .refusals = {ESRCH}});
  };
  add("trace another process", [](const Scene& s) {
    return Call(SYS_ptrace, PTRACE_SEIZE, s.stage.victim, nullptr, nullptr);
  });
  add("have itself traced", [](const Scene&) { return Call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0); });
  add("read another process's memory", [](const Scene& s) {
    char octet;
    const iovec own{&octet, 1};
    const iovec other{new_stack, 1};
    return Call(SYS_process_vm_readv, s.stage.victim, &own, 1, &other, 1, 0);
  });
  add("write another process's memory", [](const Scene& s) {
    char octet = 0;
    const iovec own{&octet, 1};
    const iovec other{new_stack, 1};
    return Call(SYS_process_vm_writev, s.stage.victim, &own, 1, &other, 1, 0);
  });
  add("compare with another process",
      [](const Scene& s) { return Call(SYS_kcmp, Call(SYS_getpid), s.stage.victim, 0, 0, 0); });
  add("find another process's locks", [](const Scene& s) {
    void* head;
    size_t octets;
    return Call(SYS_get_robust_list, s.stage.victim, &head, &octets);
  });
  add("advise another process's memory away", [](const Scene& s) {
    const iovec none{new_stack, 4096};
    return Call(SYS_process_madvise, s.stage.victim_pidfd.get(), &none, 1, 20 /* MADV_COLD */, 0);
  });
  add("move another process's memory", [](const Scene& s) {
    return Call(SYS_move_pages, s.stage.victim, 0, nullptr, nullptr, nullptr, 0);
  });
  add("move a process between nodes", [](const Scene& s) {
    const unsigned long node = 1;
    return Call(SYS_migrate_pages, s.stage.victim, 2, &node, &node);
  });
  add("read another process's limits", [](const Scene& s) {
    rlimit limit;
    return Call(SYS_prlimit64, s.stage.victim, RLIMIT_CORE, nullptr, &limit);
  });
  add("lower another process's limits", [](const Scene& s) {
    const rlimit none{.rlim_cur = 0, .rlim_max = 0};
    return Call(SYS_prlimit64, s.stage.victim, RLIMIT_CORE, &none, nullptr);
  });
  add("lower another process's priority",
      [](const Scene& s) { return Call(SYS_setpriority, PRIO_PROCESS, s.stage.victim, 5); });
  add("bind another process to a processor", [](const Scene& s) {
    const unsigned long all = ~0ul;
    return Call(SYS_sched_setaffinity, s.stage.victim, sizeof all, &all);
  });
}

void AddScheduling(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "scheduling", .name = name, .attempt = attempt, .refusals = {}});
  };
  add("raise its own priority",
      [](const Scene&) { return Call(SYS_setpriority, PRIO_PROCESS, 0, -5); });
  add("run before all others", [](const Scene&) {
    const sched_param first{.sched_priority = 1};
    return Call(SYS_sched_setscheduler, 0, SCHED_FIFO, &first);
  });
  add("change how it is scheduled", [](const Scene&) {
    const sched_param none{.sched_priority = 0};
    return Call(SYS_sched_setscheduler, 0, SCHED_BATCH, &none);
  });
  add("bind itself to a processor", [](const Scene&) {
    const unsigned long all = ~0ul;
    return Call(SYS_sched_setaffinity, 0, sizeof all, &all);
  });
  add("change how its reading is scheduled", [](const Scene&) {
    return Call(SYS_ioprio_set, 1, 0, 2 << 13 | 7);  // itself, best effort, last
  });
}

}  // namespace

void AddProcessActs(std::vector<Act>& acts) {
  AddPrograms(acts);
  AddMaking(acts);
  AddSignals(acts);
  AddOthers(acts);
  AddScheduling(acts);
}

}  // namespace postern::probe

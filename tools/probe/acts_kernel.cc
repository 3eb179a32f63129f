// The machine itself: programs and modules in the kernel, clocks, names, other architectures. As
// root each is such that the kernel refuses it for what it says, once it was let through.
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <sys/klog.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include <cstring>

#include "tools/probe/acts.h"

namespace postern::probe {
namespace {

void AddPowers(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "kernel", .name = name, .attempt = attempt});
  };
  add("make a map of BPF", [](const Scene&) {
    bpf_attr attributes{};
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = 4;
    attributes.value_size = 4;
    attributes.max_entries = 1;
    return Call(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
  });
  add("load a program into the kernel", [](const Scene&) {
    bpf_attr attributes{};
    attributes.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    return Call(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  });
  add("count events of the processor", [](const Scene&) {
    perf_event_attr attributes{};
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_SW_DUMMY;
    attributes.exclude_kernel = 1;
    return Call(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
  });
  add("load a module", [](const Scene&) { return Call(SYS_init_module, "", 0, ""); });
  add("load a module from a file", [](const Scene&) { return Call(SYS_finit_module, -1, "", 0); });
  add("unload a module", [](const Scene&) { return Call(SYS_delete_module, "postern_none", 0); });
  add("start the machine anew", [](const Scene&) { return Call(SYS_reboot, 0, 0, 0, nullptr); });
  add("load another kernel",
      [](const Scene&) { return Call(SYS_kexec_load, 0, 0, nullptr, 0x7FFFul); });
  add("load another kernel from a file",
      [](const Scene&) { return Call(SYS_kexec_file_load, -1, -1, 0, nullptr, 0x7FFFul); });
  add("make a ring", [](const Scene&) {
    io_uring_params parameters{};
    return Call(SYS_io_uring_setup, 4, &parameters);
  });
  add("read the kernel's log",
      [](const Scene&) { return Call(SYS_syslog, 10 /* its size */, nullptr, 0); });
  add("use ports of the machine", [](const Scene&) { return Call(SYS_ioperm, 0x80, 1, 1); });
  add("use all ports of the machine", [](const Scene&) { return Call(SYS_iopl, 3); });
  add("change its segments", [](const Scene&) {
    char table[16];
    return Call(SYS_modify_ldt, 0, table, sizeof table);
  });
  add("change its segment registers", [](const Scene&) {
    unsigned long base;
    return Call(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &base);
  });
  add("set the clock", [](const Scene&) { return Call(SYS_settimeofday, nullptr, nullptr); });
  add("set a clock that cannot be set", [](const Scene&) {
    const timespec now{.tv_sec = 0, .tv_nsec = 0};
    return Call(SYS_clock_settime, CLOCK_MONOTONIC, &now);
  });
  add("change the pace of the clock", [](const Scene&) {
    timex change{};
    change.modes = ADJ_TICK;  // to zero, which no clock can do
    return Call(SYS_adjtimex, &change);
  });
  add("change the pace of a clock", [](const Scene&) {
    timex change{};
    change.modes = ADJ_TICK;
    return Call(SYS_clock_adjtime, CLOCK_REALTIME, &change);
  });
  add("name the machine", [](const Scene&) {
    utsname names;
    const long asked = Call(SYS_uname, &names);
    return asked < 0 ? Call(SYS_sethostname, "", 0x7FFF)
                     : Call(SYS_sethostname, names.nodename, std::strlen(names.nodename));
  });
  add("name the machine's domain", [](const Scene&) {
    utsname names;
    const long asked = Call(SYS_uname, &names);
    return asked < 0 ? Call(SYS_setdomainname, "", 0x7FFF)
                     : Call(SYS_setdomainname, names.domainname, std::strlen(names.domainname));
  });
  add("hang up the terminal", [](const Scene&) { return Call(SYS_vhangup); });
  add("ask what machine it is", [](const Scene&) {
    utsname names;
    return Call(SYS_uname, &names);
  });
  add("ask how busy the machine is", [](const Scene&) {
    struct sysinfo about;
    return Call(SYS_sysinfo, &about);
  });
}

// The kernel's other doors, which a filter for one architecture does not look at.
long ByInterrupt80(uint32_t number, uint32_t first) {
#if defined(__x86_64__)
  long result = number;
  asm volatile("int $0x80" : "+a"(result) : "b"(first) : "r8", "r9", "r10", "r11", "memory");
  return static_cast<int32_t>(result);
#else
  return -ENOSYS;
#endif
}

void AddDoors(std::vector<Act>& acts) {
  const auto add = [&](const char* name, auto attempt) {
    acts.push_back({.group = "other doors", .name = name, .attempt = attempt});
  };
  add("call as 32-bit programs do", [](const Scene&) { return ByInterrupt80(20 /* getpid */, 0); });
  add("close as 32-bit programs do", [](const Scene& s) {
    return ByInterrupt80(6, static_cast<uint32_t>(s.stage.program_fd.get()));
  });
  add("call as x32 programs do", [](const Scene&) { return Call(0x40000000 | SYS_getpid); });
  add("call what no kernel has", [](const Scene&) { return Call(1000); });
}

}  // namespace

void AddKernelActs(std::vector<Act>& acts) {
  AddPowers(acts);
  AddDoors(acts);
}

}  // namespace postern::probe

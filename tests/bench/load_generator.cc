// Load for `./dev bench`: SMTP clients over loopback, all in one process on one ring.
//
//   load_generator PORT [--connections N] [--messages N] [--octets N] [--kept] [--pipeline]
//                  [--recipient PATTERN] [--idle]
//
// Sends --messages over --connections that work side by side, each a new one per message unless
// --kept. %d in the recipient becomes the message's number modulo 20. Prints one line of JSON:
// seconds, accepted, and the median and 99th percentile of milliseconds from connecting (kept: from
// MAIL) to the reply to the content. --idle opens the connections, says EHLO on each, prints "idle"
// and holds them until its input ends. Exit status 1 if any message was not accepted.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/scope.h"
#include "common/io/socket.h"

namespace postern {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5);
constexpr int kMailboxes = 20;
constexpr size_t kContentLine = 78;  // octets, without the line end

struct Plan {
  uint16_t port = 0;
  int connections = 1;
  int messages = 1;
  size_t octets = 4096;
  bool kept = false;
  bool pipeline = false;
  bool idle = false;
  std::string recipient = "user@sink.example";
};

std::string ContentOf(size_t octets) {
  std::string content = "From: <sender@client.example>\r\nSubject: load\r\n\r\n";
  while (content.size() + 2 < octets) {
    content.append(std::min(kContentLine, octets - content.size() - 2), 'x');
    content += "\r\n";
  }
  return content + ".\r\n";
}

class Generator {
 public:
  Generator(io::Loop& loop, const Plan& plan)
      : loop_(loop), plan_(plan), content_(ContentOf(plan.octets)) {}

  io::Task<absl::Status> Run();
  int accepted() const { return accepted_; }

 private:
  io::Task<absl::Status> Work();
  io::Task<absl::Status> OpenIdle();
  io::Task<absl::StatusOr<std::unique_ptr<io::Socket>>> Connect();
  io::Task<absl::Status> Say(io::Socket& socket, std::string command, int replies);
  io::Task<absl::Status> Expect(io::Socket& socket, int replies);
  io::Task<absl::Status> Send(io::Socket& socket);
  void Print(absl::Duration took);

  io::Loop& loop_;
  const Plan& plan_;
  const std::string content_;
  int begun_ = 0;
  int accepted_ = 0;
  std::vector<double> milliseconds_;
  std::vector<std::unique_ptr<io::Socket>> idle_;
};

io::Task<absl::StatusOr<std::unique_ptr<io::Socket>>> Generator::Connect() {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) co_return ErrnoStatus(errno, "socket");
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const SocketAddress address{.ip = IpAddress::V4(INADDR_LOOPBACK), .port = plan_.port};
  CO_RETURN_IF_ERROR(co_await io::Connect(loop_, fd.get(), address, loop_.After(kPatience)));
  auto socket = std::make_unique<io::Socket>(loop_, std::move(fd));
  CO_RETURN_IF_ERROR(co_await Expect(*socket, 1));
  CO_RETURN_IF_ERROR(co_await Say(*socket, "EHLO client.example\r\n", 1));
  co_return std::move(socket);
}

// Reads that many replies, all of which must be 2yz or 3yz.
io::Task<absl::Status> Generator::Expect(io::Socket& socket, int replies) {
  std::string line;
  while (replies > 0) {
    CO_ASSIGN_OR_RETURN(const std::string_view bytes,
                        co_await socket.Receive(loop_.After(kPatience)));
    if (bytes.empty()) co_return Unavailable("the server closed");
    const size_t end = bytes.find('\n');
    const size_t octets = end == std::string_view::npos ? bytes.size() : end + 1;
    line.append(bytes.substr(0, octets));
    socket.Consume(octets);
    if (end == std::string_view::npos) continue;
    if (line[0] != '2' && line[0] != '3') co_return FailedPrecondition("refused: ", line);
    if (line.size() < 4 || line[3] != '-') --replies;
    line.clear();
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> Generator::Say(io::Socket& socket, std::string command, int replies) {
  CO_RETURN_IF_ERROR(co_await socket.Send(command, loop_.After(kPatience)));
  co_return co_await Expect(socket, replies);
}

io::Task<absl::Status> Generator::Send(io::Socket& socket) {
  std::string recipient = plan_.recipient;
  if (const size_t at = recipient.find("%d"); at != std::string::npos)
    recipient.replace(at, 2, std::to_string(begun_ % kMailboxes));
  const std::string mail = "MAIL FROM:<sender@client.example>\r\n";
  const std::string rcpt = "RCPT TO:<" + recipient + ">\r\n";
  if (plan_.pipeline) {
    CO_RETURN_IF_ERROR(co_await Say(socket, mail + rcpt + "DATA\r\n", 3));
  } else {
    CO_RETURN_IF_ERROR(co_await Say(socket, mail, 1));
    CO_RETURN_IF_ERROR(co_await Say(socket, rcpt, 1));
    CO_RETURN_IF_ERROR(co_await Say(socket, "DATA\r\n", 1));
  }
  CO_RETURN_IF_ERROR(co_await socket.Send(content_, loop_.After(kPatience)));
  co_return co_await Expect(socket, 1);
}

// One of the clients.
io::Task<absl::Status> Generator::Work() {
  std::unique_ptr<io::Socket> socket;
  if (plan_.kept) {
    CO_ASSIGN_OR_RETURN(socket, co_await Connect());
  }
  while (begun_ < plan_.messages) {
    ++begun_;
    const absl::Time began = absl::Now();
    if (!plan_.kept) {
      CO_ASSIGN_OR_RETURN(socket, co_await Connect());
    }
    CO_RETURN_IF_ERROR(co_await Send(*socket));
    milliseconds_.push_back(absl::ToDoubleMilliseconds(absl::Now() - began));
    ++accepted_;
    if (!plan_.kept) CO_RETURN_IF_ERROR(co_await Say(*socket, "QUIT\r\n", 1));
  }
  if (plan_.kept) CO_RETURN_IF_ERROR(co_await Say(*socket, "QUIT\r\n", 1));
  co_return absl::OkStatus();
}

io::Task<absl::Status> Generator::OpenIdle() {
  while (begun_ < plan_.connections) {
    ++begun_;
    CO_ASSIGN_OR_RETURN(auto socket, co_await Connect());
    idle_.push_back(std::move(socket));
  }
  co_return absl::OkStatus();
}

io::Task<absl::Status> Generator::Run() {
  const absl::Time began = absl::Now();
  io::TaskScope clients;
  // Idle ones are opened some at a time: the queue of connections not yet accepted is finite.
  const int side_by_side = plan_.idle ? std::min(plan_.connections, 64) : plan_.connections;
  for (int i = 0; i < side_by_side; ++i) clients.Spawn(plan_.idle ? OpenIdle() : Work());
  CO_RETURN_IF_ERROR(co_await clients.JoinOrCancel());
  if (!plan_.idle) {
    Print(absl::Now() - began);
    co_return absl::OkStatus();
  }
  std::puts("idle");
  std::fflush(stdout);
  io::OperationAwaiter input(loop_, io::OpCode::kPoll, io::Deadline::Never());
  input.fd = STDIN_FILENO;
  input.flags = POLLIN | POLLHUP;
  IgnoreStatus(co_await input < 0 ? Unavailable("poll") : absl::OkStatus(), "ends either way");
  idle_.clear();
  co_return absl::OkStatus();
}

void Generator::Print(absl::Duration took) {
  std::sort(milliseconds_.begin(), milliseconds_.end());
  const auto percentile = [this](size_t percent) {
    if (milliseconds_.empty()) return 0.0;
    return milliseconds_[std::min(milliseconds_.size() - 1, milliseconds_.size() * percent / 100)];
  };
  std::printf("{\"seconds\": %.6f, \"accepted\": %d, \"median_ms\": %.4f, \"p99_ms\": %.4f}\n",
              absl::ToDoubleSeconds(took), accepted_, percentile(50), percentile(99));
}

template <class Number>
bool ParseNumber(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParsePlan(int argc, char** argv, Plan& plan) {
  if (argc < 2 || !ParseNumber(argv[1], plan.port)) return false;
  for (int i = 2; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--kept" || option == "--pipeline" || option == "--idle") {
      (option == "--kept" ? plan.kept : option == "--idle" ? plan.idle : plan.pipeline) = true;
      continue;
    }
    if (++i == argc) return false;
    const std::string_view value = argv[i];
    if (option == "--recipient") {
      plan.recipient = value;
    } else if (!(option == "--connections" ? ParseNumber(value, plan.connections)
                 : option == "--messages"  ? ParseNumber(value, plan.messages)
                 : option == "--octets"    ? ParseNumber(value, plan.octets)
                                           : false)) {
      return false;
    }
  }
  return plan.connections > 0;
}

int Main(int argc, char** argv) {
  Plan plan;
  if (!ParsePlan(argc, argv, plan)) {
    std::fputs("load_generator: see the head of its source for what it takes\n", stderr);
    return 2;
  }
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  io::LoopOptions options;
  options.buffer_count = 1024;
  options.buffer_octets = 1024;  // replies are short
  absl::StatusOr<std::unique_ptr<io::Loop>> loop = io::Loop::Create(options);
  if (!loop.ok()) {
    std::fprintf(stderr, "load_generator: %s\n", std::string(Message(loop.status())).c_str());
    return 1;
  }
  Generator generator(**loop, plan);
  const absl::Status ended = (*loop)->Run(generator.Run());
  if (!ended.ok())
    std::fprintf(stderr, "load_generator: %s\n", std::string(Message(ended)).c_str());
  return ended.ok() && (plan.idle || generator.accepted() == plan.messages) ? 0 : 1;
}

}  // namespace
}  // namespace postern

int main(int argc, char** argv) { return postern::Main(argc, argv); }

// What this machine can do: the architecture without the mail server. Three bare processes joined
// by socket pairs: a front with one ring and the SMTP dialogue, a policy process asked once per
// RCPT, a store that appends and syncs in groups. No checks, no limits, no confinement, no
// recovery: a yardstick for `./dev bench`, nothing to run mail with. Whatever goes wrong ends it.
//
//   limit_model PORT FILE     prints "ready", serves loopback until SIGTERM
#include <arpa/inet.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

constexpr size_t kBufferOctets = 16384;
constexpr uint32_t kBuffers = 1024;
constexpr size_t kPipeOctets = 1 << 20;

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::_Exit(1);
}

void WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written <= 0) std::_Exit(0);  // the front is gone
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// Says yes to each question, which is the number of a connection.
[[noreturn]] void RunPolicy(int fd) {
  std::vector<char> questions(65536);
  for (;;) {
    const ssize_t got = ::read(fd, questions.data(), questions.size());
    if (got <= 0) std::_Exit(0);
    WriteAll(fd, {questions.data(), static_cast<size_t>(got)});
  }
}

struct Frame {
  uint32_t connection;
  uint32_t octets;
};

// Appends all messages that are there, syncs once, and tells the connections they came from.
[[noreturn]] void RunStore(int fd, const char* path) {
  const int file = ::open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) Fail(path);
  std::vector<char> input(4 * kPipeOctets);
  size_t filled = 0;
  off_t end = 0;
  for (;;) {
    const ssize_t got = ::read(fd, input.data() + filled, input.size() - filled);
    if (got <= 0) std::_Exit(0);
    filled += static_cast<size_t>(got);
    std::string stored;
    size_t at = 0;
    for (Frame frame; filled - at >= sizeof frame; at += sizeof frame + frame.octets) {
      std::memcpy(&frame, input.data() + at, sizeof frame);
      if (filled - at - sizeof frame < frame.octets) break;
      stored.append(reinterpret_cast<const char*>(&frame.connection), sizeof frame.connection);
    }
    if (at == 0) continue;
    if (::pwrite(file, input.data(), at, end) != static_cast<ssize_t>(at)) Fail("pwrite");
    if (::fdatasync(file) != 0) Fail("fdatasync");
    end += static_cast<off_t>(at);
    std::memmove(input.data(), input.data() + at, filled - at);
    filled -= at;
    WriteAll(fd, stored);
  }
}

// --- the front

enum class From : uint8_t { kListener, kClient, kPolicy, kStore, kNothing };

class Front {
 public:
  Front(int listener, int policy, int store);
  [[noreturn]] void Run();

 private:
  struct Client {
    std::string input;
    bool in_content = false;
  };

  struct Pipe {
    int fd = -1;
    std::string gathered, under_way;
    bool sending = false;
    std::string partial;  // of an answer
  };

  io_uring_sqe* Next();
  void Accept();
  void Receive(From from, int fd);
  void Reply(int fd, std::string_view literal);  // whose bytes stay until they are sent
  void Flush(From from, Pipe& pipe);
  void OnCompletion(const io_uring_cqe& cqe);
  void OnBytes(From from, int fd, std::string_view bytes);
  void OnAnswers(Pipe& pipe, std::string_view bytes, std::string_view reply);
  void Read(int fd, Client& client);
  void OnLine(int fd, Client& client, std::string_view line);
  void TakeContent(int fd, Client& client);

  io_uring ring_{};
  io_uring_buf_ring* buffers_ = nullptr;
  char* memory_ = nullptr;
  const int listener_;
  Pipe policy_, store_;
  std::unordered_map<int, Client> clients_;
};

uint64_t Tag(From from, int fd) {
  return uint64_t{static_cast<uint8_t>(from)} << 32 | static_cast<uint32_t>(fd);
}

Front::Front(int listener, int policy, int store) : listener_(listener) {
  policy_.fd = policy;
  store_.fd = store;
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  params.cq_entries = 8192;
  if (io_uring_queue_init_params(1024, &ring_, &params) < 0) Fail("io_uring");
  memory_ = static_cast<char*>(::mmap(nullptr, kBuffers * kBufferOctets, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  void* entries = ::mmap(nullptr, kBuffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED || entries == MAP_FAILED) Fail("mmap");
  buffers_ = static_cast<io_uring_buf_ring*>(entries);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uint64_t>(entries);
  registration.ring_entries = kBuffers;
  if (io_uring_register_buf_ring(&ring_, &registration, 0) != 0) Fail("provided buffers");
  for (uint32_t id = 0; id < kBuffers; ++id) {
    io_uring_buf_ring_add(buffers_, memory_ + id * kBufferOctets, kBufferOctets,
                          static_cast<uint16_t>(id), io_uring_buf_ring_mask(kBuffers),
                          static_cast<int>(id));
  }
  io_uring_buf_ring_advance(buffers_, kBuffers);
  Accept();
  Receive(From::kPolicy, policy);
  Receive(From::kStore, store);
}

io_uring_sqe* Front::Next() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe != nullptr) return sqe;
  io_uring_submit(&ring_);
  sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) Fail("the submission queue is full");
  return sqe;
}

void Front::Accept() {
  io_uring_sqe* sqe = Next();
  io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(sqe, Tag(From::kListener, listener_));
}

void Front::Receive(From from, int fd) {
  io_uring_sqe* sqe = Next();
  io_uring_prep_recv_multishot(sqe, fd, nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  io_uring_sqe_set_data64(sqe, Tag(from, fd));
}

void Front::Reply(int fd, std::string_view literal) {
  io_uring_sqe* sqe = Next();
  io_uring_prep_send(sqe, fd, literal.data(), literal.size(), MSG_NOSIGNAL);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, Tag(From::kNothing, fd));
}

// One send a turn for all that gathered.
void Front::Flush(From from, Pipe& pipe) {
  if (pipe.sending || pipe.gathered.empty()) return;
  pipe.under_way.swap(pipe.gathered);
  pipe.gathered.clear();
  pipe.sending = true;
  io_uring_sqe* sqe = Next();
  io_uring_prep_send(sqe, pipe.fd, pipe.under_way.data(), pipe.under_way.size(),
                     MSG_NOSIGNAL | MSG_WAITALL);
  io_uring_sqe_set_data64(sqe, Tag(from, -1));
}

void Front::OnAnswers(Pipe& pipe, std::string_view bytes, std::string_view reply) {
  pipe.partial.append(bytes);
  size_t at = 0;
  for (uint32_t connection; pipe.partial.size() - at >= sizeof connection;
       at += sizeof connection) {
    std::memcpy(&connection, pipe.partial.data() + at, sizeof connection);
    Reply(static_cast<int>(connection), reply);
  }
  pipe.partial.erase(0, at);
}

void Front::OnLine(int fd, Client& client, std::string_view line) {
  if (line.starts_with("RCPT")) {
    const auto connection = static_cast<uint32_t>(fd);
    policy_.gathered.append(reinterpret_cast<const char*>(&connection), sizeof connection);
  } else if (line.starts_with("DATA")) {
    client.in_content = true;
    Reply(fd, "354 go on\r\n");
  } else if (line.starts_with("QUIT")) {
    Reply(fd, "221 bye\r\n");
  } else {
    Reply(fd, "250 ok\r\n");
  }
}

void Front::TakeContent(int fd, Client& client) {
  const size_t end = client.input.find("\r\n.\r\n");
  if (end == std::string::npos) return;
  const Frame frame{.connection = static_cast<uint32_t>(fd),
                    .octets = static_cast<uint32_t>(end + 2)};
  store_.gathered.append(reinterpret_cast<const char*>(&frame), sizeof frame);
  store_.gathered.append(client.input, 0, end + 2);
  client.input.erase(0, end + 5);
  client.in_content = false;
}

void Front::Read(int fd, Client& client) {
  while (!client.input.empty()) {
    if (client.in_content) {
      const size_t before = client.input.size();
      TakeContent(fd, client);
      if (client.input.size() == before) return;
      continue;
    }
    const size_t end = client.input.find("\r\n");
    if (end == std::string::npos) return;
    const std::string line = client.input.substr(0, end);
    client.input.erase(0, end + 2);
    OnLine(fd, client, line);
  }
}

void Front::OnBytes(From from, int fd, std::string_view bytes) {
  if (from == From::kPolicy) {
    OnAnswers(policy_, bytes, "250 ok\r\n");
  } else if (from == From::kStore) {
    OnAnswers(store_, bytes, "250 stored\r\n");
  } else {
    Client& client = clients_[fd];
    client.input.append(bytes);
    Read(fd, client);
  }
}

void Front::OnCompletion(const io_uring_cqe& cqe) {
  const auto from = static_cast<From>(cqe.user_data >> 32);
  const int fd = static_cast<int>(cqe.user_data & 0xFFFFFFFF);
  const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
  if (from == From::kNothing) return;
  if (from == From::kListener) {
    if (cqe.res >= 0) {
      clients_[cqe.res] = {};
      Reply(cqe.res, "220 limit model\r\n");
      Receive(From::kClient, cqe.res);
    }
    if (!more) Accept();
    return;
  }
  if (fd == -1) {
    (from == From::kPolicy ? policy_ : store_).sending = false;
    return;
  }
  if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
    const uint32_t id = cqe.flags >> IORING_CQE_BUFFER_SHIFT;
    char* buffer = memory_ + id * kBufferOctets;
    if (cqe.res > 0) OnBytes(from, fd, {buffer, static_cast<size_t>(cqe.res)});
    io_uring_buf_ring_add(buffers_, buffer, kBufferOctets, static_cast<uint16_t>(id),
                          io_uring_buf_ring_mask(kBuffers), 0);
    io_uring_buf_ring_advance(buffers_, 1);
  }
  if (cqe.res > 0 || cqe.res == -ENOBUFS) {
    if (!more) Receive(from, fd);
    return;
  }
  if (from != From::kClient) std::_Exit(1);
  clients_.erase(fd);
  io_uring_sqe* sqe = Next();
  io_uring_prep_close(sqe, fd);
  io_uring_sqe_set_data64(sqe, Tag(From::kNothing, fd));
}

void Front::Run() {
  for (;;) {
    Flush(From::kPolicy, policy_);
    Flush(From::kStore, store_);
    if (io_uring_submit_and_wait(&ring_, 1) < 0) Fail("io_uring_enter");
    unsigned head;
    unsigned seen = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      OnCompletion(*cqe);
      ++seen;
    }
    io_uring_cq_advance(&ring_, seen);
  }
}

int Listen(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Fail("bind");
  if (::listen(fd, 1024) != 0) Fail("listen");
  return fd;
}

// The near end of a pair whose far end a child works at.
template <class Work>
int Start(Work work) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) Fail("socketpair");
  for (const int end : ends) {
    const int octets = kPipeOctets;
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &octets, sizeof octets);
  }
  const pid_t pid = ::fork();
  if (pid < 0) Fail("fork");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(ends[0]);
    work(ends[1]);
  }
  ::close(ends[1]);
  return ends[0];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: limit_model PORT FILE\n");
    return 2;
  }
  const int listener = Listen(static_cast<uint16_t>(std::atoi(argv[1])));
  const int policy = Start([](int fd) { RunPolicy(fd); });
  const int store = Start([argv](int fd) { RunStore(fd, argv[2]); });
  std::puts("ready");
  std::fflush(stdout);
  Front(listener, policy, store).Run();
}

#include "daemons/resolvd/exchange.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>

#include "common/base/check.h"
#include "common/dns/limits.h"
#include "common/dns/wire.h"
#include "common/io/socket.h"
#include "daemons/resolvd/limits.h"

namespace postern::resolvd {
namespace {

// The id and a bit for each letter of the longest name.
using RandomOctets = std::array<char, 2 + dns::kMaxNameOctets / 8 + 1>;

// A socket that the loop closes, in its order.
class LoopSocket {
 public:
  LoopSocket(io::Loop& loop, int family, int type)
      : loop_(loop), fd_(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)), error_(errno) {}
  LoopSocket(const LoopSocket&) = delete;
  ~LoopSocket() {
    if (fd_ >= 0) loop_.Close(fd_);
  }
  int fd() const { return fd_; }
  absl::Status status() const {
    return fd_ >= 0 ? absl::OkStatus() : ErrnoStatus(error_, "socket for a question");
  }

 private:
  io::Loop& loop_;
  int fd_;
  int error_;
};

int FamilyOf(const SocketAddress& server) { return server.ip.is_v6() ? AF_INET6 : AF_INET; }

// One question as it is on its way.
struct Asked {
  uint16_t id = 0;
  dns::Question question;
  std::string packet;
};

Asked Ask(const dns::Name& name, dns::Type type, const ExchangeOptions& options) {
  RandomOctets random;
  CHECK(::getrandom(random.data(), random.size(), 0) == static_cast<ssize_t>(random.size()));
  const std::string_view octets(random.data(), random.size());
  Asked asked;
  asked.id = dns::Load16(octets, 0);
  asked.question.name =
      options.randomise_case ? dns::RandomiseCase(name, octets.substr(2)) : name.Lower();
  asked.question.type = type;
  asked.packet =
      dns::BuildQuery(asked.question.name, type,
                      {.id = asked.id, .edns = options.edns, .want_ad = options.want_ad});
  return asked;
}

absl::Status OperationStatus(int result, std::string_view what, const SocketAddress& server) {
  if (result == -ETIME)
    return DeadlineExceeded(what, " ", server.ToString(), ": no answer in time");
  return ErrnoStatus(-result, what, " ", server.ToString());
}

absl::StatusOr<dns::Message> Read(std::string_view packet, const SocketAddress& server) {
  Parsed<dns::Message> message = dns::ParseMessage(packet);
  if (!message.has_value()) {
    return DataLoss("answer of ", server.ToString(), ": ", message.error().reason, " (octet ",
                    message.error().offset, ")");
  }
  return *std::move(message);
}

// Sends or receives all of `octets` at `buffer`.
io::Task<absl::Status> TransferAll(io::Loop& loop, io::OpCode code, int fd, char* buffer,
                                   size_t octets, const SocketAddress& server, io::Deadline until) {
  while (octets > 0) {
    io::OperationAwaiter transfer(loop, code, until);
    transfer.fd = fd;
    transfer.buffer = buffer;
    transfer.length = static_cast<uint32_t>(octets);
    const int result = co_await transfer;
    if (result < 0) co_return OperationStatus(result, "ask over TCP", server);
    if (result == 0) co_return Unavailable("ask over TCP ", server.ToString(), ": it hung up");
    buffer += result;
    octets -= static_cast<size_t>(result);
  }
  co_return absl::OkStatus();
}

io::Task<absl::StatusOr<dns::Message>> ExchangeTcp(io::Loop& loop, const SocketAddress& server,
                                                   Asked asked, io::Deadline until) {
  LoopSocket socket(loop, FamilyOf(server), SOCK_STREAM);
  CO_RETURN_IF_ERROR(socket.status());
  CO_RETURN_IF_ERROR(co_await io::Connect(loop, socket.fd(), server, until));
  std::string framed;  // RFC 1035 §4.2.2
  dns::Append16(framed, static_cast<uint16_t>(asked.packet.size()));
  framed += asked.packet;
  CO_RETURN_IF_ERROR(co_await TransferAll(loop, io::OpCode::kSend, socket.fd(), framed.data(),
                                          framed.size(), server, until));
  char length[2];
  CO_RETURN_IF_ERROR(co_await TransferAll(loop, io::OpCode::kReceive, socket.fd(), length,
                                          sizeof length, server, until));
  std::string packet(dns::Load16({length, sizeof length}, 0), '\0');
  CO_RETURN_IF_ERROR(co_await TransferAll(loop, io::OpCode::kReceive, socket.fd(), packet.data(),
                                          packet.size(), server, until));
  CO_ASSIGN_OR_RETURN(dns::Message message, Read(packet, server));
  // Nobody from outside can write into the connection: the case does not matter here.
  if (dns::MatchResponse(message, asked.id, asked.question) == dns::Match::kNo)
    co_return DataLoss("answer of ", server.ToString(), " over TCP: it answers another question");
  co_return message;
}

// What a packet means for a question over UDP.
enum class Packet { kAnswer, kAskOverTcp, kIgnore };

Packet Judge(std::string_view bytes, const Asked& asked) {
  const Parsed<dns::Message> head = dns::ParseHead(bytes);
  if (!head.has_value()) return Packet::kIgnore;
  // FORMERR may come without the question (RFC 1035 leaves it open): the id has to do then.
  if (head->header.response && head->header.id == asked.id && !head->question.has_value() &&
      head->header.rcode == dns::Rcode::kFormatError) {
    return Packet::kAnswer;
  }
  switch (dns::MatchResponse(*head, asked.id, asked.question)) {
    case dns::Match::kNo:
      return Packet::kIgnore;
    case dns::Match::kCaseDiffers:
      return Packet::kAskOverTcp;
    case dns::Match::kYes:
      break;
  }
  return head->header.truncated ? Packet::kAskOverTcp : Packet::kAnswer;
}

}  // namespace

io::Task<absl::StatusOr<dns::Message>> Exchange(io::Loop& loop, const SocketAddress& server,
                                                const dns::Name& name, dns::Type type,
                                                ExchangeOptions options, io::Deadline until) {
  Asked asked = Ask(name, type, options);
  {
    LoopSocket socket(loop, FamilyOf(server), SOCK_DGRAM);
    CO_RETURN_IF_ERROR(socket.status());
    sockaddr_storage storage;
    const socklen_t length = server.ToSockaddr(storage);
    if (::connect(socket.fd(), reinterpret_cast<sockaddr*>(&storage), length) < 0)
      co_return ErrnoStatus(errno, "ask ", server.ToString());
    io::OperationAwaiter send(loop, io::OpCode::kSend, until);
    send.fd = socket.fd();
    send.buffer = asked.packet.data();
    send.length = static_cast<uint32_t>(asked.packet.size());
    if (const int sent = co_await send; sent < 0) co_return OperationStatus(sent, "ask", server);
    std::array<char, dns::kUdpPayloadOctets> buffer;
    for (int strays = 0;; ++strays) {
      if (strays > kMaxStrayPackets)
        co_return Unavailable("ask ", server.ToString(), ": too many packets that are no answer");
      io::OperationAwaiter receive(loop, io::OpCode::kReceive, until);
      receive.fd = socket.fd();
      receive.buffer = buffer.data();
      receive.length = buffer.size();
      const int result = co_await receive;
      if (result < 0) co_return OperationStatus(result, "ask", server);
      const std::string_view packet(buffer.data(), static_cast<size_t>(result));
      const Packet verdict = Judge(packet, asked);
      if (verdict == Packet::kIgnore) continue;
      if (verdict == Packet::kAnswer) co_return Read(packet, server);
      break;
    }
  }
  const io::Deadline tcp_until = std::min(until + kTcpTimeout, loop.After(kTcpTimeout));
  co_return co_await ExchangeTcp(loop, server, std::move(asked), tcp_until);
}

}  // namespace postern::resolvd

// tests/daemons/resolvd/scripted_server.h — a name server whose every answer a test writes, on a
// free loopback port, UDP and TCP, in a thread of its own.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/ip.h"
#include "common/base/unique_fd.h"
#include "common/dns/message.h"
#include "common/dns/wire.h"

namespace postern::resolvd::test {

struct Packet {
  std::string octets;
  bool from_elsewhere = false;  // UDP: from another port than the one that was asked
};

class ScriptedServer {
 public:
  // Called in the server's thread, one question after the other.
  using Script = std::function<std::vector<Packet>(const dns::Message& question, bool tcp)>;

  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address_;
    // A port that is free for UDP and TCP alike.
    for (int tries = 0; tries < 50; ++tries) {
      tcp_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      CHECK(::bind(tcp_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
      CHECK(::getsockname(tcp_.get(), reinterpret_cast<sockaddr*>(&address_), &length) == 0);
      CHECK(::listen(tcp_.get(), 8) == 0);
      udp_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (::bind(udp_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof address_) == 0) break;
    }
    elsewhere_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(::bind(elsewhere_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stop_) == 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~ScriptedServer() {
    ::close(stop_[0]);
    thread_.join();
    ::close(stop_[1]);
  }
  ScriptedServer(const ScriptedServer&) = delete;

  SocketAddress address() const {
    return {.ip = IpAddress::V4(INADDR_LOOPBACK), .port = ntohs(address_.sin_port)};
  }
  int udp_questions() const { return udp_questions_; }
  int tcp_questions() const { return tcp_questions_; }

 private:
  void Run() {
    for (;;) {
      pollfd ready[] = {{.fd = stop_[1], .events = POLLIN, .revents = 0},
                        {.fd = udp_.get(), .events = POLLIN, .revents = 0},
                        {.fd = tcp_.get(), .events = POLLIN, .revents = 0}};
      if (::poll(ready, 3, -1) < 0) continue;
      if (ready[0].revents != 0) return;
      if (ready[1].revents != 0) AnswerUdp();
      if (ready[2].revents != 0) AnswerTcp();
    }
  }
  void AnswerUdp() {
    char buffer[2048];
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    const ssize_t got = ::recvfrom(udp_.get(), buffer, sizeof buffer, 0,
                                   reinterpret_cast<sockaddr*>(&peer), &length);
    if (got <= 0) return;
    ++udp_questions_;
    const auto question = dns::ParseMessage({buffer, static_cast<size_t>(got)});
    CHECK(question.has_value());
    for (const Packet& packet : script_(*question, false)) {
      const int from = packet.from_elsewhere ? elsewhere_.get() : udp_.get();
      CHECK(::sendto(from, packet.octets.data(), packet.octets.size(), 0,
                     reinterpret_cast<sockaddr*>(&peer), length) >= 0);
    }
  }
  void AnswerTcp() {
    const UniqueFd peer(::accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::string buffer(2, '\0');
    if (::recv(peer.get(), buffer.data(), 2, MSG_WAITALL) != 2) return;
    buffer.resize(dns::Load16(buffer, 0));
    const ssize_t wanted = static_cast<ssize_t>(buffer.size());
    if (::recv(peer.get(), buffer.data(), buffer.size(), MSG_WAITALL) != wanted) return;
    ++tcp_questions_;
    const auto question = dns::ParseMessage(buffer);
    CHECK(question.has_value());
    for (const Packet& packet : script_(*question, true)) {
      std::string framed;
      dns::Append16(framed, static_cast<uint16_t>(packet.octets.size()));
      framed += packet.octets;
      // Octet by octet at first: the reader must put it together.
      for (size_t i = 0; i < framed.size();) {
        const size_t piece = i < 20 ? 1 : framed.size() - i;
        if (::send(peer.get(), framed.data() + i, piece, MSG_NOSIGNAL) < 0) return;
        i += piece;
      }
    }
  }

  Script script_;
  UniqueFd udp_, tcp_, elsewhere_;
  sockaddr_in address_{};
  int stop_[2];
  std::atomic<int> udp_questions_ = 0;
  std::atomic<int> tcp_questions_ = 0;
  std::thread thread_;
};

// The beginning of an answer: id and question are those asked.
inline dns::Message Reply(const dns::Message& question, dns::Rcode rcode = dns::Rcode::kNoError) {
  dns::Message reply;
  reply.header.id = question.header.id;
  reply.header.response = true;
  reply.header.recursion_desired = question.header.recursion_desired;
  reply.header.recursion_available = true;
  reply.header.rcode = rcode;
  reply.question = question.question;
  reply.edns = question.edns;
  return reply;
}
inline std::vector<Packet> Send(const dns::Message& message) { return {{dns::Encode(message)}}; }

}  // namespace postern::resolvd::test

// Mode unbound against real name servers: nsd serves a signed zone, one whose signatures were
// spoilt, and one without; unbound validates for mode system. Skipped where they are not installed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "common/base/unique_fd.h"
#include "common/io/event.h"
#include "daemons/resolvd/exchange.h"
#include "daemons/resolvd/system_resolver.h"
#include "daemons/resolvd/unbound_resolver.h"
#include "tests/common/dns/builder.h"
#include "tests/daemons/resolvd/on_loop.h"

namespace postern::resolvd {
namespace {

namespace fs = std::filesystem;

using dns::Answer;
using dns::Security;
using dns::Status;
using dns::Type;
using dns::test::N;
using testing::HasSubstr;

constexpr char kNsd[] = "/usr/sbin/nsd";
constexpr char kUnbound[] = "/usr/sbin/unbound";
constexpr char kKeygen[] = "/usr/bin/ldns-keygen";
constexpr char kSign[] = "/usr/bin/ldns-signzone";

constexpr std::string_view kRecords =
    "@ SOA ns admin 1 3600 600 86400 60\n"
    "@ NS ns\n"
    "@ MX 10 good\n"
    "ns A 127.0.0.1\n"
    "good A 192.0.2.1\n"
    "bad A 192.0.2.66\n"
    "alias CNAME good\n"
    "_25._tcp.good TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
    "text TXT \"v=spf1 \" \"-all\"\n";

// A process of another's, ended by its id.
class Peer {
 public:
  Peer(std::vector<std::string> arguments, const fs::path& directory, const fs::path& output) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                       0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    ::posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
    if (::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) pid_ = -1;
    ::posix_spawn_file_actions_destroy(&actions);
  }
  ~Peer() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    Wait();
  }
  Peer(const Peer&) = delete;
  // Its exit status; -1 if there is none.
  int Wait() {
    int status = 0;
    if (pid_ <= 0 || ::waitpid(std::exchange(pid_, -1), &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = -1;
};

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}
void WriteFile(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

// A port that is free for UDP and TCP now.
uint16_t FreePort() {
  for (;;) {
    const UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const UniqueFd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    socklen_t length = SocketAddress{.ip = IpAddress::V4(INADDR_LOOPBACK)}.ToSockaddr(storage);
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    if (::bind(tcp.get(), address, length) != 0) continue;
    length = sizeof storage;
    ::getsockname(tcp.get(), address, &length);
    if (::bind(udp.get(), address, length) == 0) return SocketAddress::From(storage).port;
  }
}

class SignedZoneTest : public test::OnLoop {
 protected:
  void SetUp() override {
    OnLoop::SetUp();
    if (IsSkipped()) return;
    for (const char* program : {kNsd, kUnbound, kKeygen, kSign}) {
      if (!fs::exists(program)) GTEST_SKIP() << program << " is not installed";
    }
    std::string pattern = (fs::temp_directory_path() / "resolvd-zones-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    fs::permissions(directory_, fs::perms::all);  // a server may give up being root
    ASSERT_NO_FATAL_FAILURE(MakeZones());
    ASSERT_NO_FATAL_FAILURE(StartNsd());
  }
  void TearDown() override {
    validator_.reset();
    nsd_.reset();
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  int RunProgram(std::vector<std::string> arguments) {
    return Peer(std::move(arguments), directory_, directory_ / "output").Wait();
  }

  void MakeZones() {
    for (const char* zone : {"signed.example", "plain.example"}) {
      WriteFile(directory_ / (std::string(zone) + ".zone"),
                StrCat("$ORIGIN ", zone, ".\n$TTL 300\n", kRecords));
    }
    ASSERT_EQ(RunProgram({kKeygen, "-a", "ECDSAP256SHA256", "-k", "signed.example"}), 0);
    std::string key = ReadFile(directory_ / "output");
    key = key.substr(0, key.find('\n'));
    fs::rename(directory_ / (key + ".ds"), directory_ / "anchor");
    ASSERT_EQ(RunProgram({kSign, "signed.example.zone", key}), 0)
        << ReadFile(directory_ / "output");
    // One address is not the one that was signed.
    std::string zone = ReadFile(directory_ / "signed.example.zone.signed");
    const size_t at = zone.find("192.0.2.66");
    ASSERT_NE(at, std::string::npos);
    zone.replace(at, 10, "192.0.2.67");
    WriteFile(directory_ / "signed.example.zone.signed", zone);
  }

  void StartNsd() {
    nsd_address_ = {.ip = IpAddress::V4(INADDR_LOOPBACK), .port = FreePort()};
    const std::string directory = directory_.string();
    WriteFile(directory_ / "nsd.conf",
              StrCat("server:\n ip-address: 127.0.0.1@", nsd_address_.port,
                     "\n username: \"\"\n chroot: \"\"\n server-count: 1\n zonesdir: \"", directory,
                     "\"\n pidfile: \"\"\n database: \"\"\n xfrdir: \"", directory,
                     "\"\n xfrdfile: \"\"\n zonelistfile: \"", directory,
                     "/zones\"\nremote-control:\n control-enable: no\n"
                     "zone:\n name: signed.example\n zonefile: signed.example.zone.signed\n"
                     "zone:\n name: plain.example\n zonefile: plain.example.zone\n"));
    nsd_.emplace(std::vector<std::string>{kNsd, "-d", "-c", directory + "/nsd.conf"}, directory_,
                 directory_ / "nsd.log");
    ASSERT_TRUE(Answers(nsd_address_, "good.plain.example")) << ReadFile(directory_ / "nsd.log");
  }

  void StartValidator() {
    validator_address_ = {.ip = IpAddress::V4(INADDR_LOOPBACK), .port = FreePort()};
    const std::string directory = directory_.string();
    WriteFile(directory_ / "unbound.conf",
              StrCat("server:\n interface: 127.0.0.1@", validator_address_.port,
                     "\n username: \"\"\n chroot: \"\"\n directory: \"", directory,
                     "\"\n pidfile: \"\"\n use-syslog: no\n do-not-query-localhost: no\n"
                     " trust-anchor-file: \"",
                     directory,
                     "/anchor\"\n"
                     "remote-control:\n control-enable: no\nforward-zone:\n name: \".\"\n"
                     " forward-addr: 127.0.0.1@",
                     nsd_address_.port, "\n"));
    validator_.emplace(std::vector<std::string>{kUnbound, "-d", "-c", directory + "/unbound.conf"},
                       directory_, directory_ / "unbound.log");
    ASSERT_TRUE(Answers(validator_address_, "good.plain.example"))
        << ReadFile(directory_ / "unbound.log");
  }

  // Asks until the server, which is still starting, says something; 20 s at most.
  bool Answers(const SocketAddress& server, std::string_view name) {
    bool answered = false;
    const auto ask = [](io::Loop& loop, SocketAddress address, dns::Name question,
                        bool& done) -> io::Task<absl::Status> {
      const io::Deadline until = loop.After(absl::Seconds(20));
      while (!done && loop.Now() < until) {
        const auto reply = co_await Exchange(loop, address, question, Type::kA, {},
                                             loop.After(absl::Milliseconds(200)));
        done = reply.ok();
        const io::Deadline pause = loop.After(absl::Milliseconds(20));
        if (!done) CO_RETURN_IF_ERROR(co_await io::Sleep(pause));
      }
      co_return absl::OkStatus();
    };
    Run(ask(*loop_, server, N(name), answered));
    return answered;
  }

  Answer Ask(Resolver& resolver, std::string_view name, Type type = Type::kA) {
    Answer answer;
    const auto ask = [](Resolver& whom, dns::Name question, Type of, io::Deadline until,
                        Answer& into) -> io::Task<absl::Status> {
      into = co_await whom.Lookup(question, of, until);
      co_return absl::OkStatus();
    };
    Run(ask(resolver, N(name), type, loop_->After(absl::Seconds(20)), answer));
    return answer;
  }

  std::unique_ptr<UnboundResolver> Validator(std::vector<std::string> insecure = {}) {
    auto made = UnboundResolver::Create({.servers = {nsd_address_},
                                         .trust_anchor = (directory_ / "anchor").string(),
                                         .insecure_domains = std::move(insecure)});
    EXPECT_TRUE(made.ok()) << made.status();
    (*made)->Attach(*loop_);
    return *std::move(made);
  }

  fs::path directory_;
  SocketAddress nsd_address_, validator_address_;
  std::optional<Peer> nsd_, validator_;
};
INSTANTIATE_TEST_SUITE_P(Io, SignedZoneTest, test::Backends(), test::BackendName);

TEST_P(SignedZoneTest, ASignedZoneIsSecureInAllItSays) {
  const auto resolver = Validator();
  const struct {
    const char* name;
    Type type;
    Status status;
  } rows[] = {{"good.signed.example", Type::kA, Status::kFound},
              {"signed.example", Type::kMx, Status::kFound},
              {"alias.signed.example", Type::kA, Status::kFound},
              {"_25._tcp.good.signed.example", Type::kTlsa, Status::kFound},
              {"text.signed.example", Type::kTxt, Status::kFound},
              {"good.signed.example", Type::kMx, Status::kNoData},
              {"nobody.signed.example", Type::kA, Status::kNxDomain}};
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string(row.name) + " " + dns::TypeName(row.type));
    const Answer answer = Ask(*resolver, row.name, row.type);
    EXPECT_EQ(answer.status, row.status) << answer.reason;
    EXPECT_EQ(answer.security, Security::kSecure);
  }
}

TEST_P(SignedZoneTest, ASpoiltSignatureIsATemporaryFailureThatSaysWhy) {
  const auto resolver = Validator();
  const Answer answer = Ask(*resolver, "bad.signed.example");
  EXPECT_EQ(answer.status, Status::kTemporaryFailure);
  EXPECT_EQ(answer.security, Security::kBogus);
  EXPECT_TRUE(answer.records.empty());
  EXPECT_THAT(answer.reason, HasSubstr("DNSSEC: "));
  EXPECT_THAT(answer.reason, HasSubstr("bad.signed.example"));
}

TEST_P(SignedZoneTest, AnUnsignedZoneIsInsecure) {
  const auto resolver = Validator();
  const Answer answer = Ask(*resolver, "good.plain.example");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(answer.security, Security::kInsecure);
}

TEST_P(SignedZoneTest, ADomainSetInsecureIsTakenUnsigned) {
  // Below the trust anchor: at its own name the anchor wins.
  const auto resolver = Validator({"bad.signed.example"});
  const Answer answer = Ask(*resolver, "bad.signed.example");
  EXPECT_EQ(answer.status, Status::kFound) << answer.reason;
  EXPECT_EQ(answer.security, Security::kInsecure);
  EXPECT_EQ(Ask(*resolver, "good.signed.example").security, Security::kSecure);
}

TEST_P(SignedZoneTest, TheStubTakesTheVerdictOfAValidatorOnLoopback) {
  ASSERT_NO_FATAL_FAILURE(StartValidator());
  SystemResolver resolver(*loop_, {.servers = {validator_address_}});
  const Answer good = Ask(resolver, "good.signed.example");
  EXPECT_EQ(good.status, Status::kFound) << good.reason;
  EXPECT_EQ(good.security, Security::kSecure);
  EXPECT_EQ(Ask(resolver, "good.plain.example").security, Security::kInsecure);
  const Answer bad = Ask(resolver, "bad.signed.example");
  EXPECT_EQ(bad.status, Status::kTemporaryFailure);
  EXPECT_THAT(bad.reason, HasSubstr("SERVFAIL"));
}

}  // namespace
}  // namespace postern::resolvd

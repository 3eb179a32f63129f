#include "tests/simulation/network.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace postern::simulation {
namespace {

constexpr absl::Duration kServerPatience = absl::Minutes(5);

int64_t NowUs() { return io::Loop::Current().Now().nanoseconds() / 1000; }

// "RCPT TO:<a@b> NOTIFY=..." -> "a@b".
std::string PathOf(std::string_view line) {
  const size_t open = line.find('<');
  const size_t close = line.find('>', open);
  if (open == line.npos || close == line.npos) return "";
  return std::string(line.substr(open + 1, close - open - 1));
}

std::optional<uint64_t> NumberIn(std::string_view content) {
  static constexpr std::string_view kField = "X-Letter: ";
  const size_t at = content.find(kField);
  if (at == content.npos) return std::nullopt;
  uint64_t id = 0;
  std::from_chars(content.data() + at + kField.size(), content.data() + content.size(), id);
  return id;
}

}  // namespace

// One connection, from the host's side.
struct Network::Server {
  std::unique_ptr<test::MemoryStream> stream;
  std::shared_ptr<Alive> client;
  Mood mood = Mood::kWell;
  std::string unread;
  std::vector<std::string> recipients;  // of the message under way
  std::string content;                  // in chunks
  bool offers_pipelining = false;
  bool offers_chunking = false;

  io::Deadline Patience() const { return io::Loop::Current().After(kServerPatience); }
  io::Task<absl::Status> More() {
    CO_ASSIGN_OR_RETURN(const std::string_view bytes, co_await stream->Receive(Patience()));
    if (bytes.empty()) co_return Unavailable("closed");
    unread += bytes;
    stream->Consume(bytes.size());
    co_return absl::OkStatus();
  }
  io::Task<absl::StatusOr<std::string>> Until(std::string end) {
    size_t at;
    while ((at = unread.find(end)) == unread.npos) CO_RETURN_IF_ERROR(co_await More());
    std::string text = unread.substr(0, at);
    unread.erase(0, at + end.size());
    co_return std::move(text);
  }
  io::Task<absl::StatusOr<std::string>> Octets(size_t octets) {
    while (unread.size() < octets) CO_RETURN_IF_ERROR(co_await More());
    std::string text = unread.substr(0, octets);
    unread.erase(0, octets);
    co_return std::move(text);
  }
  io::Task<absl::Status> Say(std::string line) {
    line += "\r\n";
    co_return co_await stream->Send(line, Patience());
  }

  // Whether the connection goes on.
  io::Task<absl::Status> Talk(Chance& chance, Record& record);
  io::Task<absl::Status> OnLine(std::string line, Chance& chance, Record& record);
  io::Task<absl::Status> OnChunk(std::string line, Chance& chance, Record& record);
  io::Task<absl::Status> OnContent(std::string whole, Chance& chance, Record& record);
  std::string OnRecipient(const std::string& address, Chance& chance, Record& record);
  void Deliver(const std::string& whole, Record& record) const;
};

Network::Network(Chance& chance, Record& record) : chance_(chance), record_(record) {
  for (auto& host : moods_) {
    for (Mood& mood : host) {
      static constexpr Mood kDrawn[] = {Mood::kWell, Mood::kWell,   Mood::kMoody,
                                        Mood::kAway, Mood::kSilent, Mood::kBusy};
      mood = kDrawn[chance.Below(std::size(kDrawn))];
    }
  }
  // One is away for good, until all is calm: what goes there may get too old.
  if (chance.OneIn(2)) std::fill(std::begin(moods_[0]), std::end(moods_[0]), Mood::kAway);
}

Network::~Network() = default;

Network::Mood Network::MoodOf(uint64_t host, int64_t now_us) const {
  if (now_us >= calm_from_us_) return Mood::kWell;
  return moods_[host][static_cast<uint64_t>(now_us / kMoodUs) % kMoods];
}

io::Task<absl::StatusOr<std::unique_ptr<smtpc::Connection>>> Network::Connect(
    io::Loop& loop, std::string domain, std::shared_ptr<Alive> client) {
  const uint64_t host = static_cast<uint64_t>(domain.at(1) - '0');
  const Mood mood = MoodOf(host, NowUs());
  CO_RETURN_IF_ERROR(co_await io::Sleep(loop.After(absl::Milliseconds(1 + chance_.Below(80)))));
  if (mood == Mood::kAway) co_return Unavailable("connect to ", domain, ": refused");
  auto [ours, theirs] = test::MakeMemoryStreams(
      {.max_octets_per_receive = chance_.OneIn(4) ? 1 + chance_.Below(90) : SIZE_MAX,
       .window_octets = 65536});
  auto server = std::make_unique<Server>();
  server->stream = std::move(theirs);
  server->client = std::move(client);
  server->mood = mood;
  server->offers_pipelining = chance_.OneIn(2);
  server->offers_chunking = chance_.OneIn(3);
  servers_.Spawn(Serve(std::move(server)));
  co_return std::make_unique<smtpc::Connection>(loop, std::move(ours), domain, false);
}

io::Task<void> Network::Close() {
  servers_.RequestStop();
  co_await servers_.Join();
}

io::Task<void> Network::Serve(std::unique_ptr<Server> server) {
  if (server->mood == Mood::kSilent) {
    IgnoreStatus((co_await server->Until("never said")).status(), "it listens and says nothing");
    co_return;
  }
  IgnoreStatus(co_await server->Talk(chance_, record_), "its end closes the connection");
}

io::Task<absl::Status> Network::Server::Talk(Chance& chance, Record& record) {
  if (mood == Mood::kBusy) co_return co_await Say("421 4.3.2 later");
  CO_RETURN_IF_ERROR(co_await Say("220 a host"));
  for (;;) {
    CO_ASSIGN_OR_RETURN(std::string line, co_await Until("\r\n"));
    if (line.starts_with("QUIT")) co_return co_await Say("221 2.0.0 bye");
    CO_RETURN_IF_ERROR(co_await OnLine(std::move(line), chance, record));
  }
}

io::Task<absl::Status> Network::Server::OnLine(std::string line, Chance& chance, Record& record) {
  if (line.starts_with("EHLO")) {
    std::string offers = "250-a host\r\n250-8BITMIME\r\n";
    if (offers_pipelining) offers += "250-PIPELINING\r\n";
    if (offers_chunking) offers += "250-CHUNKING\r\n";
    co_return co_await Say(offers + "250 ENHANCEDSTATUSCODES");
  }
  if (line.starts_with("MAIL")) {
    recipients.clear();
    content.clear();
    if (mood == Mood::kMoody && chance.OneIn(8)) co_return co_await Say("452 4.3.1 full");
    co_return co_await Say("250 2.1.0 ok");
  }
  if (line.starts_with("RCPT")) co_return co_await Say(OnRecipient(PathOf(line), chance, record));
  if (line.starts_with("DATA")) {
    if (recipients.empty()) co_return co_await Say("554 5.5.1 no valid recipients");
    CO_RETURN_IF_ERROR(co_await Say("354 go on"));
    if (mood == Mood::kMoody && chance.OneIn(8)) co_return Unavailable("hangs up");
    CO_ASSIGN_OR_RETURN(std::string whole, co_await Until("\r\n.\r\n"));
    co_return co_await OnContent(whole + "\r\n", chance, record);
  }
  if (line.starts_with("BDAT")) co_return co_await OnChunk(std::move(line), chance, record);
  if (line.starts_with("RSET")) recipients.clear();
  co_return co_await Say("250 2.0.0 ok");
}

std::string Network::Server::OnRecipient(const std::string& address, Chance& chance,
                                         Record& record) {
  if (address.starts_with("gone")) {
    if (client->now) {
      for (auto& [id, letter] : record.letters) {
        if (std::ranges::find(letter.recipients, address) != letter.recipients.end())
          letter.refused.insert(address);
      }
    }
    return "550 5.1.1 no such user";
  }
  if (mood == Mood::kMoody && chance.OneIn(3)) return "450 4.7.1 greylisted";
  recipients.push_back(address);
  return "250 2.1.5 ok";
}

io::Task<absl::Status> Network::Server::OnChunk(std::string line, Chance& chance, Record& record) {
  size_t octets = 0;
  std::from_chars(line.data() + 5, line.data() + line.size(), octets);
  CO_ASSIGN_OR_RETURN(const std::string chunk, co_await Octets(octets));
  content += chunk;
  if (recipients.empty()) co_return co_await Say("554 5.5.1 no valid recipients");
  if (line.find("LAST") == line.npos) co_return co_await Say("250 2.0.0 more");
  co_return co_await OnContent(std::exchange(content, {}), chance, record);
}

io::Task<absl::Status> Network::Server::OnContent(std::string whole, Chance& chance,
                                                  Record& record) {
  if (mood == Mood::kMoody && chance.OneIn(6)) co_return co_await Say("451 4.3.0 come again");
  Deliver(whole, record);
  if (mood == Mood::kMoody && chance.OneIn(6)) {
    // The reply is lost: it will come once more.
    if (const auto id = NumberIn(whole); id.has_value()) record.letters[*id].excused = true;
    co_return Unavailable("hangs up");
  }
  recipients.clear();
  co_return co_await Say("250 2.0.0 taken");
}

void Network::Server::Deliver(const std::string& whole, Record& record) const {
  if (!client->now) return;  // who sent it died before
  const std::optional<uint64_t> id = NumberIn(whole);
  const auto found = id.has_value() ? record.letters.find(*id) : record.letters.end();
  if (found == record.letters.end()) return record.Complain("what arrived is no letter");
  Letter& letter = found->second;
  if (!whole.ends_with(letter.content)) record.Complain(StrCat("letter ", *id, " was changed"));
  for (const std::string& recipient : recipients) {
    if (std::ranges::find(letter.recipients, recipient) == letter.recipients.end())
      record.Complain(StrCat("letter ", *id, " was not written to ", recipient));
    ++letter.delivered[recipient];
    record.Note(NowUs(), "delivered", *id, recipient);
  }
}

}  // namespace postern::simulation

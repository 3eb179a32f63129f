#include "common/config/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/config/convert.h"
#include "common/config/setting.h"

namespace postern::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr std::string_view kHead = "hostname = \"mail.example.org\"\n";

std::string Complaints(std::string_view text) {
  std::string all;
  for (const Problem& problem : Parse(text, "p.toml").problems) {
    if (!all.empty()) all += '\n';
    all += problem.ToString();
  }
  return all;
}

Settings Good(std::string_view text, std::string_view file = "/etc/postern/postern.toml",
              std::string_view base = "") {
  const Outcome outcome = Parse(text, file, base);
  EXPECT_TRUE(outcome.ok());
  for (const Problem& problem : outcome.problems) ADD_FAILURE() << problem.ToString();
  return outcome.settings.value_or(Settings());
}

TEST(Parse, AHostnameIsEnoughAndNobodyMayRelay) {
  const Settings settings = Good(kHead);
  EXPECT_EQ(settings.hostname, "mail.example.org");
  EXPECT_THAT(settings.domains, IsEmpty());
  EXPECT_THAT(settings.relay.domains, IsEmpty());
  EXPECT_THAT(settings.relay.networks, IsEmpty());
  EXPECT_EQ(settings.root, "/");
  EXPECT_EQ(settings.smtp.listen.size(), 2u);
  EXPECT_EQ(settings.smtp.max_message_octets, 50u << 20);
  EXPECT_EQ(settings.smtp.max_recipients, 1000);
  EXPECT_EQ(settings.outbound.final_timeout, absl::Minutes(10));
  EXPECT_FALSE(settings.outbound.smarthost.has_value());
  EXPECT_FALSE(settings.outbound.loopback_allowed);
  EXPECT_EQ(settings.queue.lifetime, absl::Hours(120));
  EXPECT_EQ(settings.smtp.bare_newline, BareNewline::kReject);
  EXPECT_EQ(settings.master.uid_base, 0u);
}

TEST(Parse, AnInstalledServerUsesTheSystemsDirectories) {
  const Settings settings = Good(kHead);
  EXPECT_EQ(settings.run_directory, "/run/postern");
  EXPECT_THAT(settings.queue.directories, ElementsAre("/var/spool/postern"));
  EXPECT_EQ(settings.log.file, "/var/log/postern.log");
  EXPECT_EQ(settings.local.mailbox, "{home}/Maildir");
  EXPECT_EQ(settings.smtp.socket, "/run/postern/submit");
}

TEST(Parse, AnInstanceLivesWhollyUnderItsRoot) {
  const Settings settings = Good(std::string(kHead) + "root = \"/srv//pt/./one/\"\n");
  EXPECT_EQ(settings.root, "/srv/pt/one");
  EXPECT_EQ(settings.run_directory, "/srv/pt/one/run/postern");
  EXPECT_THAT(settings.queue.directories, ElementsAre("/srv/pt/one/spool/postern"));
  EXPECT_EQ(settings.log.file, "/srv/pt/one/log/postern.log");
  EXPECT_EQ(settings.local.mailbox, "/srv/pt/one/mail/{user}");
  EXPECT_EQ(settings.smtp.socket, "/srv/pt/one/run/postern/submit");
  EXPECT_EQ(settings.dns.trust_anchor, "/usr/share/dns/root.key");
}

TEST(Parse, ARelativeRootIsTakenFromTheBaseDirectoryOrTheFiles) {
  const std::string text = std::string(kHead) + "root = \"x\"\n";
  EXPECT_EQ(Good(text, "/etc/p.toml").root, "/etc/x");
  EXPECT_EQ(Good(text, "/p.toml").root, "/x");
  EXPECT_EQ(Good(text, "p.toml", "/base/").root, "/base/x");
  EXPECT_EQ(Good(std::string(kHead) + "root = \".\"\n", "p.toml", "/base").root, "/base");
  EXPECT_EQ(Complaints(text),
            "p.toml:2:8: root is a relative path, and the directory of this file is not known "
            "here; write a path that starts with /");
}

TEST(Parse, MboxHasAMailboxDefaultOfItsOwn) {
  EXPECT_EQ(Good(std::string(kHead) + "local.format = \"mbox\"").local.mailbox, "/var/mail/{user}");
  EXPECT_EQ(Good(std::string(kHead) + "root=\"/r\"\nlocal.format = \"mbox\"").local.mailbox,
            "/r/mail/{user}.mbox");
}

TEST(Parse, ReadsEveryKindOfValue) {
  const Settings settings = Good(R"(
hostname = "MAIL.Example.ORG"
domains = ["Example.ORG", "bücher.example"]
io = "epoll"
[smtp]
listen = ["127.0.0.1:2525", "[::1]:2525"]
max_message_octets = "1MiB"
max_header_octets = 8192
greeting_delay = "1m"
require_helo = false
[relay]
domains = ["a.example", ".B.example"]
networks = ["192.0.2.0/24", "2001:db8::/32", "127.0.0.1"]
[outbound]
smarthost = "relay.example:587"
[outbound.routes]
"C.example" = "lmtp:/run/lmtp"
".d.example" = "lmtp://[::1]:24"
[queue]
directories = ["a", "/b"]
double_bounce_recipient = "root@EXAMPLE.org"
)");
  EXPECT_EQ(settings.hostname, "mail.example.org");
  EXPECT_THAT(settings.domains, ElementsAre("example.org", "xn--bcher-kva.example"));
  EXPECT_EQ(settings.io, IoBackend::kEpoll);
  EXPECT_EQ(settings.smtp.listen[1].ToString(), "[::1]:2525");
  EXPECT_EQ(settings.smtp.max_message_octets, 1u << 20);
  EXPECT_EQ(settings.smtp.max_header_octets, 8192);
  EXPECT_EQ(settings.smtp.greeting_delay, absl::Minutes(1));
  EXPECT_FALSE(settings.smtp.require_helo);
  EXPECT_THAT(settings.relay.domains, ElementsAre("a.example", ".b.example"));
  EXPECT_EQ(settings.relay.networks[2].ToString(), "127.0.0.1/32");
  EXPECT_EQ(settings.outbound.smarthost->ToString(), "smtp://relay.example:587");
  EXPECT_EQ(settings.outbound.routes.at("c.example").socket_path, "/run/lmtp");
  EXPECT_EQ(settings.outbound.routes.at(".d.example").ToString(), "lmtp://[::1]:24");
  EXPECT_THAT(settings.queue.directories, ElementsAre("/a", "/b"));
  EXPECT_EQ(settings.queue.double_bounce_recipient, "root@example.org");
}

TEST(Parse, ReportsAllProblemsInTheOrderOfTheText) {
  EXPECT_EQ(Complaints("# no name\n[smtp]\nworkers = 0\nlissen = []\n[queue]\nretry_first = 5\n"),
            "p.toml:1:1: hostname is missing: add a line such as hostname = \"mail.example.org\" "
            "at the top, with this server's own name\n"
            "p.toml:3:11: smtp.workers is 0; it must be 1 to 64 processes\n"
            "p.toml:4:1: there is no setting smtp.lissen; did you mean smtp.listen?\n"
            "p.toml:6:15: queue.retry_first needs a unit, d, h, m, s or ms, as in retry_first = "
            "\"10m\"");
}

struct Row {
  std::string_view text;  // behind kHead, so it starts in line 2
  std::string_view problem;
};

TEST(Parse, EachProblemNamesItsPlaceAndWhatToType) {
  static constexpr Row kRows[] = {
      {"x = 1", "2:1: there is no setting x; docs/configuration.md has them all"},
      {"dommains = []", "2:1: there is no setting dommains; did you mean domains?"},
      {"max_recipients = 1",
       "2:1: there is no setting max_recipients; did you mean smtp.max_recipients?"},
      {"[smtp]\ndomains = []",
       "3:1: there is no setting smtp.domains; domains stands at the top, before the first "
       "[section]"},
      {"[smtp]\nroot = \"/\"",
       "3:1: there is no setting smtp.root; root stands at the top, before the first [section]"},
      {"[smpt]\nworkers = 1", "2:2: there is no section [smpt]; did you mean [smtp]?"},
      {"[zzzzzz]", "2:2: there is no section [zzzzzz]"},
      {"smtp = 1",
       "2:1: smtp is a section: write [smtp] on a line of its own, once, and its keys "
       "below"},
      {"hostname = 1", "2:12: this is not TOML: "},
      {"smtp.workers = \"1\"",
       "2:16: smtp.workers must be a whole number, as in workers = 4; here it is a text"},
      {"smtp.workers = 1.5",
       "2:16: smtp.workers must be a whole number, as in workers = 4; here "
       "it is a fraction or a date"},
      {"smtp.workers = 65", "2:16: smtp.workers is 65; it must be 1 to 64 processes"},
      {"outbound.port = 0", "2:17: outbound.port is 0; it must be 1 to 65535"},
      {"smtp.require_helo = 1",
       "2:21: smtp.require_helo must be true or false, as in require_helo "
       "= false; here it is a whole number"},
      {"io = \"select\"",
       "2:6: io is \"select\"; it must be one of \"auto\", \"uring\", \"epoll\""},
      {"smtp.max_message_octets = \"10MB\"",
       "2:27: smtp.max_message_octets: \"10MB\" cannot be used: the unit is spelt MiB; write it, "
       "as in max_message_octets = \"100MiB\""},
      {"smtp.max_message_octets = \"1KiB\"",
       "2:27: smtp.max_message_octets is \"1KiB\"; it must be 64KiB to 2GiB, or 0: no limit"},
      {"queue.lifetime = \"5\"",
       "2:18: queue.lifetime: \"5\" cannot be used: a unit is missing: d, "
       "h, m, s or ms; write it, as in lifetime = \"3d\""},
      {"queue.lifetime = \"61d\"", "2:18: queue.lifetime is \"61d\"; it must be 1s to 60d"},
      {"smtp.listen = \"0.0.0.0:25\"",
       "2:15: smtp.listen must be a list of address:port, as in listen = [\"192.0.2.1:25\", "
       "\"[2001:db8::1]:25\"]; here it is a text"},
      {"smtp.listen = [25]",
       "2:16: smtp.listen is a list of texts, as in listen = "
       "[\"192.0.2.1:25\", \"[2001:db8::1]:25\"]; here is a whole number"},
      {"smtp.listen = [\"127.0.0.1:0\"]",
       "2:16: smtp.listen: \"127.0.0.1:0\" cannot be used: the port is 0; ports are 1 to 65535; "
       "write it, as in listen = [\"192.0.2.1:25\", \"[2001:db8::1]:25\"]"},
      {"smtp.listen = [\"127.0.0.1:25\",\n  \"127.0.0.1:25\"]",
       "3:3: smtp.listen has \"127.0.0.1:25\" twice; remove one"},
      {"smtp.listen = [\"127.0.0.1:25\", \"0.0.0.0:25\"]",
       "2:16: smtp.listen has \"127.0.0.1:25\", which \"0.0.0.0:25\" covers already; remove one"},
      {"domains = [\"a.example\", \"A.example\"]",
       "2:25: domains has \"a.example\" twice; remove one"},
      {"domains = [\"a@b.example\"]",
       "2:12: domains: \"a@b.example\" cannot be used: a domain stands alone, without user and @; "
       "write it, as in domains = [\"example.org\", \"example.net\"]"},
      {"domains = [\"a.example\"]\nrelay.domains = [\"b.example\", \"a.example\"]",
       "3:31: \"a.example\" is in domains and in relay.domains: mail for it is either delivered "
       "here or sent on, so remove it from one of them"},
      {"domains = [\"a.example\"]\noutbound.routes = {\"a.example\" = \"h:25\"}",
       "3:20: outbound.routes has \"a.example\", which is in domains and so delivered here: to "
       "send its mail on, move it from domains to relay.domains"},
      {"relay.networks = [\"192.0.2.7/24\"]",
       "2:19: relay.networks: \"192.0.2.7/24\" cannot be used: bits are set beyond the prefix; "
       "probably meant: 192.0.2.0/24; write it, as in networks = [\"192.0.2.0/24\", "
       "\"2001:db8::/32\"]"},
      {"outbound.smarthost = \"http://x\"",
       "2:22: outbound.smarthost: \"http://x\" cannot be used: a next hop starts with smtp://, "
       "lmtp:// or lmtp:/; write it, as in smarthost = \"smtp://relay.example.net:25\""},
      {"outbound.routes = {x = 1}",
       "2:20: outbound.routes: the next hop of \"x\" must be a text, as "
       "in routes = { \"example.com\" = \"smtp://10.0.0.5:25\", "
       "\".example.net\" = \"lmtp:/run/lmtp\" }; here it is a whole "
       "number"},
      {"[outbound.routes]\na.example = \"h:25\"",
       "3:1: outbound.routes: put the domain that starts with \"a\" in quotes, as in "
       "\"example.org\" = \"host:25\""},
      {"outbound.ipv4 = false\noutbound.ipv6 = false",
       "3:17: outbound.ipv4 and outbound.ipv6 are both false, so no server could be reached; leave "
       "one of them true"},
      {"queue.retry_first = \"5h\"",
       "2:21: queue.retry_first (\"5h\") is longer than queue.retry_longest (\"4h\"); make the "
       "first retry come sooner, or the longest wait longer"},
      {"queue.lifetime = \"1d\"\nqueue.bounce_lifetime = \"2d\"",
       "3:25: queue.bounce_lifetime (\"2d\") is longer than queue.lifetime (\"1d\"); make it at "
       "most as long"},
      {"queue.lifetime = \"1d\"\nqueue.delay_notice = \"1d\"",
       "3:22: queue.delay_notice (\"1d\") is not shorter than queue.lifetime (\"1d\"), so it would "
       "never be sent; make it shorter, or \"0s\" for none"},
      {"queue.inline_octets = \"1MiB\"\nqueue.segment_octets = \"2MiB\"",
       "3:24: queue.inline_octets (1MiB) is more than a quarter of queue.segment_octets (2MiB); "
       "make it smaller"},
      {"queue.directories = []", "2:21: queue.directories is empty; name at least one directory"},
      {"queue.directories = [\"/a\", \"/a/b\"]",
       "2:21: queue.directories has \"/a/b\", which is or lies in \"/a\"; put them beside each "
       "other"},
      {"log.file = \"../x\"",
       "2:12: log.file: \"../x\" cannot be used: a path is written without \"..\"; write it, as in "
       "file = \"/var/log/postern.log\""},
      {"log.file = \"\"",
       "2:12: log.file is empty; write it, as in file = \"/var/log/postern.log\""},
      {"local.mailbox = \"/var/mail\"",
       "2:17: local.mailbox is \"/var/mail\", the same for everybody; put {user} or {home} into "
       "it"},
      {"local.mailbox = \"/m/{usr}\"",
       "2:17: local.mailbox is \"/m/{usr}\"; only {user} and {home} may stand in braces"},
      {"local.mailbox = \"/m/{home}\"",
       "2:17: local.mailbox is \"/m/{home}\"; {home} is a whole path, so it stands first"},
      {"local.users = [\"*\", \"bob\"]",
       "2:16: local.users has \"*\" beside others; \"*\" alone stands for all accounts"},
      {"local.users = [\"../bob\"]",
       "2:16: local.users: \"../bob\" cannot be used: an account starts with a letter; write it, "
       "as "
       "in users = [\"alice\", \"bob\"]"},
      {"local.recipient_delimiter = \"++\"",
       "2:29: local.recipient_delimiter is \"++\"; it must be one character such as \"+\" or "
       "\"-\", or \"\" for none"},
      {"local.postmaster = \"@b\"",
       "2:20: local.postmaster: \"@b\" cannot be used: nothing stands in front of the @; write it, "
       "as in postmaster = \"alice\""},
      {"dns.trust_ad = true",
       "2:16: dns.trust_ad belongs to dns.mode = \"system\"; mode unbound validates answers "
       "itself, so remove it"},
      {"smtp.listen = []\nsmtp.socket = \"\"",
       "3:15: smtp.listen and smtp.socket are both empty, so no mail could come in; give one of "
       "them"},
  };
  for (const auto& [text, problem] : kRows) {
    const std::string complaints = Complaints(std::string(kHead) + std::string(text));
    const std::string expected = "p.toml:" + std::string(problem);
    if (expected.ends_with("TOML: ")) {
      EXPECT_TRUE(complaints.starts_with(expected)) << complaints;
    } else {
      EXPECT_EQ(complaints, expected) << text;
    }
  }
}

TEST(Parse, PathsOfSocketsAreAsLongAsTheKernelTakes) {
  const std::string fits(105, 's');  // and "/" in front, below root "/"
  Good(std::string(kHead) + "[smtp]\nsocket = \"/" + fits + "x\"\n");
  EXPECT_EQ(Complaints(std::string(kHead) + "[smtp]\nsocket = \"/" + fits + "xy\"\n"),
            "p.toml:3:10: smtp.socket: the path of a socket has at most 107 octets, and \"/" +
                fits + "xy\" has 108; choose a shorter one");
  // "/queue-15.sock" comes behind the run directory, 14 octets.
  const std::string directory(92, 'r');
  Good(std::string(kHead) + "run_directory = \"/" + directory + "\"\n");
  EXPECT_THAT(Complaints(std::string(kHead) + "run_directory = \"/" + directory + "r\"\n"),
              StartsWith("p.toml:2:17: run_directory: the path of a socket"));
  const std::string root = "/" + std::string(90, 'd');  // "/run/postern/submit" does not fit in
  EXPECT_THAT(Complaints(std::string(kHead) + "root = \"" + root + "\"\n"),
              AllOf(StartsWith("p.toml:2:8: smtp.socket: the path"),
                    HasSubstr("choose a shorter root, or set smtp.socket"),
                    HasSubstr("\np.toml:2:8: run_directory: the path")));
  Good(std::string(kHead) + "[outbound]\nsmarthost = \"lmtp:/" + fits + "x\"\n");
  EXPECT_THAT(Complaints(std::string(kHead) + "[outbound]\nsmarthost = \"lmtp:/" + fits + "xy\"\n"),
              HasSubstr("the path of a socket has at most 107 octets"));
}

TEST(Parse, PostmasterIsAnAccountHere) {
  const std::string head = std::string(kHead) + "domains = [\"example.org\"]\n[local]\n";
  const std::string users = "users = [\"alice\", \"bob\"]\n";
  for (const char* good : {"bob", "BOB", "bob+pm", "bob@example.org", "Bob+pm@EXAMPLE.org", ""})
    Good(head + users + "postmaster = \"" + good + "\"\n");
  Good(head + "users = [\"*\"]\npostmaster = \"whoever\"\n");
  Good(head + "users = []\n");
  EXPECT_EQ(Complaints(head + users + "postmaster = \"carol\"\n"),
            "p.toml:5:14: local.postmaster is \"carol\", which is none of local.users; name one of "
            "them");
  EXPECT_EQ(Complaints(head + "postmaster = \"bob\"\nusers = []\n"),
            "p.toml:5:9: local.postmaster is \"bob\", which is none of local.users; name one of "
            "them");
  EXPECT_EQ(Complaints(head + "postmaster = \"bob@example.net\"\n"),
            "p.toml:4:14: local.postmaster is \"bob@example.net\", an address at another host; "
            "mail for postmaster is delivered here, so name an account of local.users");
}

TEST(Parse, AccountsAreAsLongAsTheSystemTakes) {
  const std::string head = std::string(kHead) + "[local]\nusers = [\"";
  Good(head + std::string(32, 'a') + "\"]\n");
  EXPECT_THAT(Complaints(head + std::string(33, 'a') + "\"]\n"),
              HasSubstr("an account has 1 to 32 characters"));
}

TEST(Parse, TheDoubleBounceRecipientIsSomebody) {
  const std::string head = std::string(kHead) + "domains = [\"example.org\"]\n[local]\n";
  const std::string users = "users = [\"alice\"]\n[queue]\ndouble_bounce_recipient = ";
  for (const char* good : {"", "alice", "Alice+dsn@example.org", "postmaster", "x@example.net"})
    Good(head + users + "\"" + good + "\"\n");
  for (const char* bad : {"carol", "carol@example.org"})
    EXPECT_EQ(Complaints(head + users + "\"" + bad + "\"\n"),
              "p.toml:6:27: queue.double_bounce_recipient is \"" + std::string(bad) +
                  "\", which is none of local.users; name one of them");
}

TEST(Parse, HostnamesAreFullyQualified) {
  for (const char* name : {"mail", "mail.", "192.0.2.1", "a_b.example", "-a.example", "a..b",
                           "[::1]", "mail.example.org:25", ""}) {
    const std::string complaints = Complaints("hostname = \"" + std::string(name) + "\"");
    EXPECT_TRUE(complaints.starts_with("p.toml:1:12: hostname")) << name << ": " << complaints;
    EXPECT_EQ(complaints.find('\n'), complaints.npos) << complaints;
  }
}

TEST(Parse, TextThatIsNoTomlIsOneProblemAtItsPlace) {
  static constexpr std::pair<std::string_view, std::string_view> kRows[] = {
      {"domains = [}", "p.toml:1:12: this is not TOML: "},        // toml++ asserts here
      {"a = 1\n\xc3\xbc = 2", "p.toml:2:1: this is not TOML: "},  // and calls this unreachable
      {"a = \"x", "p.toml:1:7: this is not TOML: "},
      {"[smtp", "p.toml:1:6: this is not TOML: "},
      {"a = \"\xff\"", "p.toml:1:5: this is not TOML: "},
  };
  for (const auto& [text, expected] : kRows) {
    const std::string complaints = Complaints(text);
    EXPECT_TRUE(complaints.starts_with(expected)) << complaints;
    EXPECT_EQ(complaints.find('\n'), complaints.npos) << complaints;
  }
}

TEST(Parse, ForeignBytesAreEscapedInProblems) {
  EXPECT_EQ(Complaints(std::string(kHead) + "\"a\\u001bb\" = 1"),
            "p.toml:2:1: there is no setting a\\x1bb; docs/configuration.md has them all");
}

TEST(Parse, AShortLifetimeShortensTheDefaultsThatHangOnIt) {
  const Settings settings = Good(std::string(kHead) + "queue.lifetime = \"10s\"");
  EXPECT_EQ(settings.queue.bounce_lifetime, absl::Seconds(10));
}

TEST(Parse, RefusesAFileOfMoreThanFourMebibytes) {
  std::string text(kHead);
  text.resize(kMaxTextOctets, '#');
  EXPECT_TRUE(Parse(text, "p").ok());
  text += '#';
  EXPECT_FALSE(Parse(text, "p").ok());
}

// Every number, size and duration, at its edges and one beyond, by its declaration.
class Edges {
 public:
  explicit Edges(const Setting& setting) : setting_(setting) {}

  bool Takes(std::string_view unquoted) const {
    Settings settings;
    Report report;
    Store(setting_, FromText(setting_, unquoted), settings, report);
    if (!report.empty()) return false;
    // What was stored reads back as what was written.
    Settings again;
    Store(setting_, Load(setting_, settings), again, report);
    return report.empty() && IsSame(setting_, settings, again);
  }

 private:
  const Setting& setting_;
};

TEST(Declarations, NumbersAreTakenAtTheirEdgesAndRefusedBeyond) {
  int checked = 0;
  for (const Setting* setting : AllSettings()) {
    if (setting->low.empty()) continue;
    const Edges edges(*setting);
    const std::string low(setting->low), high(setting->high);
    EXPECT_TRUE(edges.Takes(low)) << setting->key;
    EXPECT_TRUE(edges.Takes(high)) << setting->key;
    if (setting->kind == Kind::kCount) {
      const int64_t least = FromText(*setting, low).integer;
      EXPECT_FALSE(edges.Takes(std::to_string(FromText(*setting, high).integer + 1)))
          << setting->key;
      EXPECT_FALSE(edges.Takes("-1")) << setting->key;
      EXPECT_EQ(edges.Takes(std::to_string(least - 1)), least == 1 && !setting->zero.empty())
          << setting->key;
      EXPECT_EQ(edges.Takes("0"), least == 0 || !setting->zero.empty()) << setting->key;
    } else if (setting->kind == Kind::kDuration) {
      EXPECT_FALSE(edges.Takes(high + (high.ends_with("ms") ? "" : "1ms"))) << setting->key;
      EXPECT_EQ(edges.Takes("0s"), low == "0s" || !setting->zero.empty()) << setting->key;
      EXPECT_FALSE(edges.Takes("-1s")) << setting->key;
    } else {
      ASSERT_EQ(setting->kind, Kind::kSize) << setting->key;
      EXPECT_FALSE(edges.Takes("2TiB")) << setting->key;
      EXPECT_EQ(edges.Takes("0B"), low == "0B" || !setting->zero.empty()) << setting->key;
    }
    ++checked;
  }
  EXPECT_GT(checked, 30);
}

TEST(Declarations, DefaultsAndExamplesAreGoodValues) {
  for (const Setting* setting : AllSettings()) {
    EXPECT_TRUE(Edges(*setting).Takes(setting->example)) << setting->key;
    EXPECT_FALSE(setting->example.empty()) << setting->key;
    EXPECT_FALSE(setting->help.empty()) << setting->key;
    if (setting->key == "hostname") continue;
    for (const bool is_installed : {false, true})
      EXPECT_TRUE(Edges(*setting).Takes(DefaultOf(*setting, is_installed))) << setting->key;
  }
}

TEST(Declarations, EveryChoiceIsTaken) {
  for (const Setting* setting : AllSettings())
    for (const std::string_view choice : setting->choices)
      EXPECT_TRUE(Edges(*setting).Takes(choice)) << setting->key << ' ' << choice;
}

}  // namespace
}  // namespace postern::config

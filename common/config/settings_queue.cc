#include "common/config/settings_tables.h"

namespace postern::config {
namespace {

constexpr std::string_view kMailboxFormats[] = {"maildir", "mbox"};

const Setting kQueue[] = {
    {POSTERN_SETTING(queue.directories), .kind = Kind::kPaths, .fallback = "spool/postern",
     .installed = "/var/spool/postern", .reload = Reload::kRestart,
     .example = "/disk1/spool, /disk2/spool",
     .help = "Where queued mail lies; one queue manager works on each. Several, on disks of their "
             "own, take more mail a second. Drain a queue before you take its directory out."},
    {POSTERN_SETTING(queue.inline_octets), .kind = Kind::kSize, .fallback = "256KiB", .low = "0B",
     .high = "4MiB", .example = "64KiB",
     .help = "Messages up to this size lie in the queue's log itself; larger ones are files beside "
             "it."},
    {POSTERN_SETTING(queue.segment_octets), .kind = Kind::kSize, .fallback = "64MiB", .low = "1MiB",
     .high = "1GiB", .reload = Reload::kRestart, .example = "128MiB",
     .help = "The size of one segment of the log; each is reserved on the disk as a whole."},
    {POSTERN_SETTING(queue.reserve_octets), .kind = Kind::kSize, .fallback = "64MiB", .low = "4MiB",
     .high = "1TiB", .reload = Reload::kRestart, .example = "1GiB",
     .help = "With less free space than this on the disk new mail is refused with 452, so that "
             "what is queued can still be delivered and recorded."},
    {POSTERN_SETTING(queue.retry_first), .kind = Kind::kDuration, .fallback = "5m", .low = "100ms",
     .high = "1d", .example = "10m",
     .help = "How long mail waits after its first failed attempt. The wait grows with each "
             "attempt, with some jitter, up to retry_longest."},
    {POSTERN_SETTING(queue.retry_longest), .kind = Kind::kDuration, .fallback = "4h",
     .low = "100ms", .high = "7d", .example = "2h",
     .help = "The longest wait between two attempts."},
    {POSTERN_SETTING(queue.lifetime), .kind = Kind::kDuration, .fallback = "5d", .low = "1s",
     .high = "60d", .example = "3d",
     .help = "Mail that could not be delivered for so long goes back to its sender. RFC 5321 "
             "section 4.5.4.1 asks for 4 to 5 days."},
    {POSTERN_SETTING(queue.bounce_lifetime), .kind = Kind::kDuration, .fallback = "2d", .low = "1s",
     .high = "60d", .example = "1d",
     .help = "The same for mail with the null sender, notices above all; never more than "
             "lifetime."},
    {POSTERN_SETTING(queue.delay_notice), .kind = Kind::kDuration, .fallback = "4h", .low = "1s",
     .high = "60d", .zero = "no such notice", .example = "1d",
     .help = "The sender of mail that is still queued after this time is told once that it is "
             "late."},
    {POSTERN_SETTING(queue.max_active), .kind = Kind::kCount, .unit = "messages",
     .fallback = "20000", .low = "1", .high = "1000000", .example = "5000",
     .help = "How many messages may be handed to delivery at once."},
    {POSTERN_SETTING(queue.double_bounce_recipient), .kind = Kind::kMailbox,
     .example = "postmaster@example.org",
     .help = "Who gets notices that cannot be delivered themselves. Empty: they are logged and "
             "dropped."},
};

const Setting kLocal[] = {
    {POSTERN_SETTING(local.users), .kind = Kind::kNames, .fallback = "*", .example = "alice, bob",
     .help = "The accounts that have a mailbox at the local domains. \"*\": all accounts of the "
             "system. Mail for anybody else is refused at RCPT."},
    {POSTERN_SETTING(local.format), .kind = Kind::kChoice, .fallback = "maildir",
     .choices = kMailboxFormats, .example = "mbox",
     .help = "How mailboxes are kept: maildir, a file for each message, or mbox, one file in all."},
    {POSTERN_SETTING(local.mailbox), .kind = Kind::kPath, .fallback = "mail/{user}",
     .installed = "{home}/Maildir", .example = "/var/mail/{user}",
     .help = "The path of a mailbox, where {user} stands for the account's name and {home} for its "
             "home directory. With format mbox the default is /var/mail/{user}, in an instance "
             "mail/{user}.mbox."},
    {POSTERN_SETTING(local.postmaster), .kind = Kind::kMailbox, .fallback = "", .example = "alice",
     .help =
         "Who gets the mail for postmaster, which every server has to accept (RFC 5321 section "
         "4.5.1): one of the accounts of local.users, or its address at a local domain. Empty: the "
         "account postmaster if there is one, otherwise the first of local.users, with \"*\" the "
         "account with the lowest user id."},
    {POSTERN_SETTING(local.recipient_delimiter), .kind = Kind::kText, .fallback = "+",
     .may_be_empty = true, .example = "-",
     .help = "The character that begins an addition to an account's name: with \"+\", mail for "
             "alice+lists is alice's. Empty: none."},
    {POSTERN_SETTING(local.max_processes), .kind = Kind::kCount, .unit = "processes",
     .fallback = "20", .low = "1", .high = "1000", .example = "50",
     .help = "How many deliveries run at once, each in a process of the account it delivers to."},
    {POSTERN_SETTING(local.timeout), .kind = Kind::kDuration, .fallback = "2m", .low = "1s",
     .high = "1h", .example = "5m",
     .help = "How long one delivery may take before it is ended and the mail deferred."},
};

}  // namespace

std::span<const Setting> QueueSettings() { return kQueue; }
std::span<const Setting> LocalSettings() { return kLocal; }

}  // namespace postern::config

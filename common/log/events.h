// common/log/events.h — the catalogue of event names: area.verb, the verb in the past where it
// happened. Alerts are written against these: a name is never given another meaning. Common keys
// are listed in README.md.
#pragma once

#include "common/log/name.h"

namespace postern::log {

// Processes and configuration (master, and each about itself).
inline constexpr EventName kDaemonStarted = "daemon.started";        // role, sandbox, io
inline constexpr EventName kDaemonReady = "daemon.ready";            //
inline constexpr EventName kDaemonStopping = "daemon.stopping";      // reason
inline constexpr EventName kDaemonStopped = "daemon.stopped";        // status, took_ms
inline constexpr EventName kDaemonDied = "daemon.died";              // role, child, signal, status
inline constexpr EventName kDaemonRestarting = "daemon.restarting";  // role, delay_ms
inline constexpr EventName kDaemonCheckFailed = "daemon.check_failed";  // what: a bug of ours
inline constexpr EventName kDaemonFailed = "daemon.failed";             // error: cannot go on
inline constexpr EventName kSandboxEntered = "sandbox.entered";         // layers
inline constexpr EventName kSandboxMissing = "sandbox.missing";         // layer, reason, remedy
inline constexpr EventName kSandboxFailed = "sandbox.failed";           // layer, error
inline constexpr EventName kServerReady = "server.ready";               // listeners
inline constexpr EventName kListenerOpened = "listener.opened";         // address
inline constexpr EventName kListenerClosed = "listener.closed";         // address
inline constexpr EventName kConfigLoaded = "config.loaded";             // file
inline constexpr EventName kConfigReloaded = "config.reloaded";         // file
inline constexpr EventName kConfigRefused = "config.refused";           // file, error
inline constexpr EventName kLogDropped = "log.dropped";                 // count
inline constexpr EventName kLogReopened = "log.reopened";               //

// What should not happen between our own processes, or looks like an attack.
inline constexpr EventName kIncidentFrame = "incident.frame";            // edge, reason
inline constexpr EventName kIncidentDescriptor = "incident.descriptor";  // edge, reason
inline constexpr EventName kIncidentSandbox = "incident.sandbox";        // role, signal, call
inline constexpr EventName kIncidentSmuggling = "incident.smuggling";    // client, reason
inline constexpr EventName kIncidentSuppressed = "incident.suppressed";  // count

// The server's side of SMTP.
inline constexpr EventName kSmtpConnected = "smtp.connect";        // client, listener
inline constexpr EventName kSmtpDisconnected = "smtp.disconnect";  // client, commands, took_ms
inline constexpr EventName kSmtpTls = "smtp.tls";                  // client, version, cipher
inline constexpr EventName kSmtpAuth = "smtp.auth";                // client, user, result
inline constexpr EventName kSmtpRejected = "smtp.reject";  // client, stage, code, status, reason
inline constexpr EventName kSmtpDeferred = "smtp.defer";   // client, stage, code, status, reason

// The life of a message; each has id.
inline constexpr EventName kMessageQueued = "message.queued";    // from, size, recipients, client
inline constexpr EventName kMessageRefused = "message.refused";  // reason, code, status
inline constexpr EventName kMessageDelivered = "message.delivered";  // to, via, remote, reply
inline constexpr EventName kMessageRelayed = "message.relayed";      // to, remote, reply, took_ms
inline constexpr EventName kMessageDeferred = "message.deferred";    // to, status, reason, retry_ms
inline constexpr EventName kMessageBounced = "message.bounced";      // to, status, reason
inline constexpr EventName kMessageExpired = "message.expired";      // age_ms, recipients: too old
inline constexpr EventName kMessageDiscarded = "message.discarded";  // to, reason
// These four also have by: operator (then with uid, as the kernel says), policy, or qmgr itself.
inline constexpr EventName kMessageHeld = "message.held";          // reason
inline constexpr EventName kMessageReleased = "message.released";  // reason, if one was given
inline constexpr EventName kMessageRequeued = "message.requeued";  // reason, if there is one
inline constexpr EventName kMessageDeleted = "message.deleted";    // reason, if one was given
inline constexpr EventName kMessageRemoved = "message.removed";    // all done; age_ms
inline constexpr EventName kMessageExpanded = "message.expanded";  // to, into: alias or .forward

// Notices (DSN).
inline constexpr EventName kNoticeSent = "notice.sent";        // id, about, kind, to
inline constexpr EventName kNoticeSkipped = "notice.skipped";  // id, reason
inline constexpr EventName kNoticeFailed = "notice.failed";    // id, error
inline constexpr EventName kNoticeDouble = "notice.double";    // id, to: a notice that failed

// The client's side of SMTP.
inline constexpr EventName kRemoteConnected = "remote.connect";  // remote, name, took_ms
inline constexpr EventName kRemoteFailed = "remote.failed";      // remote, stage, reason
inline constexpr EventName kRemoteTls = "remote.tls";            // remote, version, cipher, verdict
inline constexpr EventName kRemoteClosed = "remote.disconnect";  // remote, messages, took_ms

// Local delivery, names, policy.
inline constexpr EventName kDeliverStored = "deliver.stored";  // id, user, format
inline constexpr EventName kDeliverFailed = "deliver.failed";  // id, user, reason
inline constexpr EventName kDnsFailed = "dns.failed";          // name, type, reason
inline constexpr EventName kPolicyDecided = "policy.decided";  // client, to, verdict, reason

// The queue as a whole.
inline constexpr EventName kQueueOpened = "queue.opened";             // messages, segments, took_ms
inline constexpr EventName kQueueRecovered = "queue.recovered";       // segment, octets, reason
inline constexpr EventName kQueueFull = "queue.full";                 // free, reserve
inline constexpr EventName kQueueRoom = "queue.room";                 // free: mail is taken again
inline constexpr EventName kQueueWriteFailed = "queue.write_failed";  // segment, error
inline constexpr EventName kQueueReadFailed = "queue.read_failed";    // id, error
inline constexpr EventName kQueueFlushed = "queue.flushed";  // next_hop or all, count, by, uid
inline constexpr EventName kQueueForeign = "queue.foreign";  // file, reason
inline constexpr EventName kQueueDestination = "queue.destination";  // next_hop, state, reason

}  // namespace postern::log

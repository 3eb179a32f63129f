// common/ipc/protocol/catalogue.h — every edge with all its messages, for what must go through them
// all: tests and fuzzing. A test holds it against the edges' tables, so nothing is left out.
#pragma once

#include <type_traits>

#include "common/ipc/protocol/admin.h"
#include "common/ipc/protocol/control.h"
#include "common/ipc/protocol/locald_deliver.h"
#include "common/ipc/protocol/qmgr_bounced.h"
#include "common/ipc/protocol/qmgr_locald.h"
#include "common/ipc/protocol/qmgr_smtpc.h"
#include "common/ipc/protocol/smtpc_resolvd.h"
#include "common/ipc/protocol/smtpd_policyd.h"
#include "common/ipc/protocol/smtpd_qmgr.h"

namespace postern::protocol {

template <class... M>
struct MessageList {
  // Calls `visit(std::type_identity<M>())` for each.
  template <class Visit>
  static void ForEach(Visit&& visit) {
    (visit(std::type_identity<M>()), ...);
  }
};

using ControlMessages =
    MessageList<control::Configure, control::EdgeEnd, control::ListenerEnd, control::ListenerGone,
                control::LogEnd, control::Begin, control::Ready, control::Reload, control::Reloaded,
                control::Stop, control::Ping, control::Pong, control::WantDeliver,
                control::DeliverEnd, control::MapIds, control::Moved>;
using AdminMessages =
    MessageList<admin::List, admin::Listed, admin::Show, admin::Shown, admin::ShownContent,
                admin::Act, admin::Acted, admin::Destinations, admin::DestinationsListed,
                admin::Processes, admin::ProcessesListed, admin::Reload, admin::Reloaded>;
using SubmissionMessages =
    MessageList<submission::Submit, submission::Recipients, submission::Content, submission::End,
                submission::Cancel, submission::Credit, submission::Refused, submission::Done>;
using DeliveryMessages = MessageList<delivery::Job, delivery::CancelJob, delivery::Results,
                                     delivery::JobDone, delivery::Capacity>;
using NoticeMessages = MessageList<notice::Notice, notice::NoticeDone>;
using DnsMessages = MessageList<dns::Question, dns::Answer>;
using PolicyMessages = MessageList<policy::ConnectQuestion, policy::Disconnected,
                                   policy::RecipientQuestion, policy::Verdict>;
using MailboxMessages = MessageList<mailbox::Deliver, mailbox::Delivered>;

// Calls `visit(edge, its MessageList)` for each edge.
template <class Visit>
void ForEachEdge(Visit&& visit) {
  visit(kControl, ControlMessages());
  visit(kAdmin, AdminMessages());
  visit(kSmtpdPolicyd, PolicyMessages());
  visit(kSmtpdQmgr, SubmissionMessages());
  visit(kBouncedQmgr, SubmissionMessages());
  visit(kQmgrSmtpc, DeliveryMessages());
  visit(kQmgrLocald, DeliveryMessages());
  visit(kQmgrBounced, NoticeMessages());
  visit(kSmtpcResolvd, DnsMessages());
  visit(kLocaldDeliver, MailboxMessages());
}

}  // namespace postern::protocol

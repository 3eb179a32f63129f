#include "daemons/smtpc/form.h"

#include <gtest/gtest.h>

#include "daemons/smtpc/transfer.h"

namespace postern::smtpc {
namespace {

using protocol::Body;
using protocol::delivery::Job;
using protocol::delivery::Outcome;

TEST(Offers, AreReadFromTheAnswerToEhlo) {
  const smtp::Reply reply{250,
                          {},
                          "mx.example greets you\nPIPELINING\nSIZE "
                          "1000\n8bitmime\nSMTPUTF8\nDSN\nCHUNKING\nBINARYMIME\nX-UNKNOWN yes"};
  const Offers offers = ParseOffers(reply);
  EXPECT_TRUE(offers.pipelining && offers.size && offers.eight_bit && offers.utf8 && offers.dsn &&
              offers.chunking && offers.binary);
  EXPECT_EQ(offers.max_octets, 1000u);
}

TEST(Offers, BinaryWithoutChunkingIsNone) {
  EXPECT_FALSE(ParseOffers(smtp::Reply{250, {}, "mx\nBINARYMIME"}).binary);
}

TEST(Offers, TheFirstLineIsNoOffer) {
  EXPECT_FALSE(ParseOffers(smtp::Reply{250, {}, "PIPELINING"}).pipelining);
}

Job SampleJob() {
  Job job;
  job.sender = "a@example.net";
  job.recipients = {{.index = 0, .address = "b@example.org", .orcpt = {}, .notify = 0}};
  return job;
}

TEST(Form, WhatAServerLacksDecidesAsTheStandardsSay) {
  Offers all;
  all.size = all.eight_bit = all.utf8 = all.dsn = all.chunking = all.binary = all.extended = true;
  all.max_octets = 1000;
  const Offers none;
  const auto status = [](const Form& form) { return form.possible ? std::string() : form.status; };
  Job job = SampleJob();
  EXPECT_EQ(status(FormFor(job, {}, 1000, all)), "");
  EXPECT_EQ(status(FormFor(job, {}, 1001, all)), "5.3.4") << "one octet too large";
  job.body = Body::kEightBit;
  EXPECT_EQ(status(FormFor(job, {.eight_bit = true}, 10, none)), "5.6.3");
  EXPECT_EQ(status(FormFor(job, {.eight_bit = false}, 10, none)), "")
      << "said to be 8-bit, and is not";
  job.body = Body::kBinary;
  EXPECT_EQ(status(FormFor(job, {}, 10, none)), "5.6.3");
  EXPECT_NE(FormFor(job, {}, 10, all).mail.find("BODY=BINARYMIME"), std::string::npos);
  job = SampleJob();
  job.smtputf8 = true;
  EXPECT_EQ(status(FormFor(job, {}, 10, none)), "") << "nothing in it needs SMTPUTF8";
  EXPECT_EQ(status(FormFor(job, {.eight_bit = true, .eight_bit_header = true}, 10, none)), "5.6.7");
  job.sender = "\xc3\xa4@example.net";
  EXPECT_EQ(status(FormFor(job, {}, 10, none)), "5.6.7");
  job.sender = "a@example.net";
  job.recipients[0].address = "b\xc3\xbc@example.org";
  EXPECT_EQ(status(FormFor(job, {}, 10, none)), "") << "other recipients may go";
  EXPECT_FALSE(CanGo(job.recipients[0], FormFor(job, {}, 10, none)));
  EXPECT_TRUE(CanGo(job.recipients[0], FormFor(job, {}, 10, all)));
  EXPECT_NE(FormFor(job, {}, 10, all).mail.find(" SMTPUTF8"), std::string::npos);
  job.recipients[0].address =
      "b@b\xc3\xbc"
      "cher.example";
  const Form ascii = FormFor(job, {}, 10, none);
  EXPECT_TRUE(CanGo(job.recipients[0], ascii)) << "a domain has an ASCII form";
  EXPECT_EQ(RcptCommand(job.recipients[0], ascii), "RCPT TO:<b@xn--bcher-kva.example>");
}

TEST(Form, DsnParametersGoToServersThatKnowThem) {
  Job job = SampleJob();
  job.ret = protocol::Ret::kHeaders;
  job.envid = "id=1 x";
  job.recipients[0].notify = protocol::kNotifySuccess | protocol::kNotifyDelay;
  job.recipients[0].orcpt = "rfc822;b+c@example.org";
  Offers offers;
  EXPECT_EQ(FormFor(job, {}, 10, offers).mail, "MAIL FROM:<a@example.net>");
  EXPECT_EQ(RcptCommand(job.recipients[0], FormFor(job, {}, 10, offers)),
            "RCPT TO:<b@example.org>");
  offers.dsn = true;
  const Form form = FormFor(job, {}, 10, offers);
  EXPECT_EQ(form.mail, "MAIL FROM:<a@example.net> RET=HDRS ENVID=id+3D1+20x");
  EXPECT_EQ(RcptCommand(job.recipients[0], form),
            "RCPT TO:<b@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bc@example.org");
}

TEST(Form, NeverToAServerWithoutDsnLeavesTheSenderAsItIs) {
  Job job = SampleJob();
  job.recipients[0].notify = protocol::kNotifyNever;
  const Form without = FormFor(job, {}, 10, Offers());
  EXPECT_EQ(without.mail, "MAIL FROM:<a@example.net>");
  EXPECT_EQ(RcptCommand(job.recipients[0], without), "RCPT TO:<b@example.org>");
  Offers dsn;
  dsn.dsn = true;
  EXPECT_EQ(RcptCommand(job.recipients[0], FormFor(job, {}, 10, dsn)),
            "RCPT TO:<b@example.org> NOTIFY=NEVER");
}

TEST(Form, AUtf8OrcptIsEncodedWhereUtf8CannotGo) {
  Job job = SampleJob();
  job.recipients[0].orcpt = "utf-8;b\xc3\xbc@example.org";
  Form form;
  form.dsn = true;
  EXPECT_EQ(RcptCommand(job.recipients[0], form),
            "RCPT TO:<b@example.org> ORCPT=utf-8;b\\x{FC}@example.org");
  form.utf8 = true;
  EXPECT_EQ(RcptCommand(job.recipients[0], form),
            "RCPT TO:<b@example.org> ORCPT=utf-8;b\xc3\xbc@example.org");
}

TEST(Form, ContentIsExaminedOnlyWhereSomethingDependsOnIt) {
  Job job = SampleJob();
  Offers all;
  all.eight_bit = all.utf8 = true;
  EXPECT_FALSE(MustBeExamined(job, {})) << "7-bit mail goes anywhere";
  job.body = Body::kEightBit;
  EXPECT_TRUE(MustBeExamined(job, {}));
  job.smtputf8 = true;
  EXPECT_FALSE(MustBeExamined(job, all));
  all.utf8 = false;
  EXPECT_TRUE(MustBeExamined(job, all));
}

TEST(Examiner, FindsEightBitOctetsWhereverTheCutsAre) {
  const std::string in_header = "Subject: \xc3\xbc\r\n\r\nbody\r\n";
  const std::string in_body = "Subject: u\r\n\r\nb\xc3\xbc\r\n";
  for (size_t step = 1; step < in_header.size(); ++step) {
    Examiner header, body;
    for (size_t at = 0; at < in_header.size(); at += step)
      header.Add(std::string_view(in_header).substr(at, step));
    for (size_t at = 0; at < in_body.size(); at += step)
      body.Add(std::string_view(in_body).substr(at, step));
    EXPECT_TRUE(header.traits().eight_bit && header.traits().eight_bit_header) << step;
    EXPECT_TRUE(body.traits().eight_bit && !body.traits().eight_bit_header) << step;
  }
}

TEST(ResultFrom, OnlyAnExplicit5yzFails) {
  EXPECT_EQ(ResultFrom(0, {250, {2, 0, 0}, "ok"}, "mx", true).outcome, Outcome::kDelivered);
  EXPECT_EQ(ResultFrom(0, {250, {2, 0, 0}, "ok"}, "mx", false).outcome, Outcome::kRelayed);
  EXPECT_EQ(ResultFrom(0, {451, {4, 7, 1}, "later"}, "mx", false).outcome, Outcome::kDeferred);
  EXPECT_EQ(ResultFrom(0, {550, {}, "no"}, "mx", false).outcome, Outcome::kFailed);
  EXPECT_EQ(ResultFrom(0, {550, {}, "no"}, "mx", false).status, "5.0.0");
  EXPECT_EQ(ResultFrom(0, {354, {}, "go on"}, "mx", false).outcome, Outcome::kDeferred)
      << "a reply that makes no sense here";
}

}  // namespace
}  // namespace postern::smtpc

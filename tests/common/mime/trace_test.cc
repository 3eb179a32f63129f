#include "common/mime/trace.h"

#include <gtest/gtest.h>

#include <string>

#include "common/mime/header_scanner.h"
#include "common/mime/limits.h"

namespace postern::mime {
namespace {

TEST(WithProtocol, NamesEachCombination) {
  struct {
    Protocol protocol;
    const char* keyword;
  } const rows[] = {
      {{.extended = false}, "SMTP"},
      {{}, "ESMTP"},
      {{.tls = true}, "ESMTPS"},
      {{.authenticated = true}, "ESMTPA"},
      {{.tls = true, .authenticated = true}, "ESMTPSA"},
      {{.utf8 = true}, "UTF8SMTP"},
      {{.tls = true, .utf8 = true}, "UTF8SMTPS"},
      {{.authenticated = true, .utf8 = true}, "UTF8SMTPA"},
      {{.tls = true, .authenticated = true, .utf8 = true}, "UTF8SMTPSA"},
      {{.lmtp = true}, "LMTP"},
      {{.tls = true, .lmtp = true}, "LMTPS"},
      {{.authenticated = true, .lmtp = true}, "LMTPA"},
      {{.tls = true, .authenticated = true, .lmtp = true}, "LMTPSA"},
      {{.utf8 = true, .lmtp = true}, "UTF8LMTP"},
      {{.tls = true, .authenticated = true, .utf8 = true, .lmtp = true}, "UTF8LMTPSA"},
  };
  for (const auto& row : rows) EXPECT_EQ(WithProtocol(row.protocol), row.keyword);
}

ReceivedField Plain() {
  return {.helo = "client.example",
          .client_name = "mx.client.example",
          .client_ip = "192.0.2.1",
          .by = "mx.example.org",
          .id = "0123456789ABC",
          .for_recipient = "user@example.org",
          .unix_seconds = 1795510800};
}

TEST(Received, SaysWhereAMessageCameFrom) {
  ReceivedField field = Plain();
  EXPECT_EQ(FormatReceived(field),
            "Received: from client.example (mx.client.example [192.0.2.1])\r\n"
            "\tby mx.example.org with ESMTP id 0123456789ABC\r\n"
            "\tfor <user@example.org>;\r\n"
            "\tTue, 24 Nov 2026 09:00:00 +0000\r\n");
  field.client_name = "";
  field.client_ip = "2001:db8::1";
  field.for_recipient = "";
  field.protocol = {.extended = false};
  EXPECT_EQ(FormatReceived(field),
            "Received: from client.example ([IPv6:2001:db8::1])\r\n"
            "\tby mx.example.org with SMTP id 0123456789ABC;\r\n"
            "\tTue, 24 Nov 2026 09:00:00 +0000\r\n");
  field.helo = "";
  EXPECT_TRUE(FormatReceived(field).starts_with("Received: from unknown ([IPv6:"));
}

TEST(Received, NamesTheLocalUser) {
  ReceivedField field = Plain();
  field.client_ip = "";
  field.local_user = "alice";
  EXPECT_TRUE(
      FormatReceived(field).starts_with("Received: from mx.example.org (local user alice)\r\n"));
  field.local_user = "";
  EXPECT_TRUE(FormatReceived(field).starts_with("Received: from mx.example.org (local)\r\n"));
}

TEST(Received, WhatStrangersChoseMakesNoLinesOrComments) {
  ReceivedField field = Plain();
  field.helo = "a)\r\nX-Injected: yes\r\n\r\nbody(";
  field.client_name = "b\nc";
  field.for_recipient = "a\r\nb@c";
  const std::string text = FormatReceived(field);
  HeaderScanner scanner;
  scanner.Scan(text + "\r\n");
  EXPECT_EQ(scanner.fields(), 1);
  EXPECT_EQ(scanner.received_fields(), 1);
  EXPECT_EQ(scanner.octets(), text.size() + 2);
  EXPECT_EQ(std::count(text.begin(), text.end(), '('), 1);
  EXPECT_EQ(std::count(text.begin(), text.end(), ')'), 1);
}

TEST(Received, LinesAreBounded) {
  ReceivedField field = Plain();
  for (std::string* part : {&field.helo, &field.client_name, &field.by, &field.for_recipient}) {
    *part = std::string(10000, 'x');
  }
  const std::string text = FormatReceived(field);
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find("\r\n", at);
    EXPECT_LE(end - at, kMaxLineOctets);
    at = end + 2;
  }
}

TEST(ReturnPath, IsWritten) {
  EXPECT_EQ(FormatReturnPath("a@b"), "Return-Path: <a@b>\r\n");
  EXPECT_EQ(FormatReturnPath(""), "Return-Path: <>\r\n");
  EXPECT_EQ(FormatReturnPath("a\r\nb"), "Return-Path: <a??b>\r\n");
}

}  // namespace
}  // namespace postern::mime

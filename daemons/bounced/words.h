// daemons/bounced/words.h — the part of a notice that a person reads: what happened to each
// address, what to do about it, and what the other server said. Pure.
#pragma once

#include <string>
#include <string_view>

#include "daemons/bounced/compose.h"
#include "daemons/bounced/text.h"

namespace postern::bounced {

std::string_view Subject(Kind kind);

// CRLF lines. `whole_message`: what comes behind is the message, not only its header section.
std::string Words(const Report& report, Charset charset, bool whole_message);

// What a status code (RFC 3463) means and what its reader can do, in one or two sentences; general
// words for codes without better ones.
std::string_view Advice(Action action, std::string_view status);

}  // namespace postern::bounced

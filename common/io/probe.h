// common/io/probe.h — whether this process may have a ring, asked before it is confined.
#pragma once

namespace postern::io {

// Makes a small ring and throws it away.
bool UringWorks();

}  // namespace postern::io

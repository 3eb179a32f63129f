// One end of every edge, fed by a compromised sibling: octets in pieces, descriptors with them, and
// well-formed messages to get deep into the table. The channel ends with kDataLoss at the first
// thing its table forbids, not before and not after (a plain model says where), takes up bounded
// memory, leaks no descriptor, and answers what it may.
//
// Input: an octet for edge and side, then pieces: an octet of what (kPiece*), an octet of length,
// the piece.
//
// Covers: common/ipc/channel.cc common/ipc/frame.cc common/ipc/conversation.cc
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/loop.h"
#include "common/io/scope.h"
#include "common/ipc/channel.h"
#include "common/ipc/protocol/catalogue.h"

namespace {

using namespace postern;

void Require(bool condition) {
  if (!condition) std::abort();
}

enum Piece : uint8_t { kRaw, kRawWithFile, kRawWithPipe, kFrame, kFrameWithFile, kPieces };

struct AnyEdge {
  const ipc::Edge* edge;
  // Whether a payload is that type's; an empty one of the type.
  bool (*decodes)(uint8_t type, std::string_view payload);
  std::string (*simplest)(uint8_t type);
};

template <class List>
bool Decodes(uint8_t type, std::string_view payload) {
  bool decodes = false;
  List::ForEach([&]<class M>(std::type_identity<M>) {
    if (static_cast<uint8_t>(M::kType) == type)
      decodes = ipc::DecodeFrame<M>({.type = type, .payload = payload, .descriptor = {}}).ok();
  });
  return decodes;
}

template <class List>
std::string Simplest(uint8_t type) {
  std::string bytes;
  List::ForEach([&]<class M>(std::type_identity<M>) {
    if (static_cast<uint8_t>(M::kType) == type) Require(ipc::Encode(M{}, bytes));
  });
  return bytes;
}

const std::vector<AnyEdge>& Edges() {
  static const std::vector<AnyEdge> edges = [] {
    std::vector<AnyEdge> all;
    protocol::ForEachEdge([&]<class List>(const ipc::Edge& edge, List) {
      all.push_back({&edge, &Decodes<List>, &Simplest<List>});
    });
    return all;
  }();
  return edges;
}

// What a daemon does with a frame, in its simplest form: decodes it and refuses what does not.
class Handler final : public ipc::FrameHandler {
 public:
  explicit Handler(const AnyEdge& edge) : edge_(edge) {}
  absl::Status OnFrame(ipc::Frame& frame) override {
    ++frames;
    if (frame.descriptor.valid()) Require(::fcntl(frame.descriptor.get(), F_GETFD) == FD_CLOEXEC);
    if (!edge_.decodes(frame.type, frame.payload)) return DataLoss("does not decode");
    return absl::OkStatus();
  }
  size_t frames = 0;

 private:
  const AnyEdge& edge_;
};

// The table applied to the octets alone: how many frames are good, and whether what follows is not.
struct Model {
  size_t frames = 0;
  bool broken = false;
};
Model Expect(const AnyEdge& any, ipc::Side sender, std::string_view left) {
  ipc::Conversations open(*any.edge);
  Model model;
  while (left.size() >= ipc::kFrameHeaderOctets && !model.broken) {
    const auto header = ipc::ParseFrameHeader(left, any.edge->max_payload_octets);
    model.broken = !header.has_value();
    if (model.broken) break;
    const size_t total = ipc::kFrameHeaderOctets + header->payload_octets;
    if (left.size() < total) break;
    const auto rule = open.Advance(sender, header->type, header->id);
    model.broken = !rule.has_value() || header->has_descriptor ||
                   (*rule)->descriptor == ipc::Descriptor::kRequired;
    if (model.broken) break;
    ++model.frames;
    model.broken =
        !any.decodes(header->type, left.substr(ipc::kFrameHeaderOctets, header->payload_octets));
    left.remove_prefix(total);
  }
  // What was cut off is broken too.
  model.broken = model.broken || !left.empty();
  return model;
}

struct Sent {
  std::string bytes;
  UniqueFd descriptor;
};

UniqueFd OtherDescriptor(bool file) {
  if (file) return UniqueFd(::memfd_create("fuzz", MFD_CLOEXEC));
  int ends[2];
  Require(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[1]);
  return UniqueFd(ends[0]);
}

std::vector<Sent> PiecesOf(const AnyEdge& any, std::string_view input, bool& descriptors) {
  std::vector<Sent> pieces;
  while (input.size() >= 2 && pieces.size() < 64) {
    const auto what = static_cast<uint8_t>(input[0]) % kPieces;
    const std::string_view bytes = input.substr(2, static_cast<uint8_t>(input[1]));
    input.remove_prefix(2 + bytes.size());
    Sent piece;
    if (what == kFrame || what == kFrameWithFile) {
      if (bytes.size() < 2) continue;
      const auto type = static_cast<uint8_t>(bytes[0]);
      const std::string payload =
          bytes.size() > 2 ? std::string(bytes.substr(2)) : any.simplest(type);
      ipc::AppendFrameHeader(piece.bytes, {.payload_octets = static_cast<uint32_t>(payload.size()),
                                           .type = type,
                                           .has_descriptor = what == kFrameWithFile,
                                           .id = static_cast<uint8_t>(bytes[1])});
      piece.bytes += payload;
    } else {
      piece.bytes = bytes;
    }
    if (piece.bytes.empty()) continue;
    if (what == kRawWithFile || what == kRawWithPipe || what == kFrameWithFile) {
      piece.descriptor = OtherDescriptor(what != kRawWithPipe);
      descriptors = true;
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

// False: the channel has been closed, or takes nothing now.
bool Give(int socket, const Sent& piece) {
  iovec part{const_cast<char*>(piece.bytes.data()), piece.bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (piece.descriptor.valid()) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = piece.descriptor.get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  Require(sent < 0 || static_cast<size_t>(sent) == piece.bytes.size());
  return sent > 0;
}

io::Task<absl::Status> RunInto(ipc::Channel& channel, ipc::FrameHandler& handler,
                               absl::Status& ended) {
  ended = co_await channel.Run(handler);
  co_return absl::OkStatus();
}

io::Task<absl::Status> Feed(io::Loop& loop, const AnyEdge& any, ipc::Side self,
                            std::string_view input) {
  int ends[2];
  Require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd sibling(ends[0]);
  bool descriptors = false;
  std::string all;
  bool all_given = true;
  absl::Status ended;
  Handler handler(any);
  {
    ipc::Channel channel(loop, UniqueFd(ends[1]), *any.edge, self);
    io::TaskScope scope;
    scope.Spawn(RunInto(channel, handler, ended));
    for (const Sent& piece : PiecesOf(any, input, descriptors)) {
      all_given = all_given && Give(sibling.get(), piece);
      if (!all_given) break;
      all += piece.bytes;
      co_await io::YieldTurn();
    }
    sibling.reset();
    co_await scope.Join();
    Require(!channel.open() && channel.pending_octets() == 0);
    co_await io::YieldTurn();
  }
  Require(ended.ok() || absl::IsDataLoss(ended));
  if (descriptors || !all_given) co_return absl::OkStatus();
  const Model model = Expect(any, ipc::Other(self), all);
  Require(handler.frames == model.frames);
  Require(ended.ok() == !model.broken);
  co_return absl::OkStatus();
}

int LowestFreeDescriptor() {
  const UniqueFd fd(::dup(0));
  return fd.get();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::unique_ptr<io::Loop> loop = [] {
    io::LoopOptions options;
    options.backend = io::BackendKind::kEpoll;
    options.buffer_count = 0;
    auto made = io::Loop::Create(options);
    Require(made.ok());
    return *std::move(made);
  }();
  if (size == 0) return 0;
  const AnyEdge& any = Edges()[data[0] / 2 % Edges().size()];
  const ipc::Side self = data[0] % 2 == 0 ? ipc::Side::kA : ipc::Side::kB;
  const int free_before = LowestFreeDescriptor();
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  Require(loop->Run(Feed(*loop, any, self, input)).ok());
  Require(LowestFreeDescriptor() == free_before);
  return 0;
}

#include "common/io/listener.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <utility>

#include "common/io/event.h"

namespace postern::io {

// What the kernel's completions name: it outlives its Listener until the last of them has come.
struct Listener::State {
  // One accept under way.
  struct Acceptor final : Operation {
    void OnCompletion(int result, uint32_t, bool more) override {
      state->Took(*this, result, more);
    }

    State* state = nullptr;
    AcceptedPeer peer;  // kNamed
  };

  State(Loop& on_loop, UniqueFd socket, Peers peers) : loop(on_loop), fd(socket.release()) {
    const bool named = peers == Peers::kNamed;
    at_once = named ? std::min(kMaxAcceptsAtOnce, loop.accepts_at_once()) : 1;
    for (Acceptor& acceptor : acceptors) {
      acceptor.code = named ? OpCode::kAccept : OpCode::kAcceptMultishot;
      acceptor.buffer = named ? &acceptor.peer : nullptr;
      acceptor.fd = fd;
      acceptor.state = this;
    }
  }

  // Has as many accepts wait as there is room for their connections.
  void Arm();
  void Took(Acceptor& acceptor, int result, bool more);
  void Keep(const Acceptor& acceptor, int result);
  void Orphan();

  Loop& loop;
  const int fd;
  size_t at_once = 1;
  std::array<Acceptor, kMaxAcceptsAtOnce> acceptors;
  size_t under_way = 0;
  std::deque<Connection> accepted;
  size_t max_ahead = kMaxAcceptedAhead;
  int error = 0;  // of the last accept, reported once
  bool orphaned = false;
  Event arrived;
};

void Listener::State::Arm() {
  for (size_t i = 0; i < at_once && error == 0; ++i) {
    Acceptor& acceptor = acceptors[i];
    if (acceptor.started) continue;
    if (accepted.size() + under_way >= max_ahead) break;
    int result = 0;
    if (loop.Start(acceptor, &result)) {
      Keep(acceptor, result);
    } else {
      ++under_way;
    }
  }
}

void Listener::State::Keep(const Acceptor& acceptor, int result) {
  if (result < 0) {
    if (result != -ECANCELED || acceptor.cancelled_by == Operation::Ended::kNo) error = -result;
    return;
  }
  Connection& connection = accepted.emplace_back();
  connection.fd = UniqueFd(result);
  if (acceptor.code == OpCode::kAccept)
    connection.peer = SocketAddress::From(acceptor.peer.address);
}

void Listener::State::Took(Acceptor& acceptor, int result, bool more) {
  if (!more) --under_way;
  if (orphaned) {
    if (result >= 0) loop.Close(result);
    if (under_way == 0) delete this;
    return;
  }
  Keep(acceptor, result);
  // Who is not asked for waits in the kernel's queue, which is bounded, not in descriptors.
  if (more && accepted.size() >= max_ahead) loop.Cancel(acceptor, Operation::Ended::kByItself);
  arrived.Wake();
}

void Listener::State::Orphan() {
  accepted.clear();
  orphaned = true;
  if (under_way == 0) {
    delete this;
    return;
  }
  for (Acceptor& acceptor : acceptors) loop.Cancel(acceptor, Operation::Ended::kByItself);
}

Listener::Listener(Loop& loop, UniqueFd fd, Peers peers)
    : state_(new State(loop, std::move(fd), peers)) {}

Listener::~Listener() {
  Loop& loop = state_->loop;
  const int fd = state_->fd;
  state_->Orphan();
  loop.Close(fd);
}

int Listener::fd() const { return state_->fd; }

void Listener::set_accepted_ahead(size_t connections) {
  state_->max_ahead = std::min(connections, kMaxAcceptedAhead);
}

Task<absl::StatusOr<Listener::Connection>> Listener::Accept(Deadline until) {
  State& state = *state_;
  for (;;) {
    state.Arm();
    if (!state.accepted.empty()) break;
    if (const int error = std::exchange(state.error, 0); error != 0) {
      // What went wrong with one connection (it vanished) is no error of the listener.
      if (error != ECONNABORTED && error != EPROTO) co_return ErrnoStatus(error, "accept");
      continue;
    }
    const absl::Status arrived = co_await state.arrived.Wait(until);
    if (!arrived.ok() && state.accepted.empty()) co_return arrived;
  }
  Connection connection = std::move(state.accepted.front());
  state.accepted.pop_front();
  co_return std::move(connection);
}

}  // namespace postern::io

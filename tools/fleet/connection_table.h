// SPDX-License-Identifier: Apache-2.0
// fleet/connection_table.h - one row for each open connection, and no memory taken while serving.
//
// Owns     every accepted socket and its TLS state.
// Thread   the fleet's one thread.
// Bounded  `rows_max` rows, taken in the constructor. A row's Spill is taken only when a request
//          comes in pieces, or for the control port.
// Cost     take, give back: O(1).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fleet/net.h"
#include "fleet/replies.h"
#include "fleet/tls.h"

namespace watchwheel::fleet {

enum class Protocol : std::uint8_t { Http, Https, Control, DnsTcp };
inline constexpr std::size_t kProtocols = 4;

enum class Stage : std::uint8_t {
  Handshake,  // TLS is not yet agreed.
  Reading,    // A request is awaited, or has come in part.
  Waiting,    // The answer is held back for its delay.
  Writing,
  Holding,   // Nothing will ever be said; until the client gives up.
  Dripping,  // One byte a second.
};

// What does not fit the common case: a piece of a request, an answer of our own making.
struct Spill {
  std::string in;
  std::string out;
};

struct Connection {
  Fd socket;
  std::uint32_t generation = 0;  // Changes with every close; events of the one before miss.
  std::uint32_t interest = 0;    // What epoll was asked for; 0 while it does not know the socket.
  std::uint32_t address = 0;     // The local one, for sites.
  std::uint32_t ticks = 0;       // Drips sent, or holds gone by.
  std::uint64_t sent = 0;        // Bytes of the answer that are out.
  std::uint64_t skip = 0;        // Bytes of a request's body still to be thrown away.
  Ssl ssl;
  TlsHello hello;
  std::unique_ptr<Spill> spill;
  ReplyWish wish;
  Protocol protocol = Protocol::Http;
  Stage stage = Stage::Reading;
  bool asked_by_hello = false;  // The client hello was counted; its request is the same asking.

  [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(socket); }
};

class ConnectionTable {
 public:
  static constexpr std::uint32_t kNone = 0xffffffffU;

  explicit ConnectionTable(std::uint32_t rows_max) : rows_(rows_max) {
    free_.reserve(rows_max);
    for (std::uint32_t i = rows_max; i > 0; --i) free_.push_back(i - 1);
  }

  // A row that is reset but for its generation; kNone when all are taken.
  [[nodiscard]] std::uint32_t take(Fd socket, Protocol protocol) {
    if (free_.empty()) return kNone;
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Connection& row = rows_[index];
    row.socket = std::move(socket);
    row.protocol = protocol;
    return index;
  }

  // Closes what the row holds. The memory stays, so references to the row stay good.
  void give_back(std::uint32_t index) noexcept {
    Connection& row = rows_[index];
    const std::uint32_t generation = row.generation + 1;
    row = Connection{};
    row.generation = generation;
    free_.push_back(index);
  }

  [[nodiscard]] Connection& operator[](std::uint32_t index) noexcept { return rows_[index]; }
  [[nodiscard]] std::uint32_t index_of(const Connection& row) const noexcept {
    return static_cast<std::uint32_t>(&row - rows_.data());
  }
  [[nodiscard]] std::uint32_t free_count() const noexcept {
    return static_cast<std::uint32_t>(free_.size());
  }
  [[nodiscard]] std::uint32_t rows_max() const noexcept {
    return static_cast<std::uint32_t>(rows_.size());
  }

 private:
  std::vector<Connection> rows_;
  std::vector<std::uint32_t> free_;
};

}  // namespace watchwheel::fleet

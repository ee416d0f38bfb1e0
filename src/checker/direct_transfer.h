// SPDX-License-Identifier: Apache-2.0
// checker/direct_transfer.h - one GET or HEAD by our own code: handshake, request, response, verdict.
//
// Owns     the connected socket and its TLS session while a transfer is under way; what was seen.
// Thread   the lane's.
// Bounded  header and body as exchange.h says; kBytesPerTurn or kReadsPerTurn, then others get their turn.
// Fails    as a cause. Ends are told in the words that cause_map.h knows of libcurl's, so that one table says what they mean.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "checker/body_intake.h"
#include "checker/cause_map.h"
#include "checker/exchange.h"
#include "checker/handshake.h"
#include "checker/http1_reader.h"
#include "checker/stream.h"
#include "checker/tls_contexts.h"

namespace watchwheel::checker {

// What the exchange lends to its transfers.
class DirectHost : public HandshakeHost {
 public:
  [[nodiscard]] virtual BodyMeans& bodies() noexcept = 0;
  [[nodiscard]] virtual TlsContexts& contexts() noexcept = 0;
  // Where bytes are read to; used within one call only.
  [[nodiscard]] virtual std::span<char> read_room() noexcept = 0;
};

class DirectTransfer : core::Pinned {
 public:
  static constexpr std::size_t kBytesPerTurn = 128 * 1024;
  static constexpr int kReadsPerTurn = 128;  // Through TLS a read is at most a record, however small.

  enum class Wants : std::uint8_t {
    Read,    // Call go_on() when the socket can be read,
    Write,   // or written,
    Either,  // or any of both,
    Turn,    // or at the next turn: there is more to do than one turn may.
    Nothing  // It has ended: finish().
  };

  explicit DirectTransfer(DirectHost& host) : host_(host), handshake_(host) {}
  ~DirectTransfer() { reset(); }

  // Takes the request's socket, and begins. The handler is not called from inside it.
  [[nodiscard]] Wants begin(const ExchangeRequest& request, ExchangeHandler& handler,
                            std::uint64_t tag);
  [[nodiscard]] Wants go_on();
  // Whether bytes of the answer came since this was asked last.
  [[nodiscard]] bool came() { return std::exchange(seen_->came, false); }
  // After Nothing.
  [[nodiscard]] ExchangeResult finish();
  [[nodiscard]] ExchangeResult finish_expired(core::Duration allowed);
  // Forgets the check and closes the socket: after it was unwatched.
  void reset();

  [[nodiscard]] int fd() const { return seen_ ? seen_->stream.fd() : -1; }

 private:
  enum class Part : std::uint8_t { Shake, Send, Receive, Over };

  struct Tracing {
    std::vector<std::string> request;
    TraceLines response;
  };

  // All of one check.
  struct Seen {
    explicit Seen(bool asked_head) : reader(asked_head) {}
    Stream stream;
    bool tls = false;
    Part part = Part::Send;
    const ProbePlan* plan = nullptr;
    ExchangeHandler* handler = nullptr;
    std::uint64_t tag = 0;
    std::string request;
    std::size_t sent = 0;  // Bytes of it.
    bool send_waits = false;  // The socket did not take all of it at once.
    bool came = false;        // came() has not told of it.
    Http1Reader reader;
    BodyIntake body;
    std::optional<core::SteadyTime> first_byte;
    Verdict verdict;
    std::unique_ptr<Tracing> tracing;  // Null: not asked for.
  };

  [[nodiscard]] bool begin_tls(const ExchangeRequest& request);
  [[nodiscard]] Wants shake();
  [[nodiscard]] Wants send();
  [[nodiscard]] Wants receive();
  [[nodiscard]] bool take(std::string_view bytes);
  [[nodiscard]] bool end_of_head();
  [[nodiscard]] Wants end_of_stream();
  Wants over(Verdict verdict);
  // `code`: what libcurl would call it.
  Wants broken(int code);
  [[nodiscard]] Stage stage() const;
  [[nodiscard]] TransferEnd describe_end(int code) const;
  [[nodiscard]] ExchangeResult facts_so_far();

  DirectHost& host_;
  Handshake handshake_;
  std::optional<Seen> seen_;
  std::string own_trouble_;
};

}  // namespace watchwheel::checker

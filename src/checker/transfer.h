// SPDX-License-Identifier: Apache-2.0
// checker/transfer.h - one transfer of libcurl, and what its callbacks saw of it.
//
// Owns     the easy handle while a transfer is under way; the connected socket until libcurl asks
//          for it.
// Thread   the lane's.
// Bounded  header and body as exchange.h says.
// Fails    prepare() says no when libcurl has no memory. No callback throws.
//
// Each transfer has an easy handle of its own, so nothing of one check reaches the next. That is not
// only tidy: libcurl 7.88 keeps a pointer to the last header that a handle saw, frees what it points
// to, and writes through it when the handle's next response begins with a folded line (its issue
// 11101). Any site could have broken our memory. A handle with all its options costs 3 us.
#pragma once

#include <curl/curl.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "checker/body_intake.h"
#include "checker/cause_map.h"
#include "checker/exchange.h"
#include "checker/handshake.h"
#include "checker/head_check.h"
#include "checker/trace_lines.h"

namespace watchwheel::checker {

// What the exchange does for its transfers.
class TransferHost : public HandshakeHost {
 public:
  // libcurl is done with this socket: unwatch and close it.
  virtual void close_socket(int fd) noexcept = 0;
  [[nodiscard]] virtual BodyMeans& bodies() noexcept = 0;
};

class Transfer : core::Pinned {
 public:
  // `connect_to` outlives it.
  Transfer(TransferHost& host, curl_slist* connect_to)
      : host_(host), connect_to_(connect_to), handshake_(host) {}
  ~Transfer();

  // Null when none is under way.
  [[nodiscard]] CURL* easy() const { return easy_.get(); }

  // Takes the request's socket and makes the handle ready to be added to a multi handle.
  [[nodiscard]] bool prepare(const ExchangeRequest& request, ExchangeHandler& handler,
                             std::uint64_t tag);
  // Whether anything of the answer came since this was asked last.
  [[nodiscard]] bool came() { return std::exchange(seen_.came, false); }
  // What came of it. Before the handle is removed from its multi handle.
  [[nodiscard]] ExchangeResult finish(CURLcode code);
  [[nodiscard]] ExchangeResult finish_expired(core::Duration allowed);
  // Forgets the check; closes the socket if libcurl never asked for it. After the handle was removed.
  void reset();

 private:
  struct EasyDeleter {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };
  // Why we ended it ourselves.
  enum class Stop : std::uint8_t { None, HeadEnough, HeadBad, Body };

  // For a person who asks about one site.
  struct Tracing {
    // As it was sent; at most kTraceBytesMax. libcurl may tell of it in pieces.
    std::string request;
    TraceLines response;
  };

  // All of one check, so that reset() is one assignment.
  struct Seen {
    int fd = -1;
    Endpoint peer;
    bool tls = false;
    bool opened = false;      // libcurl has the socket.
    bool asks_again = false;  // It wanted another one.
    bool came = false;        // came() has not told of it.
    const ProbePlan* plan = nullptr;
    ExchangeHandler* handler = nullptr;
    std::uint64_t tag = 0;
    std::size_t sends = 0;  // Bytes of request body.

    Stop stop = Stop::None;
    HeadCheck head;
    BodyIntake body;
    std::optional<core::SteadyTime> first_byte;
    std::unique_ptr<Tracing> tracing;  // Null: not asked for.
  };

  [[nodiscard]] bool set_constants();
  [[nodiscard]] bool set_form(const ExchangeRequest& request);
  [[nodiscard]] bool set_tracing(bool on);
  [[nodiscard]] TransferEnd describe_end(CURLcode code) const;
  [[nodiscard]] Stage stage(CURLcode code) const;
  [[nodiscard]] ExchangeResult facts_so_far();
  [[nodiscard]] std::size_t take_head_line(std::string_view line);
  [[nodiscard]] bool end_of_head();
  [[nodiscard]] std::size_t take_body(std::string_view piece);
  // What of our own stopping is no plain end.
  [[nodiscard]] std::optional<Verdict> judge_stop() const;

  static curl_socket_t on_open(void* self, curlsocktype purpose, curl_sockaddr* address) noexcept;
  static int on_close(void* self, curl_socket_t fd) noexcept;
  static std::size_t on_header(char* data, std::size_t size, std::size_t count,
                               void* self) noexcept;
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static int on_debug(CURL* easy, curl_infotype kind, char* data, std::size_t size,
                      void* self) noexcept;
  static CURLcode on_tls_context(CURL* easy, void* context, void* self) noexcept;

  TransferHost& host_;
  curl_slist* connect_to_;
  std::unique_ptr<CURL, EasyDeleter> easy_;
  Seen seen_;
  Handshake handshake_;
  std::array<char, CURL_ERROR_SIZE> error_{};
};

}  // namespace watchwheel::checker
